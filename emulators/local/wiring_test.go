package local_test

import (
	"testing"

	client "cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"carillon.example/emulators/local"
	"carillon.example/emulators/pubsub"
)

// TestAnExternalPubSubHasNoOrderedSubscription checks that the subscription of messages is
// ordered on our server only: Google's emulator stops an ordered one for good when some
// pushes fail.
func TestAnExternalPubSubHasNoOrderedSubscription(t *testing.T) {
	for name, external := range map[string]bool{"embedded": false, "external": true} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PUBSUB_EMULATOR_HOST", "")
			if external {
				s, err := pubsub.Start("127.0.0.1:0", pubsub.Options{})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(s.Close)
				t.Setenv("PUBSUB_EMULATOR_HOST", s.Addr())
			}
			o := local.Defaults().OnFreePorts()
			o.WithFunctions, o.WithFirestore, o.WithFCM = false, false, false
			l, err := local.Start(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.Close)
			t.Setenv("PUBSUB_EMULATOR_HOST", l.PubSubHost)
			l.PushURL = "http://127.0.0.1:1" // nothing is published, so nothing is pushed
			if err := l.Subscribe(t.Context()); err != nil {
				t.Fatal(err)
			}

			c, err := client.NewClient(t.Context(), l.Project)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			got, err := c.SubscriptionAdminClient.GetSubscription(t.Context(), &pb.GetSubscriptionRequest{
				Subscription: "projects/" + l.Project + "/subscriptions/messages"})
			if err != nil {
				t.Fatal(err)
			}
			if want := !external; got.GetEnableMessageOrdering() != want {
				t.Errorf("the subscription of messages has ordering %v, want %v", got.GetEnableMessageOrdering(), want)
			}
		})
	}
}
