package pubsub

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"carillon.example/emulators/testcloud/check"
)

// newTopic returns a server without a listener that has a topic.
func newTopic(t *testing.T) (s *Server, topic string) {
	t.Helper()
	s = newServer(Options{HoldPushes: true})
	t.Cleanup(s.stop)
	topic = "projects/p/topics/topic"
	if _, err := (publisher{s: s}).CreateTopic(t.Context(), &pb.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	return s, topic
}

func subscribeTo(t *testing.T, s *Server, c *pb.Subscription) {
	t.Helper()
	if _, err := (subscriber{s: s}).CreateSubscription(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// TestACopyHasAMessageInAllSubscriptionsOrNone copies the state while messages are published.
func TestACopyHasAMessageInAllSubscriptionsOrNone(t *testing.T) {
	t.Parallel()
	s, topic := newTopic(t)
	for i := range 200 {
		subscribeTo(t, s, &pb.Subscription{Name: fmt.Sprintf("projects/p/subscriptions/sub-%d", i), Topic: topic})
	}
	ctx, stop := context.WithCancel(t.Context())
	var publishing sync.WaitGroup
	publishing.Go(func() {
		defer stop()
		for range 300 {
			if err := s.publishMessages(topic, []*pb.PubsubMessage{{Data: []byte("x")}}); err != nil {
				t.Errorf("publishing: %v", err)
			}
		}
	})
	for ctx.Err() == nil {
		_, subs := s.copyState()
		for _, b := range subs {
			check.Equal(t, len(b.entries), len(subs[0].entries), "the number of messages of %s", b.conf.GetName())
		}
		if t.Failed() {
			break
		}
	}
	publishing.Wait()
}

// TestHeldPushesStartLater checks that no worker takes a message of a snapshot before StartPushes.
func TestHeldPushesStartLater(t *testing.T) {
	t.Parallel()
	s, topic := newTopic(t)
	const name = "projects/p/subscriptions/push"
	subscribeTo(t, s, &pb.Subscription{Name: name, Topic: topic, PushConfig: &pb.PushConfig{PushEndpoint: "http://127.0.0.1:1"}})
	if err := s.publishMessages(topic, []*pb.PubsubMessage{{Data: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	var saved bytes.Buffer
	if _, err := s.Save(&saved); err != nil {
		t.Fatal(err)
	}

	s = newServer(Options{HoldPushes: true})
	if err := s.loadSnapshot(strings.NewReader(saved.String())); err != nil {
		t.Fatal(err)
	}
	s.resumeLoaded()
	b := s.subs[name]
	workers := func() int { b.mu.Lock(); defer b.mu.Unlock(); return b.workers }
	check.Equal(t, workers(), 0, "the number of workers while pushes are held")
	s.StartPushes()
	check.Equal(t, workers(), 1, "the number of workers after StartPushes")
	s.stop() // the worker ends after this push
	b.stop()
	s.pushes.Wait()
}

// TestLeasesOfASnapshotAreNotGivenAgain checks that a new lease has a number above those of the
// snapshot, and that a lease of a new subscription does not begin at 1.
func TestLeasesOfASnapshotAreNotGivenAgain(t *testing.T) {
	t.Parallel()
	s, topic := newTopic(t)
	subscribeTo(t, s, &pb.Subscription{Name: "projects/p/subscriptions/pull", Topic: topic})
	b := s.subs["projects/p/subscriptions/pull"]
	check.Between(t, b.lease, 1e15, 1e17, "the number before the first lease")

	b.leased[b.lease+1e12] = &entry{} // the clock has gone back since
	s.resumeLoaded()
	check.Equal(t, b.leased[b.lease] != nil, true, "whether the last lease is the largest one of the snapshot")
}
