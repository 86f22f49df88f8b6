package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
)

// Clients has what every function needs: its log, and clients of Firestore and Pub/Sub.
// If FIRESTORE_EMULATOR_HOST or PUBSUB_EMULATOR_HOST is set, the client connects to that
// emulator.
type Clients struct {
	Log       *slog.Logger
	Firestore *firestore.Client
	PubSub    *pubsub.Client
}

// Open reads the settings of a function from the environment of this process and makes
// its clients. The error names all faults of the settings together, or the client that
// could not be made.
func Open[T settings](ctx context.Context) (set T, c *Clients, err error) {
	if set, err = Load[T](readEnviron()); err != nil {
		return set, nil, err
	}
	c, err = openClients(ctx, set.common())
	return set, c, err
}

// openClients makes the log and the clients. The log becomes slog's default, too, for the
// lines of libraries.
func openClients(ctx context.Context, set Common) (*Clients, error) {
	log, err := Log(os.Stdout, set)
	if err != nil {
		return nil, err
	}

	slog.SetDefault(log)
	db, err := firestore.NewClientWithDatabase(ctx, set.Project, set.Database)
	if err != nil {
		return nil, fmt.Errorf("opening Firestore database %s of %s: %w", set.Database, set.Project, err)
	}

	ps, err := pubsub.NewClient(ctx, set.Project)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening Pub/Sub of %s: %w", set.Project, err), db.Close())
	}
	return &Clients{log, db, ps}, nil
}

// Fail closes the clients of a function that cannot start, and returns the error why.
func (c *Clients) Fail(why error) error {
	return errors.Join(why, c.Firestore.Close(), c.PubSub.Close())
}
