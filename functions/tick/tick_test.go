package tick

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

func TestStartsWhatIsDueAndWhatGotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.clock.Now().Add(time.Hour)
	w.mailing(t, "later", func(d *push.Draft) { d.SendAt = &at })
	w.mailing(t, "lost", nil)
	if w.tick(t); len(w.orders) != 0 {
		t.Errorf("ordered %v before anything was due", w.orders)
	}
	w.clock.Add(time.Minute)
	if w.tick(t); len(w.orders) != 1 || w.orders[0].Mailing != "lost" || w.orders[0].Shard != push.DispatchStart {
		t.Errorf("ordered %v, want the lost start", w.orders)
	}
	w.clock.Add(59 * time.Minute)
	if w.tick(t); len(w.orders) != 2 {
		t.Errorf("ordered %v, want both", w.orders)
	}
}

func TestRepublishesOrphansAndWhatHasWaited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	ref := w.cut(t, "m", false)
	w.clock.Add(time.Minute)
	if w.tick(t); len(w.refs) != 0 || len(w.orders) != 1 || w.orders[0].Shard != 0 {
		t.Errorf("after a minute: batches %v, orders %v; want the shard alone", w.refs, w.orders)
	}
	w.clock.Add(3 * time.Minute)
	if w.tick(t); len(w.refs) != 1 || w.refs[0] != ref {
		t.Errorf("an orphan was not published again: %v", w.refs)
	}
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
	w := newWorld(t)
	w.mailing(t, "m", nil)
	w.settle(t, w.cut(t, "m", true), push.ResultAccepted)
	if n := w.tick(t); n.completed != 1 || len(w.Published()) != 1 {
		t.Errorf("%+v, %d events", n, len(w.Published()))
	}
	if m := w.state(t, "m"); m.State != push.Completed || m.Active || m.Totals.Tokens.Accepted != 2 {
		t.Errorf("%+v", m)
	}
	if w.tick(t); len(w.Published()) != 1 {
		t.Error("the end was told twice")
	}
}

// TestTellsTheEndItsTellerCouldNot: the totals are frozen, but the event was
// not published; the next tick publishes it.
func TestTellsTheEndItsTellerCouldNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	w.settle(t, w.cut(t, "m", true), push.ResultAccepted)
	w.fail(errors.New("no Pub/Sub"))
	w.tick(t)
	if m := w.state(t, "m"); m.State != push.Completed || !m.Active {
		t.Fatalf("%+v", m)
	}
	w.fail(nil)
	w.tick(t)
	if m := w.state(t, "m"); m.Active || len(w.Published()) != 1 {
		t.Errorf("active %v, %d events", m.Active, len(w.Published()))
	}
}

func TestEndsWhatHasExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	ref := w.cut(t, "m", false)
	w.clock.Add(25 * time.Hour)
	if n := w.tick(t); n.expired != 1 || len(w.refs) != 1 {
		t.Fatalf("%+v, batches %v", n, w.refs)
	}
	w.settle(t, ref, push.ResultExpired)
	w.tick(t)
	m := w.state(t, "m")
	if m.State != push.Expired || m.Active || m.Totals == nil || m.Totals.Tokens.Expired != 2 {
		t.Errorf("%+v", m)
	}
}

func TestCancelledBeforeItBegan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.tick(t)
	if m := w.state(t, "m"); m.State != push.Cancelled || m.Active || m.Totals == nil {
		t.Errorf("%+v", m)
	}
}

// TestAcknowledgesWhateverHappens, and a fault with one mailing keeps no other
// waiting.
func TestAcknowledgesWhateverHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	w.mailing(t, "n", nil)
	w.clock.Add(time.Hour)
	w.fail(errors.New("no Pub/Sub"))
	if got := w.t.receiveFromPubSub(t.Context(), queue.Message{}); got != queue.Ack {
		t.Error("a tick that failed in part comes again, on top of the next one")
	}
	if len(w.orders) != 2 {
		t.Errorf("it ordered %v, want both", w.orders)
	}
}

// TestEveryMinuteSaysThatItWas: an alert waits for the line. Where rounds come
// faster, those that do nothing are not told of one by one.
func TestEveryMinuteSaysThatItWas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
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
		t.Error("a round that started a mailing is not told of")
	}
}
