package tick

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// A board collects what tick publishes.
type board struct {
	testcloud.EventRecorder[push.Event]
	mu               sync.Mutex
	now              func() time.Time
	dispatchMessages []push.DispatchMessage
	refs             []push.BatchRef
	lanes            []push.Lane // of refs
	at               []time.Time // of refs

	messages []string // ids
	err      error
}

func (b *board) PublishDispatch(_ context.Context, o ...push.DispatchMessage) error {
	if len(o) == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dispatchMessages = append(b.dispatchMessages, o...)
	return b.err
}

func (b *board) PublishBatches(_ context.Context, lane push.Lane, r ...push.BatchRef) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range r {
		b.lanes, b.at = append(b.lanes, lane), append(b.at, b.now())
	}
	b.refs = append(b.refs, r...)
	return b.err
}

// fail makes all publishing fail; nil: no more.
func (b *board) fail(err error) {
	b.err = err
	b.Fail(err)
}

type harness struct {
	*store.Store
	*board
	t     *ticker
	lab   *testcloud.Cloud
	clock *testcloud.Clock
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	return newHarnessOn(t, testcloud.New(t))
}

// newHarnessOn is tick over a database, by a clock that moves by sleeping on it.
func newHarnessOn(t *testing.T, l *testcloud.Cloud) *harness {
	t.Helper()
	c := testcloud.Noon()
	w := &harness{board: &board{now: c.Now}, clock: c, lab: l}
	w.Store = store.New(l.DB(), store.Options{Now: c.Now})
	w.t = newTicker(Deps{Store: w.Store, Queue: w.board, Log: slog.New(slog.DiscardHandler), Now: c.Now, Sleep: c.Sleep})
	return w
}

// did is what a round did.
type did struct{ started, republished, expired, completed int64 }

// tick is one round, without what becomes due after it.
func (w *harness) tick(t *testing.T) did {
	t.Helper()
	w.forget()
	var n roundCounts
	err := w.t.runRound(t.Context(), w.t.publishUntilTime(w.clock.Now()), &n)
	w.t.agenda = &agenda{}
	if err != nil && w.err == nil {
		t.Fatal(err)
	}
	return did{n.started.Load(), n.republished.Load(), n.expired.Load(), n.completed.Load()}
}

// call is one minute's message with all that follows from it; the clock moves on
// to the last item of the agenda.
func (w *harness) call(t *testing.T, data string) {
	t.Helper()
	w.forget()
	w.t.receiveFromPubSub(t.Context(), queue.Message{Data: []byte(data)})
}

func (w *harness) forget() { w.dispatchMessages, w.refs, w.lanes, w.at = nil, nil, nil, nil }

func (w *harness) mailing(t *testing.T, id string, change func(*push.Draft)) {
	t.Helper()
	d := push.Draft{Message: json.RawMessage(`{}`), Audience: push.Audience{Everyone: true}}
	if change != nil {
		change(&d)
	}
	if _, _, err := w.CreateMailing(t.Context(), push.NewMailing(id, id, d, w.clock.Now())); err != nil {
		t.Fatal(err)
	}
}

// createBatch starts a mailing and creates one batch of two targets; done says whether
// that was all of its shard.
func (w *harness) createBatch(t *testing.T, id string, done bool) push.BatchRef {
	t.Helper()
	if _, err := w.StartMailing(t.Context(), id, push.AllDevices, nil, []push.Shard{{Mailing: id}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.ReadShard(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	sh.Done, sh.Batches, sh.Targeted = done, 1, 2
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: "00-000000"}, CreatedAt: w.clock.Now(), PublishedAt: w.clock.Now(), Lane: push.LaneLarge,
		Targets: []push.Target{{Customer: "a", Token: "ta"}, {Customer: "b", Token: "tb"}}, Results: make([]push.Result, 2)}
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	return b.BatchRef
}

func (w *harness) settle(t *testing.T, ref push.BatchRef, r push.Result) {
	t.Helper()
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	b.ClosePending(r)
	b.Settled = true
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func (w *harness) state(t *testing.T, id string) *push.Mailing {
	t.Helper()
	m, err := w.ReadMailing(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (w *harness) register(t *testing.T, customer string, p push.Platform) {
	t.Helper()
	if _, err := w.RegisterToken(t.Context(), customer, push.Registration{Kind: push.KindToken, Value: "token of " + customer, Platform: p}); err != nil {
		t.Fatal(err)
	}
}
