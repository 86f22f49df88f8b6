package tick

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	cloudfs "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/firestore"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

var server = sync.OnceValues(func() (string, error) {
	if host := os.Getenv("FIRESTORE_EMULATOR_HOST"); host != "" {
		return host, nil
	}
	indexes, err := os.ReadFile("../../firestore.indexes.json")
	if err != nil {
		return "", err
	}
	s, err := firestore.Start("127.0.0.1:0", firestore.Options{RequireIndexes: indexes})
	if err != nil {
		return "", err
	}
	return s.Addr(), nil
})

// A board collects what tick publishes.
type board struct {
	orders []push.DispatchOrder
	refs   []push.Ref
	events []push.Event
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

func (b *board) Events(_ context.Context, e ...push.Event) error {
	if b.err == nil {
		b.events = append(b.events, e...)
	}
	return b.err
}

type world struct {
	*store.Store
	*board
	t    *ticker
	time time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	host, err := server()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	db, err := cloudfs.NewClient(context.Background(), "test-"+strings.ToLower(rand.Text()), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{board: &board{}, time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	w.Store = store.New(db, store.Options{Now: w.now})
	w.t = &ticker{Deps{Store: w.Store, Queue: w.board, Log: slog.New(slog.DiscardHandler), Now: w.now}}
	return w
}

func (w *world) now() time.Time { return w.time }

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
	if _, _, err := w.CreateMailing(t.Context(), push.NewMailing(id, id, d, w.time)); err != nil {
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
	b := &push.Batch{Ref: push.Ref{Mailing: id, Batch: "00-000000"}, CutAt: w.time,
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

func TestStartsWhatIsDueAndWhatGotLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	at := w.time.Add(time.Hour)
	w.mailing(t, "later", func(d *push.Draft) { d.SendAt = &at })
	w.mailing(t, "lost", nil)
	if w.tick(t); len(w.orders) != 0 {
		t.Errorf("ordered %v before anything was due", w.orders)
	}
	w.time = w.time.Add(time.Minute)
	if w.tick(t); len(w.orders) != 1 || w.orders[0].Mailing != "lost" || w.orders[0].Shard != push.Start {
		t.Errorf("ordered %v, want the lost start", w.orders)
	}
	w.time = at
	if w.tick(t); len(w.orders) != 2 {
		t.Errorf("ordered %v, want both", w.orders)
	}
}

func TestRepublishesOrphansAndWhatHasWaited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	ref := w.cut(t, "m", false)
	w.time = w.time.Add(time.Minute)
	if w.tick(t); len(w.refs) != 0 || len(w.orders) != 1 || w.orders[0].Shard != 0 {
		t.Errorf("after a minute: batches %v, orders %v; want the shard alone", w.refs, w.orders)
	}
	w.time = w.time.Add(3 * time.Minute)
	if w.tick(t); len(w.refs) != 1 || w.refs[0] != ref {
		t.Errorf("an orphan was not published again: %v", w.refs)
	}
	b, err := w.Batch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Lease(t.Context(), b, push.Lease{Owner: "x", Until: w.time.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if w.tick(t); len(w.refs) != 0 {
		t.Errorf("a leased batch was published: %v", w.refs)
	}
	w.time = w.time.Add(2 * time.Minute)
	if w.tick(t); len(w.refs) != 1 {
		t.Error("a batch whose lease has lapsed was not published")
	}
	b.Lease, b.NotBefore = push.Lease{}, w.time.Add(10*time.Minute)
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if w.tick(t); len(w.refs) != 0 {
		t.Error("a batch was published before its time")
	}
	w.time = w.time.Add(10 * time.Minute)
	if w.tick(t); len(w.refs) != 1 {
		t.Error("a batch whose time has come was not published")
	}
}

func TestFinishesWhatTheLastBatchCouldNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	w.settle(t, w.cut(t, "m", true), push.ReceiptAccepted)
	if n := w.tick(t); n.completed != 1 || len(w.events) != 1 {
		t.Errorf("%+v, %d events", n, len(w.events))
	}
	if m := w.state(t, "m"); m.State != push.Completed || m.Active || m.Totals.Tokens.Accepted != 2 {
		t.Errorf("%+v", m)
	}
	if w.tick(t); len(w.events) != 1 {
		t.Error("the end was told twice")
	}
}

// TestTellsTheEndItsTellerCouldNot: the totals are frozen, but the event was
// not published; the next tick publishes it.
func TestTellsTheEndItsTellerCouldNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	w.settle(t, w.cut(t, "m", true), push.ReceiptAccepted)
	w.err = errors.New("no Pub/Sub")
	w.tick(t)
	if m := w.state(t, "m"); m.State != push.Completed || !m.Active {
		t.Fatalf("%+v", m)
	}
	w.err = nil
	w.tick(t)
	if m := w.state(t, "m"); m.Active || len(w.events) != 1 {
		t.Errorf("active %v, %d events", m.Active, len(w.events))
	}
}

func TestEndsWhatHasExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	ref := w.cut(t, "m", false)
	w.time = w.time.Add(25 * time.Hour)
	if n := w.tick(t); n.expired != 1 || len(w.refs) != 1 {
		t.Fatalf("%+v, batches %v", n, w.refs)
	}
	w.settle(t, ref, push.ReceiptExpired)
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
	if _, err := w.Cancel(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.tick(t)
	if m := w.state(t, "m"); m.State != push.Cancelled || m.Active || m.Totals == nil {
		t.Errorf("%+v", m)
	}
}

func TestAcknowledgesWhateverHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mailing(t, "m", nil)
	w.time = w.time.Add(time.Hour)
	w.err = errors.New("no Pub/Sub")
	if got := w.t.receive(t.Context(), queue.Message{}); got != queue.Ack {
		t.Error("a tick that failed in part comes again, on top of the next one")
	}
}
