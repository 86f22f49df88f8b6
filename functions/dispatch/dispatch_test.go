package dispatch

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
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

// A board collects what dispatch publishes; it may fail on demand.
type board struct {
	mu     sync.Mutex
	orders []push.DispatchOrder
	refs   []push.Ref
	events []push.Event
	at     []time.Time // of refs, by now
	now    func() time.Time
	fail   func(step string) error
}

func (b *board) step(name string) error {
	if b.fail == nil {
		return nil
	}
	return b.fail(name)
}

func (b *board) Dispatch(_ context.Context, o ...push.DispatchOrder) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.step("publish orders"); err != nil {
		return err
	}
	b.orders = append(b.orders, o...)
	return nil
}

func (b *board) Deliver(_ context.Context, r ...push.Ref) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.step("publish batches"); err != nil {
		return err
	}
	for range r {
		b.at = append(b.at, b.now())
	}
	b.refs = append(b.refs, r...)
	return nil
}

func (b *board) Events(_ context.Context, e ...push.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e...)
	return nil
}

// fragile fails a commit before or after it has happened.
type fragile struct {
	*store.Store
	fail func(step string) error
}

func (f *fragile) Cut(ctx context.Context, sh *push.Shard, batches []*push.Batch) error {
	if err := f.fail("before cut"); err != nil {
		return err
	}
	if err := f.Store.Cut(ctx, sh, batches); err != nil {
		return err
	}
	return f.fail("after cut")
}

func (f *fragile) Start(ctx context.Context, id string, d push.Devices, shards []push.Shard) (*push.Mailing, error) {
	if err := f.fail("before start"); err != nil {
		return nil, err
	}
	m, err := f.Store.Start(ctx, id, d, shards)
	if err != nil {
		return nil, err
	}
	return m, f.fail("after start")
}

func (f *fragile) MarkDispatched(ctx context.Context, id string) (bool, error) {
	if err := f.fail("before marking"); err != nil {
		return false, err
	}
	ok, err := f.Store.MarkDispatched(ctx, id)
	return ok, errors.Join(err, f.fail("after marking"))
}

type world struct {
	*store.Store
	*board
	d     *dispatcher
	clock *clock
}

// A clock that moves only by sleeping on it.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	return ctx.Err()
}

func newWorld(t *testing.T, fail func(string) error) *world {
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
	c := &clock{t: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	s := store.New(db, store.Options{Now: c.now})
	if fail == nil {
		fail = func(string) error { return nil }
	}
	b := &board{now: c.now, fail: fail}
	d := newDispatcher(Deps{Store: &fragile{s, fail}, Queue: b, CallTimeout: time.Minute, Now: c.now, Sleep: c.sleep})
	return &world{Store: s, board: b, d: d, clock: c}
}

// seed registers n customers with up to three tokens; every fifth has none.
func (w *world) seed(t *testing.T, n int) (tokens int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("c%d", i)
		for j := range max(1, i%4) {
			_, err := w.Register(t.Context(), id, push.Registration{Kind: push.KindToken, Value: fmt.Sprintf("%s-token-%d", id, j), Platform: push.Android})
			if err != nil {
				t.Fatal(err)
			}
			tokens++
		}
	}
	return tokens
}

func (w *world) mailing(t *testing.T, id string, change func(*push.Draft)) *push.Mailing {
	t.Helper()
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}}
	if change != nil {
		change(&d)
	}
	m, _, err := w.CreateMailing(t.Context(), push.NewMailing(id, id, d, w.clock.now()))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// carryOut does an order and all that follow from it, as often as it takes:
// what fails is delivered again.
func (w *world) carryOut(t *testing.T, o push.DispatchOrder) {
	t.Helper()
	todo := []push.DispatchOrder{o}
	for tries := 0; len(todo) > 0; tries++ {
		if tries > 200 {
			t.Fatal("dispatch does not come to an end")
		}
		w.mu.Lock()
		w.orders = nil
		w.mu.Unlock()
		if err := w.d.carryOut(t.Context(), todo[0]); err == nil {
			todo = todo[1:]
		} else if settle(err) == 0 { // acknowledged
			todo = todo[1:]
		} else {
			_ = w.clock.sleep(t.Context(), 2*time.Minute) // back-off, and a dead call's hold on its shard
		}
		todo = append(todo, w.orders...)
	}
}

// targets counts how often each token stands in the batches of a mailing.
func (w *world) targets(t *testing.T, id string) map[string]int {
	t.Helper()
	open, err := w.OpenBatches(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, o := range open {
		b, err := w.Batch(t.Context(), o.Ref)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range b.Targets {
			seen[x.Token]++
		}
	}
	return seen
}

func (w *world) checkOnce(t *testing.T, id string, tokens int) {
	t.Helper()
	seen := w.targets(t, id)
	if len(seen) != tokens {
		t.Errorf("%d tokens stand in batches, want %d", len(seen), tokens)
	}
	for token, n := range seen {
		if n != 1 {
			t.Errorf("token %s stands in batches %d times", token, n)
		}
	}
	m, err := w.Mailing(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	totals, err := w.Totals(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	if totals.Tokens.Targeted != int64(tokens) || !m.Dispatched {
		t.Errorf("totals say %+v, dispatched %v", totals.Tokens, m.Dispatched)
	}
}

func TestEveryoneIsCutOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	tokens := w.seed(t, 40)
	w.mailing(t, "m", nil)
	w.carryOut(t, push.DispatchOrder{Mailing: "m", Shard: push.Start})
	w.checkOnce(t, "m", tokens)
	if open, _ := w.OpenBatches(t.Context(), "m"); len(open) != len(w.refs) {
		t.Errorf("%d batches were cut, %d published", len(open), len(w.refs))
	}
}

// TestDyingAtEachStep kills dispatch once before and once after every commit
// and publish; whoever comes next skips nobody and takes nobody twice.
func TestDyingAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{"before start", "after start", "publish orders", "before cut", "after cut", "publish batches", "before marking", "after marking"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			var once sync.Once
			hit := false
			w := newWorld(t, func(s string) (err error) {
				if s == step {
					once.Do(func() { err, hit = errors.New("killed"), true })
				}
				return err
			})
			tokens := w.seed(t, 12)
			w.mailing(t, "m", nil)
			w.carryOut(t, push.DispatchOrder{Mailing: "m", Shard: push.Start})
			if !hit {
				t.Fatal("the step never came")
			}
			w.checkOnce(t, "m", tokens)
		})
	}
}

