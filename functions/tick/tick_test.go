package tick

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

func TestStartsWhatIsDueAndWhatGotLost(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	at := w.clock.Now().Add(time.Hour)
	w.mailing(t, "later", func(d *push.Draft) { d.SendAt = &at })
	w.mailing(t, "lost", nil)
	if w.tick(t); len(w.dispatchMessages) != 0 {
		t.Errorf("published %v before anything was due", w.dispatchMessages)
	}
	w.clock.Add(time.Minute)
	w.tick(t)
	if len(w.dispatchMessages) != 1 {
		t.Fatalf("number of dispatch messages is %v, want 1: %+v", len(w.dispatchMessages), w.dispatchMessages)
	}
	check.Equal(t, w.dispatchMessages[0].Mailing, "lost", "mailing of the dispatch message")
	check.Equal(t, w.dispatchMessages[0].Shard, push.DispatchStart, "shard of the dispatch message")
	w.clock.Add(59 * time.Minute)
	if w.tick(t); len(w.dispatchMessages) != 2 {
		t.Errorf("published %v, want both", w.dispatchMessages)
	}
}

func TestRepublishesOrphansAndWhatHasWaited(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	ref := w.createBatch(t, "m", false)
	w.clock.Add(time.Minute)
	w.tick(t)
	check.Equal(t, len(w.refs), 0, "after a minute: number of published batches")
	if len(w.dispatchMessages) != 1 {
		t.Fatalf("after a minute: number of dispatch messages is %v, want 1: %+v", len(w.dispatchMessages), w.dispatchMessages)
	}
	check.Equal(t, w.dispatchMessages[0].Shard, 0, "after a minute: shard of the dispatch message")
	w.clock.Add(3 * time.Minute)
	w.tick(t)
	if len(w.refs) != 1 {
		t.Fatalf("an orphan: number of published batches is %v, want 1: %+v", len(w.refs), w.refs)
	}
	check.Equal(t, w.refs[0], ref, "an orphan: first published batch")
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseBatch(t.Context(), b, push.Lease{Owner: "x", Until: w.clock.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if w.tick(t); len(w.refs) != 0 {
		t.Errorf("a leased batch was published: %v", w.refs)
	}
	w.clock.Add(2 * time.Minute)
	if w.tick(t); len(w.refs) != 1 {
		t.Error("a batch whose lease has lapsed was not published")
	}
	if b, err = w.ReadBatch(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	b.Lease, b.NotBefore = push.Lease{}, w.clock.Now().Add(10*time.Minute)
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if w.tick(t); len(w.refs) != 0 {
		t.Error("a batch was published before its time")
	}
	w.clock.Add(10 * time.Minute)
	if w.tick(t); len(w.refs) != 1 {
		t.Error("a batch whose time has come was not published")
	}
}

func TestFinishesWhatTheLastBatchCouldNot(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	w.settle(t, w.createBatch(t, "m", true), push.ResultAccepted)
	n := w.tick(t)
	check.Equal(t, n.completed, 1, "number of completed mailings")
	check.Equal(t, len(w.Published()), 1, "number of published events")
	m := w.state(t, "m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, m.Active, false, "Active")
	check.Equal(t, m.Totals.Tokens.Accepted, 2, "tokens accepted")
	if w.tick(t); len(w.Published()) != 1 {
		t.Error("the end was published twice")
	}
}

// TestTickPublishesTheEndOfAMailing: the totals are frozen, but the event was
// not published; the next tick publishes it.
func TestTickPublishesTheEndOfAMailing(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	w.settle(t, w.createBatch(t, "m", true), push.ResultAccepted)
	w.fail(errors.New("no Pub/Sub"))
	w.tick(t)
	m := w.state(t, "m")
	if m.State != push.Completed {
		t.Fatalf("state is %v, want %v", m.State, push.Completed)
	}
	if !m.Active {
		t.Fatal("Active is false, want true")
	}
	w.fail(nil)
	w.tick(t)
	m = w.state(t, "m")
	check.Equal(t, m.Active, false, "Active")
	check.Equal(t, len(w.Published()), 1, "number of published events")
}

func TestEndsWhatHasExpired(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	ref := w.createBatch(t, "m", false)
	w.clock.Add(25 * time.Hour)
	n := w.tick(t)
	if n.expired != 1 {
		t.Fatalf("number of expired mailings is %v, want 1", n.expired)
	}
	if len(w.refs) != 1 {
		t.Fatalf("number of published batches is %v, want 1: %+v", len(w.refs), w.refs)
	}
	w.settle(t, ref, push.ResultExpired)
	w.tick(t)
	m := w.state(t, "m")
	check.Equal(t, m.State, push.Expired, "state")
	check.Equal(t, m.Active, false, "Active")
	if m.Totals == nil {
		t.Fatal("Totals is nil, want it set")
	}
	check.Equal(t, m.Totals.Tokens.Expired, 2, "tokens expired")
}

func TestCancelledBeforeItBegan(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.tick(t)
	m := w.state(t, "m")
	check.Equal(t, m.State, push.Cancelled, "state")
	check.Equal(t, m.Active, false, "Active")
	if m.Totals == nil {
		t.Error("Totals is nil, want it set")
	}
}

// TestAcknowledgesWhateverHappens, and a fault with one mailing keeps no other
// waiting.
func TestAcknowledgesWhateverHappens(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	w.mailing(t, "n", nil)
	w.clock.Add(time.Hour)
	w.fail(errors.New("no Pub/Sub"))
	if got := w.t.receiveFromPubSub(t.Context(), queue.Message{}); got != queue.Ack {
		t.Error("a tick that failed in part comes again, on top of the next one")
	}
	if len(w.dispatchMessages) != 2 {
		t.Errorf("it published %v, want both", w.dispatchMessages)
	}
}

// TestEveryMinuteSaysThatItWas: an alert waits for the line. Where rounds come
// faster, those that do nothing are not logged one by one.
func TestEveryMinuteSaysThatItWas(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	var lines bytes.Buffer
	w.t.Log = slog.New(slog.NewTextHandler(&lines, nil))
	said := func(after time.Duration) bool {
		w.clock.Add(after)
		lines.Reset()
		w.t.receiveFromPubSub(t.Context(), queue.Message{})
		return strings.Contains(lines.String(), "tick done")
	}
	for i, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Minute, true}, {59 * time.Second, true}, {time.Second, false}, {time.Second, false}, {time.Minute, true}} {
		if got := said(c.after); got != c.want {
			t.Errorf("round %d, %s after the one before: said %t, want %t", i, c.after, got, c.want)
		}
	}
	if _, _, err := w.CreateMailing(t.Context(), push.NewMailing("m", "m", push.Draft{Audience: push.Audience{Everyone: true}}, w.clock.Now().Add(-time.Hour))); err != nil {
		t.Fatal(err)
	}
	if !said(time.Second) {
		t.Error("a round that started a mailing is not logged")
	}
}
