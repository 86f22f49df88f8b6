package tick

import (
	"encoding/json"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

func message(mailing string) queue.Message {
	b, _ := json.Marshal(push.WakeMessage{Mailing: mailing}) // a struct of one string
	return queue.Message{Data: b}
}

// TestFewCopiesWhileNobodyAnswers: for six hours neither deliver nor dispatch
// answers, and a tick each minute publishes few messages again.
func TestFewCopiesWhileNobodyAnswers(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	w.createBatch(t, "m", false)
	w.mailing(t, "unstarted", nil)
	batches, dispatchMessages := 0, map[push.DispatchMessage]int{}
	for range 6 * 60 {
		w.clock.Add(time.Minute)
		w.tick(t)
		batches += len(w.refs)
		for _, o := range w.dispatchMessages {
			dispatchMessages[o]++
		}
	}
	check.Between(t, batches, 30, 42, "number of times that the batch was published again in six hours")
	for o, n := range dispatchMessages {
		check.Between(t, n, 30, 45, "number of times that %+v was published in six hours", o)
	}
	if len(dispatchMessages) != 2 {
		t.Errorf("published %v, want a shard and a start", dispatchMessages)
	}
}

// TestABatchThatWaitsItsTurnIsLeftAlone: two minutes after it was created it is not
// published again.
func TestABatchThatWaitsItsTurnIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	ref := w.createBatch(t, "m", true)
	for range 2 {
		w.clock.Add(time.Minute)
		if w.tick(t); len(w.refs) != 0 {
			t.Errorf("published %v while it waits its turn", w.refs)
		}
	}
	w.clock.Add(time.Minute)
	w.tick(t)
	if len(w.refs) != 1 {
		t.Fatalf("number of published batches is %v, want 1: %+v", len(w.refs), w.refs)
	}
	check.Equal(t, w.refs[0], ref, "first published batch")
	w.clock.Add(time.Minute)
	if w.tick(t); len(w.refs) != 0 {
		t.Errorf("published %v a minute after the last time", w.refs)
	}
}

// TestAReleasedBatchIsDueAtItsTime, whenever it was published before.
func TestAReleasedBatchIsDueAtItsTime(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	ref := w.createBatch(t, "m", true)
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseBatch(t.Context(), b, push.Lease{Owner: "x", Until: w.clock.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	b.Lease, b.NotBefore = push.Lease{}, w.clock.Now()
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if w.tick(t); len(w.refs) != 1 {
		t.Errorf("published %v, want the batch that was given back", w.refs)
	}
}

// TestOneBadDocumentAffectsOnlyItself: mailings, shards, batches, customers and
// events of the outbox that do not decode.
func TestOneBadDocumentAffectsOnlyItself(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	db := w.lab.DB()
	spoil := func(path, field string) {
		t.Helper()
		if _, err := db.Doc(path).Update(t.Context(), []firestore.Update{{Path: field, Value: map[string]any{"not": "this"}}}); err != nil {
			t.Fatal(err)
		}
	}
	w.mailing(t, "bad", nil)
	w.mailing(t, "good", nil)
	w.createBatch(t, "good", false)
	w.mailing(t, "unstarted", nil)
	w.mailing(t, "beside", nil)
	refs := w.slots(t, "beside", 0, 0)
	for _, id := range []string{"anna", "bert"} {
		w.register(t, id, push.Android)
	}
	spoil("mailings/bad", "startAt")
	spoil("mailings/good/batches/00-000000", "createdAt")
	spoil("mailings/beside/batches/"+refs[0].Batch, "createdAt")
	spoil("customers/"+push.CustomerKey("anna"), "tokens")
	if _, err := db.Doc("outbox/0").Set(t.Context(), map[string]any{"event": "nonsense"}); err != nil {
		t.Fatal(err)
	}

	w.clock.Add(time.Minute)
	n := w.tick(t)
	if n.started != 1 {
		t.Errorf("%d mailings were started, want 1", n.started)
	}
	if len(w.refs) != 1 {
		t.Fatalf("number of published batches is %v, want 1: %+v", len(w.refs), w.refs)
	}
	check.Equal(t, w.refs[0], refs[1], "first published batch")
	if len(w.dispatchMessages) != 2 {
		t.Errorf("published %v, want the good mailing's shard and the start", w.dispatchMessages)
	}
	published := map[string]int{}
	for _, e := range w.Published() {
		published[e.Type]++
	}
	if diff := cmp.Diff(map[string]int{push.AvailabilityChanged: 2, push.MailingStarted: 2}, published); diff != "" {
		t.Errorf("published events (-want +got):\n%s", diff)
	}

	w.clock.Add(2 * push.TokenLife)
	w.forget()
	var c roundCounts
	if err := w.t.runRound(t.Context(), w.clock.Now(), &c); err == nil {
		t.Error("the customer whose tokens cannot expire is not logged")
	}
	b, err := w.ReadCustomer(t.Context(), "bert")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, b.HasValidToken(), false, "that push can reach bert")
}

// TestAResumedMailingsBatchesAreDue: deliver acknowledges the messages of a
// paused mailing. When it is resumed and nobody asks dispatch for it, tick
// publishes its batches in its next round.
func TestAResumedMailingsBatchesAreDue(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	ref := w.createBatch(t, "m", true)
	if _, err := w.PauseMailingFor(t.Context(), "m", push.PausedImplausible, "FCM answers 404"); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Second)
	if _, err := w.ResumeImplausibleMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}

	w.clock.Add(time.Second)
	w.tick(t)
	if len(w.refs) != 1 {
		t.Fatalf("number of published batches is %v, want 1: %+v", len(w.refs), w.refs)
	}
	check.Equal(t, w.refs[0], ref, "first published batch")
}
