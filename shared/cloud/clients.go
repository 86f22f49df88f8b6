package cloud

import (
	"context"
	"fmt"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
)

// Firestore opens the project's database, or the emulator's where
// FIRESTORE_EMULATOR_HOST is set.
func Firestore(ctx context.Context, c Common) (*firestore.Client, error) {
	client, err := firestore.NewClientWithDatabase(ctx, c.Project, c.Database)
	if err != nil {
		return nil, fmt.Errorf("opening Firestore database %s of %s: %w", c.Database, c.Project, err)
	}
	return client, nil
}

// PubSub opens the project's Pub/Sub, or the emulator's where
// PUBSUB_EMULATOR_HOST is set.
func PubSub(ctx context.Context, c Common) (*pubsub.Client, error) {
	client, err := pubsub.NewClient(ctx, c.Project)
	if err != nil {
		return nil, fmt.Errorf("opening Pub/Sub of %s: %w", c.Project, err)
	}
	return client, nil
}
