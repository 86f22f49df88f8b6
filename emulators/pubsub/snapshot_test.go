package pubsub_test

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"carillon.example/emulators/pubsub"
	"carillon.example/emulators/snapshot/snapshottest"
	"carillon.example/emulators/testcloud/check"
)

// save returns a snapshot.
func (w *harness) save() string {
	w.t.Helper()
	var b bytes.Buffer
	if _, err := w.Server.Save(&b); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// restart stops the server, and returns a new one with its snapshot.
func (w *harness) restart(o pubsub.Options) *harness {
	w.t.Helper()
	w.Stop()
	return startWith(w.t, o, w.save())
}

// startWith returns a server with a snapshot.
func startWith(t testing.TB, o pubsub.Options, text string) *harness {
	t.Helper()
	o.Snapshot = strings.NewReader(text)
	return startEmpty(t, o)
}

func (w *harness) ack(subscription string, ids ...string) {
	w.t.Helper()
	if err := w.SubscriptionAdminClient.Acknowledge(w.t.Context(), &pb.AcknowledgeRequest{Subscription: subscription, AckIds: ids}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *harness) nack(subscription string, ids ...string) {
	w.t.Helper()
	if err := w.SubscriptionAdminClient.ModifyAckDeadline(w.t.Context(), &pb.ModifyAckDeadlineRequest{Subscription: subscription, AckIds: ids}); err != nil {
		w.t.Fatal(err)
	}
}

// dataOf returns the data of messages.
func dataOf(msgs []*pb.ReceivedMessage) (out []string) {
	for _, m := range msgs {
		out = append(out, string(m.GetMessage().GetData()))
	}
	return out
}

// variedServer returns a server with a message in each state that a message can have, and the ack
// id of the leased one. The endpoint of the push subscription answers 500, and hangs for a
// message "hang".
func variedServer(t *testing.T) (w *harness, ackID string) {
	t.Helper()
	w = start(t, pubsub.Options{})
	hanging := make(chan bool)
	pushes := make(chan string, 10)
	url := serve(t, endpointOf(t, hanging, pushes))
	t.Cleanup(func() { close(hanging) })

	long := policy(10*time.Minute, 10*time.Minute)
	pull := w.subscribe("pull", &pb.Subscription{AckDeadlineSeconds: 600, RetryPolicy: long, DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: dead, MaxDeliveryAttempts: 7}, Labels: map[string]string{"a": "b"}})
	w.subscribe("push", &pb.Subscription{PushConfig: to(url), AckDeadlineSeconds: 600, RetryPolicy: long})
	w.subscribe("ordered", &pb.Subscription{EnableMessageOrdering: true, AckDeadlineSeconds: 600})
	w.subscribe("dead", &pb.Subscription{Topic: dead})
	w.publishAll(&pb.PubsubMessage{Data: []byte("leased\x00\xff"), Attributes: map[string]string{"k": "é\n"}, OrderingKey: "key"},
		&pb.PubsubMessage{Data: []byte("hang"), OrderingKey: "key"}, &pb.PubsubMessage{Attributes: map[string]string{"only": "attributes"}}, &pb.PubsubMessage{Data: []byte("acknowledged")})
	for range 4 {
		next(t, pushes)
	}
	for deadline := time.Now().Add(20 * time.Second); strings.Count(w.save(), `"backOff":"10m0s"`) < 3; {
		if time.Now().After(deadline) {
			t.Fatalf("three pushes that were refused are not in back-off after 20 s: %s", w.save())
		}
	}

	got := w.pull(pull, 2)
	check.MustEqual(t, dataOf(got), []string{"leased\x00\xff", "hang"}, "the pulled messages")
	w.nack(pull, got[1].GetAckId())
	last := w.pull(pull, 2)
	w.ack(pull, last[1].GetAckId())
	w.nack(pull, last[0].GetAckId())
	check.MustEqual(t, len(w.pull("projects/p/subscriptions/ordered", 1)), 1, "the number of messages pulled in order")
	return w, got[0].GetAckId()
}

// TestASnapshotHasEveryMessageAsItWas saves, loads and saves again, and compares both snapshots.
// They are complete because TestARestartedServerDelivers reads one through the API.
func TestASnapshotHasEveryMessageAsItWas(t *testing.T) {
	t.Parallel()
	w, _ := variedServer(t)
	w.Stop()
	first := w.save()
	again := startWith(t, pubsub.Options{HoldPushes: true}, first)
	check.Equal(t, again.Loaded(), pubsub.Contents{Topics: 2, Subscriptions: 4, Messages: 11}, "what was loaded")
	second := again.save()
	check.Equal(t, snapshottest.WithoutTime([]byte(second)), snapshottest.WithoutTime([]byte(first)), "the snapshot of what was loaded")
	for part, n := range map[string]int{`"attempts":1,"backOff":"10m0s","due":`: 5, `"ackId":`: 2, `"attempts":0}`: 4} {
		check.Equal(t, strings.Count(first, part), n, "how often the snapshot has %s", part)
	}
}

func TestARestartedServerDelivers(t *testing.T) {
	t.Parallel()
	const pull = "projects/p/subscriptions/pull"
	w, ackID := variedServer(t)
	before, err := w.SubscriptionAdminClient.GetSubscription(t.Context(), &pb.GetSubscriptionRequest{Subscription: pull})
	if err != nil {
		t.Fatal(err)
	}
	w = w.restart(pubsub.Options{HoldPushes: true})

	after, err := w.SubscriptionAdminClient.GetSubscription(t.Context(), &pb.GetSubscriptionRequest{Subscription: pull})
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, after.String(), before.String(), "the configuration of the subscription")
	check.Equal(t, len(w.pull(pull, 10)), 0, "the number of messages that are neither leased nor in back-off")

	w.nack(pull, ackID) // an ack id of the former process is still good
	if text := w.save(); strings.Contains(text, `"ackId":"`+ackID) {
		t.Errorf("the lease from before the restart is still there after a nack: %s", text)
	}
	w.publish("new")
	got := w.pull(pull, 10)
	check.Equal(t, dataOf(got), []string{"new"}, "the messages of the subscription after a publish")
	check.Equal(t, got[0].GetAckId() != ackID, true, "whether the ack id is a new one")
}

