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

// Clients are what every function has open: its log, and the project's
// database and Pub/Sub, or the emulators' where FIRESTORE_EMULATOR_HOST and
// PUBSUB_EMULATOR_HOST are set.
type Clients struct {
	Log       *slog.Logger
	Firestore *firestore.Client
	PubSub    *pubsub.Client
}

// Open reads the settings of a function from this process's environment and
// opens what each has. Its error names every fault of the settings together, or
// the client that could not be made.
func Open[T settings](ctx context.Context) (set T, c *Clients, err error) {
	if set, err = Load[T](environ()); err != nil {
		return set, nil, err
	}
	c, err = open(ctx, set.common())
	return set, c, err
}

func open(ctx context.Context, set Common) (*Clients, error) {
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

// Fail closes the clients of a function that cannot start, and answers why not.
func (c *Clients) Fail(why error) error {
	return errors.Join(why, c.Firestore.Close(), c.PubSub.Close())
}
