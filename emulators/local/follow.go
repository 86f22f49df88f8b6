package local

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"carillon.example/emulators/cli"
)

// FollowEvents prints the events that are published to the topic push-events from now
// on, one on each line, until ctx ends.
func FollowEvents(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("events")
	o := Defaults()
	addr := f.String("pubsub", cmp.Or(os.Getenv("PUBSUB_EMULATOR_HOST"), o.PubSubAddr), "address of Pub/Sub")
	project := f.String("project", o.Project, "Google Cloud project")
	kind := f.String("type", "", "print only events of this type, for example token.invalidated")
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("events: this command takes flags but no arguments")
	}
	if err := os.Setenv("PUBSUB_EMULATOR_HOST", *addr); err != nil {
		return err
	}
	client, err := pubsub.NewClient(ctx, *project)
	if err != nil {
		return fmt.Errorf("events: connecting to Pub/Sub on %s: %w", *addr, err)
	}
	defer client.Close()
	name, err := subscribeEvents(ctx, client, *project)
	if err != nil {
		return fmt.Errorf("events: on %s: %w", *addr, err)
	}
	defer deleteSubscription(ctx, client, name)
	fmt.Fprintln(os.Stderr, "printing the events of the topic push-events in project "+*project+" from Pub/Sub on "+*addr+"; press Ctrl-C to stop")

	var mu sync.Mutex // guards out: Receive calls the function concurrently
	err = client.Subscriber(name).Receive(ctx, func(_ context.Context, m *pubsub.Message) {
		defer m.Ack()
		if *kind != "" && m.Attributes["type"] != *kind {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		var line bytes.Buffer
		if json.Compact(&line, m.Data) != nil {
			line.Write(m.Data) // not JSON: print it unchanged
		}
		fmt.Fprintln(out, line.String())
	})
	if ctx.Err() != nil {
		return nil // Ctrl-C ends the command without an error
	}
	return err
}

// subscriptionTimeout is the time-out of a call that creates or deletes the subscription.
const subscriptionTimeout = 10 * time.Second

// subscribeEvents creates a subscription that only this command uses, and returns its
// full name.
func subscribeEvents(ctx context.Context, client *pubsub.Client, project string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, subscriptionTimeout)
	defer cancel()
	s := &pubsubpb.Subscription{
		Name:               fmt.Sprintf("projects/%s/subscriptions/follow-%d-%d", project, os.Getpid(), time.Now().UnixNano()),
		Topic:              "projects/" + project + "/topics/push-events",
		AckDeadlineSeconds: 10,
		// A killed command cannot delete its subscription, so it expires.
		ExpirationPolicy: &pubsubpb.ExpirationPolicy{Ttl: durationpb.New(24 * time.Hour)},
	}
	_, err := client.SubscriptionAdminClient.CreateSubscription(ctx, s)
	if status.Code(err) == codes.NotFound {
		return "", fmt.Errorf("project %s has no topic push-events; perhaps the functions do not run in this project", project)
	}

	return s.Name, err
}

// deleteSubscription deletes the subscription. WithoutCancel is there because ctx has
// ended when the command ends.
func deleteSubscription(ctx context.Context, client *pubsub.Client, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), subscriptionTimeout)
	defer cancel()
	_ = client.SubscriptionAdminClient.DeleteSubscription(ctx, &pubsubpb.DeleteSubscriptionRequest{Subscription: name}) // if this fails, the subscription expires
}