// TestOrderSurvivesARestart checks that messages of a key come in order, one after the other.
func TestOrderSurvivesARestart(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	name := w.subscribe("ordered", &pb.Subscription{EnableMessageOrdering: true})
	var want []string
	for i := range 12 { // ids of ten and more sort differently as text
		want = append(want, fmt.Sprint(i))
		w.publishAll(&pb.PubsubMessage{Data: []byte(fmt.Sprint(i)), OrderingKey: "key"})
	}
	first := w.pull(name, 10)
	check.MustEqual(t, dataOf(first), want[:1], "the messages before the restart")
	w = w.restart(pubsub.Options{})
	check.Equal(t, len(w.pull(name, 10)), 0, "the number of messages while the first is leased")
	w.ack(name, first[0].GetAckId())
	for _, data := range want[1:] {
		got := w.pull(name, 10)
		check.MustEqual(t, dataOf(got), []string{data}, "the next messages")
		w.ack(name, got[0].GetAckId())
	}
}

// TestAnInterruptedPushIsMadeAgain stops a server in the middle of a push, and checks that the
// push is made again, as the same attempt, and only when pushes are started.
func TestAnInterruptedPushIsMadeAgain(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	hanging, pushes := make(chan bool), make(chan string, 10)
	w.subscribe("push", &pb.Subscription{PushConfig: to(serve(t, endpointOf(t, hanging, pushes))), AckDeadlineSeconds: 600,
		DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: dead, MaxDeliveryAttempts: 5}})
	w.publish("hang")
	check.Equal(t, next(t, pushes), "hang 1", "the push before the restart")
	w = w.restart(pubsub.Options{HoldPushes: true})
	close(hanging)
	none(t, pushes)
	w.StartPushes()
	check.Equal(t, next(t, pushes), "hang 1", "the push after the restart")
}

// TestARestartedLeaseRunsOut checks that a message comes again whose puller went away with the
// server, and that its dead letter reaches a subscription that comes later in the snapshot.
func TestARestartedLeaseRunsOut(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{DeadlineScale: 0.01})
	name := w.subscribe("a-source", &pb.Subscription{AckDeadlineSeconds: 10, DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: dead, MaxDeliveryAttempts: 5}})
	target := w.subscribe("z-dead", &pb.Subscription{Topic: dead})
	w.publish("x")
	for range 4 {
		w.nack(name, w.pull(name, 1)[0].GetAckId())
	}
	check.MustEqual(t, len(w.pull(name, 1)), 1, "the number of messages in the last attempt")
	w = w.restart(pubsub.Options{})
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if got := w.pull(target, 1); len(got) > 0 {
			check.Equal(t, dataOf(got), []string{"x"}, "the dead letter")
			return
		}
	}
	t.Error("there is no dead letter 20 s after the restart, want one")
}

func TestACutSnapshotIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	name := w.subscribe("sub", &pb.Subscription{})
	w.publish("leased", "ready")
	w.pull(name, 1)
	snapshottest.CheckFaults(t, func(out io.Writer) error { _, err := w.Server.Save(out); return err }, func(r io.Reader) error {
		s, err := pubsub.Start("127.0.0.1:0", pubsub.Options{Snapshot: r, HoldPushes: true})
		if err == nil {
			s.Close()
		}
		return err
	})
}