func TestDoubledAndLateOrders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	tokens := w.seed(t, 20)
	w.mailing(t, "m", nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { _ = w.d.carryOut(t.Context(), push.DispatchOrder{Mailing: "m", Shard: push.Start}) })
	}
	wg.Wait()
	for range 4 {
		wg.Go(func() { _ = w.d.carryOut(t.Context(), push.DispatchOrder{Mailing: "m", Shard: 0}) })
	}
	wg.Wait()
	w.carryOut(t, push.DispatchOrder{Mailing: "m", Shard: push.Start})
	w.checkOnce(t, "m", tokens)
}

func TestAudiencesAndExclusions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.seed(t, 8)
	_, err := w.Flag(t.Context(), store.Flag{Mailing: "old", Customer: "c1", TokenID: push.TokenID("c1-token-0"), Code: push.CodeUnregistered, At: w.clock.now(), CutAt: w.clock.now()})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change   func(*push.Draft)
		tokens   int
		targeted int64
		excluded push.Excluded
	}{
		"customers": {func(d *push.Draft) { d.Audience = push.Audience{Customers: []string{"c1", "c2", "c3", "nobody"}} }, 5, 2, push.Excluded{NoValidToken: 1, Unknown: 1}},
		"latest": {func(d *push.Draft) {
			d.Audience, d.Devices = push.Audience{Customers: []string{"c2", "c3"}}, push.Latest
		}, 2, 2, push.Excluded{}},
		"tokens": {func(d *push.Draft) {
			d.Audience = push.Audience{Tokens: []string{"c3-token-0", "c3-token-2", "c1-token-0", "never seen"}}
		}, 2, 1, push.Excluded{NoValidToken: 1, Unknown: 1}},
		"everyone": {func(*push.Draft) {}, 13, 7, push.Excluded{NoValidToken: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			m := w.mailing(t, "m-"+name, c.change)
			w.carryOut(t, push.DispatchOrder{Mailing: m.ID, Shard: push.Start})
			w.checkOnce(t, m.ID, c.tokens)
			totals, err := w.Totals(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if totals.Customers.Targeted != c.targeted || totals.Customers.Excluded != c.excluded {
				t.Errorf("customers: %+v", totals.Customers)
			}
		})
	}
}

// TestNobodyToRing: a mailing nobody gets is completed at once, and told.
func TestNobodyToRing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.mailing(t, "m", func(d *push.Draft) { d.Audience = push.Audience{Customers: []string{"nobody"}} })
	w.carryOut(t, push.DispatchOrder{Mailing: "m", Shard: push.Start})
	m, err := w.Mailing(t.Context(), "m")
	if err != nil || m.State != push.Completed || len(w.events) != 1 {
		t.Errorf("%s, %d events (%v)", m.State, len(w.events), err)
	}
}

// TestRateGivesSlots: over any five minutes a mailing with a rate sends that
// rate within 5 %.
func TestRateGivesSlots(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.d.CallTimeout = time.Hour
	tokens := w.seed(t, 200)
	rate := 600
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	began := w.clock.now()
	w.carryOut(t, push.DispatchOrder{Mailing: "m", Shard: push.Start})
	w.checkOnce(t, "m", tokens)
	took := w.clock.now().Sub(began)
	ideal := time.Duration(tokens) * time.Minute / time.Duration(rate)
	if took > ideal || took < ideal-6*time.Second {
		t.Errorf("%d tokens at %d a minute were published within %s, want about %s less the last batch", tokens, rate, took, ideal)
	}
}

func TestScheduledAndHeldMailingsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.seed(t, 3)
	at := w.clock.now().Add(time.Hour)
	w.mailing(t, "later", func(d *push.Draft) { d.SendAt = &at })
	w.mailing(t, "held", nil)
	if _, err := w.Pause(t.Context(), "held"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"later", "held"} {
		w.carryOut(t, push.DispatchOrder{Mailing: id, Shard: push.Start})
		if n := len(w.targets(t, id)); n != 0 {
			t.Errorf("%s: %d tokens were cut", id, n)
		}
	}
	_ = w.clock.sleep(t.Context(), 2*time.Hour)
	w.carryOut(t, push.DispatchOrder{Mailing: "later", Shard: push.Start})
	if len(w.targets(t, "later")) == 0 {
		t.Error("a mailing whose time has come was not cut")
	}
}

func TestShardsCoverTheKeysWithoutOverlap(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 25_000, 25_001, 300_000, 10_000_000} {
		list := shards(&push.Mailing{ID: "m", Draft: push.Draft{Audience: push.Audience{Everyone: true}}}, n)
		if list[0].From != "" || list[len(list)-1].Upto != "" {
			t.Errorf("%d customers: the shards do not reach the ends", n)
		}
		for k := 1; k < len(list); k++ {
			if list[k].From != list[k-1].Upto || list[k].From <= list[k-1].From {
				t.Errorf("%d customers: shard %d begins at %q, the one before ends at %q", n, k, list[k].From, list[k-1].Upto)
			}
		}
	}
}
