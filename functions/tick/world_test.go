package tick

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"carillon.example/emulators/lab"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A board collects what tick publishes.
type board struct {
	lab.Board[push.Event]
	orders []push.DispatchOrder
	refs   []push.Ref
	err    error
}

func (b *board) Dispatch(_ context.Context, o ...push.DispatchOrder) error {
	if len(o) == 0 {
		return nil
	}
	b.orders = append(b.orders, o...)
	return b.err
}

func (b *board) Deliver(_ context.Context, r ...push.Ref) error {
	if len(r) == 0 {
		return nil
	}
	b.refs = append(b.refs, r...)
	return b.err
}

// fail makes all publishing fail; nil: no more.
func (b *board) fail(err error) {
	b.err = err
	b.Fail(err)
}

type world struct {
	*store.Store
	*board
	t     *ticker
	clock *lab.Clock
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{board: &board{}, clock: lab.Noon()}
	w.Store = store.New(lab.New(t).DB(), store.Options{Now: w.clock.Now})
	w.t = &ticker{Deps: Deps{Store: w.Store, Queue: w.board, Log: slog.New(slog.DiscardHandler), Now: w.clock.Now}}
	return w
}

// tick is one minute's message.
func (w *world) tick(t *testing.T) counts {
	t.Helper()
	w.orders, w.refs = nil, nil
	n, err := w.t.round(t.Context())
	if err != nil && w.err == nil {
		t.Fatal(err)
	}
	return n
}

func (w *world) mailing(t *testing.T, id string, change func(*push.Draft)) {
	t.Helper()
	d := push.Draft{Message: json.RawMessage(`{}`), Audience: push.Audience{Everyone: true}}
	if change != nil {
		change(&d)
	}
	if _, _, err := w.CreateMailing(t.Context(), push.NewMailing(id, id, d, w.clock.Now())); err != nil {
		t.Fatal(err)
	}
}

// cut starts a mailing and cuts one batch of two targets; done says whether
// that was all of its shard.
func (w *world) cut(t *testing.T, id string, done bool) push.Ref {
	t.Helper()
	if _, err := w.Start(t.Context(), id, push.All, []push.Shard{{Mailing: id}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.Shard(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	sh.Done, sh.Batches, sh.Targeted = done, 1, 2
	b := &push.Batch{Ref: push.Ref{Mailing: id, Batch: "00-000000"}, CutAt: w.clock.Now(),
		Targets: []push.Target{{Customer: "a", Token: "ta"}, {Customer: "b", Token: "tb"}}, Receipts: make([]push.Receipt, 2)}
	if err := w.Cut(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	return b.Ref
}

func (w *world) settle(t *testing.T, ref push.Ref, r push.Receipt) {
	t.Helper()
	b, err := w.Batch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	b.Close(r)
	b.Settled = true
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func (w *world) state(t *testing.T, id string) *push.Mailing {
	t.Helper()
	m, err := w.Mailing(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (w *world) register(t *testing.T, customer string, p push.Platform) {
	t.Helper()
	if _, err := w.Register(t.Context(), customer, push.Registration{Kind: push.KindToken, Value: "token of " + customer, Platform: p}); err != nil {
		t.Fatal(err)
	}
}