func TestFaultsOfASnapshotAreNamed(t *testing.T) {
	t.Parallel()
	const head = `{"snapshot":"pubsub","version":1,"at":"2026-11-28T00:00:00Z"}`
	const topic = `{"topic":{"name":"projects/p/topics/alpha"}}`
	const subscription = `{"subscription":{"name":"projects/p/subscriptions/sub","topic":"projects/p/topics/alpha"}}`
	message := func(more string) string {
		return `{"unacknowledged":{"subscription":"projects/p/subscriptions/sub","message":{"data":"eA=="},"attempts":1` + more + `}}`
	}
	const leased = `,"ackId":"1z","due":"2026-11-28T00:00:00Z"`
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"of Firestore":            {[]string{strings.Replace(head, "pubsub", "firestore", 1)}, `a snapshot of "firestore", want one of "pubsub"`},
		"another version":         {[]string{strings.Replace(head, `"version":1`, `"version":7`, 1)}, "version 7"},
		"nothing in it":           {[]string{head, `{}`}, "line 2: it is no topic"},
		"an unknown field":        {[]string{head, `{"tropic":{}}`}, `unknown field "tropic"`},
		"a topic is twice":        {[]string{head, topic, topic}, "line 3: Resource already exists"},
		"a bad topic":             {[]string{head, `{"topic":{"name":"alpha"}}`}, "line 2: Invalid resource name"},
		"no topic":                {[]string{head, subscription}, "line 2: Resource not found (resource=projects/p/topics/alpha)"},
		"a subscription is twice": {[]string{head, topic, subscription, subscription}, "line 4: Resource already exists"},
		"no subscription":         {[]string{head, topic, message("")}, "line 3: Resource not found (resource=projects/p/subscriptions/sub)"},
		"a bad back-off":          {[]string{head, topic, subscription, message(`,"backOff":"soon"`)}, "line 4: backOff"},
		"a bad ack id":            {[]string{head, topic, subscription, message(`,"ackId":"%","due":"2026-11-28T00:00:00Z"`)}, `line 4: the ack id "%"`},
		"a lease without an end":  {[]string{head, topic, subscription, message(`,"ackId":"1z"`)}, "line 4: a message with an ackId has no due"},
		"an ack id is twice":      {[]string{head, topic, subscription, message(leased), message(leased)}, "line 5: the ack id 1z is not possible here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Join(append(c.lines, fmt.Sprintf(`{"end":{"lines":%d}}`, len(c.lines)-1)), "\n") + "\n"
			s, err := pubsub.Start("127.0.0.1:0", pubsub.Options{Snapshot: strings.NewReader(text)})
			if err == nil {
				s.Close()
			}
			check.Error(t, "loading", err, c.want)
		})
	}
}

func TestChangesGrowWithEveryChange(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	name := "projects/p/subscriptions/sub"
	var leases []string
	pull := func() { leases = append(leases, w.pull(name, 1)[0].GetAckId()) }
	last := w.Changes()
	for _, c := range []struct {
		name    string
		do      func()
		changes bool
	}{
		{"a subscription", func() { w.subscribe("sub", &pb.Subscription{}) }, true},
		{"a publish", func() { w.publish("x") }, true},
		{"a pull", pull, true},
		{"a nack", func() { w.nack(name, leases[0]) }, true},
		{"another pull", pull, true},
		{"an acknowledgement", func() { w.ack(name, leases[1]) }, true},
		{"a look", func() { w.save() }, false},
		{"a deletion", func() {
			if err := w.SubscriptionAdminClient.DeleteSubscription(t.Context(), &pb.DeleteSubscriptionRequest{Subscription: name}); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"a topic that is deleted", func() {
			if err := w.TopicAdminClient.DeleteTopic(t.Context(), &pb.DeleteTopicRequest{Topic: dead}); err != nil {
				t.Fatal(err)
			}
		}, true},
	} {
		c.do()
		check.Equal(t, w.Changes() > last, c.changes, "whether %s counts as a change", c.name)
		last = w.Changes()
	}
}

// TestSubscriptionsWithoutTheirTopicSurvive checks a subscription whose topic was deleted, and one
// that was detached.
func TestSubscriptionsWithoutTheirTopicSurvive(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	w.subscribe("orphan", &pb.Subscription{Topic: dead})
	detached := w.subscribe("detached", &pb.Subscription{})
	if err := w.TopicAdminClient.DeleteTopic(t.Context(), &pb.DeleteTopicRequest{Topic: dead}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.TopicAdminClient.DetachSubscription(t.Context(), &pb.DetachSubscriptionRequest{Subscription: detached}); err != nil {
		t.Fatal(err)
	}
	w = w.restart(pubsub.Options{})
	w.publish("x")
	for name, want := range map[string]string{"orphan": "_deleted-topic_ false", "detached": alpha + " true"} {
		t.Run(name, func(t *testing.T) {
			s, err := w.SubscriptionAdminClient.GetSubscription(t.Context(), &pb.GetSubscriptionRequest{Subscription: "projects/p/subscriptions/" + name})
			if err != nil {
				t.Fatal(err)
			}
			check.Equal(t, fmt.Sprintf("%s %t", s.GetTopic(), s.GetDetached()), want, "the topic of the subscription, and whether it is detached")
		})
	}
	var b bytes.Buffer
	c, err := w.Server.Save(&b)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, c.Messages, 0, "the number of messages of both")
	if names := slices.Collect(strings.Lines(b.String())); len(names) != 5 {
		t.Errorf("the snapshot has %d lines, want 5: the first, a topic, two subscriptions, the last", len(names))
	}
}
