package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A board collects what dispatch publishes; it may fail on demand.
type board struct {
	testcloud.EventRecorder[push.Event]
	mu       sync.Mutex
	messages []push.DispatchMessage
	refs     []push.BatchRef
	lanes    []push.Lane // of refs
	at       []time.Time // of refs, by now
	wakes    []string
	now      func() time.Time
	fail     func(step string) error
}

func (b *board) PublishDispatch(_ context.Context, o ...push.DispatchMessage) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fail("PublishDispatch"); err != nil {
		return err
	}
	b.messages = append(b.messages, o...)
	return nil
}

func (b *board) PublishWake(_ context.Context, mailings ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wakes = append(b.wakes, mailings...)
	return nil
}

func (b *board) PublishBatches(_ context.Context, lane push.Lane, r ...push.BatchRef) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.fail("PublishBatches"); err != nil {
		return err
	}
	for range r {
		b.at, b.lanes = append(b.at, b.now()), append(b.lanes, lane)
	}
	b.refs = append(b.refs, r...)
	return nil
}

// failAtStep adds to a store that a commit may fail before or after it has happened. A
// step is "before" or "after" and the name of the method.
func failAtStep(s *storetest.FailingStore, fail func(step string) error) {
	commits := []storetest.Method{storetest.StartMailing, storetest.CreateBatches, storetest.MarkMailingDispatched}
	s.Before(func(c *storetest.Call) error { return fail("before " + string(c.Method)) }, commits...)
	s.After(func(c *storetest.Call) error {
		if c.Failed() {
			return nil
		}
		return fail("after " + string(c.Method))
	}, commits...)
}

// A harness is dispatch over a real store, by a clock that moves only by sleeping
// on it.
type harness struct {
	*store.Store
	*board
	d       *dispatcher
	failing *storetest.FailingStore // what d calls; without hooks it is the store
	clock   *testcloud.Clock
	db      *firestore.Client
}

func newHarness(t *testing.T, fail func(string) error) *harness {
	t.Helper()
	if fail == nil {
		fail = func(string) error { return nil }
	}
	c := testcloud.Noon()
	db := testcloud.New(t).DB()
	s := store.New(db, store.Options{Now: c.Now})
	b := &board{now: c.Now, fail: fail}
	failing := storetest.New(s)
	failAtStep(failing, fail)
	d := newDispatcher(Deps{Store: failing, Queue: b, CallTimeout: time.Minute, Now: c.Now})
	return &harness{Store: s, board: b, d: d, failing: failing, clock: c, db: db}
}

// seed imports n customers with one to three tokens.
func (w *harness) seed(t *testing.T, n int) (tokens int) {
	t.Helper()
	return w.people(t, n, func(i int) int { return max(1, i%4) })
}

func (w *harness) seedEach(t *testing.T, n, tokens int) int {
	t.Helper()
	return w.people(t, n, func(int) int { return tokens })
}

func (w *harness) people(t *testing.T, n int, tokensOf func(i int) int) (tokens int) {
	t.Helper()
	lines := make([]store.ImportLine, n)
	for i := range lines {
		id := fmt.Sprintf("c%d", i)
		lines[i].Customer = id
		for j := range tokensOf(i) {
			lines[i].Tokens = append(lines[i].Tokens, push.Registration{Kind: push.KindToken, Value: fmt.Sprintf("%s-token-%d", id, j), Platform: push.Android})
			tokens++
		}
	}
	refused, _, err := w.ImportCustomers(t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (w *harness) mailing(t *testing.T, id string, change func(*push.Draft)) *push.Mailing {
	t.Helper()
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}}
	if change != nil {
		change(&d)
	}
	m, _, err := w.CreateMailing(t.Context(), push.NewMailing(id, id, d, w.clock.Now()))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// handleUntilDone handles a message and all that follow from it, as often as it takes: what
// fails is delivered again, and waiting does what tick does.
func (w *harness) handleUntilDone(t *testing.T, o push.DispatchMessage) {
	t.Helper()
	for todo := []push.DispatchMessage{o}; len(todo) > 0; todo = w.waiting(t, o.Mailing) {
		for _, o := range todo {
			w.handleDue(t, o)
		}
	}
}

// waiting does what tick does: it moves the clock to where the mailing goes on,
// publishes the batches that are due then, and returns the messages for shards.
func (w *harness) waiting(t *testing.T, id string) (messages []push.DispatchMessage) {
	t.Helper()
	for len(messages) == 0 {
		var next time.Time
		earliest := func(at time.Time) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
		}
		m, err := w.ReadMailingHeader(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		shards, err := w.ListOpenShards(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		open, err := w.ListOpenBatches(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if m.State != push.Sending {
			return nil
		}
		for _, sh := range shards {
			earliest(sh.ContinueAt)
		}
		for _, b := range open {
			if b.PublishedAt.IsZero() {
				earliest(b.NotBefore)
			}
		}
		if next.IsZero() {
			return nil
		}
		if wait := next.Sub(w.clock.Now()); wait > 0 {
			w.clock.Add(wait)
		}
		for _, b := range open {
			if b.PublishedAt.IsZero() && !b.NotBefore.After(w.clock.Now()) {
				w.publish(t, b)
			}
		}
		for _, sh := range shards {
			if !sh.ContinueAt.After(w.clock.Now()) {
				messages = append(messages, push.DispatchMessage{Mailing: id, Shard: sh.Number})
			}
		}
	}
	return messages
}

func (w *harness) publish(t *testing.T, b store.OpenBatch) {
	t.Helper()
	ok, err := w.MarkBatchPublished(t.Context(), b, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Fatalf("batch %s was not recorded as published, want it recorded", b.Batch)
	}
	if err := w.PublishBatches(t.Context(), b.Lane, b.BatchRef); err != nil {
		t.Fatal(err)
	}
}

// handleDue handles a message, and those that follow from it without a wait.
func (w *harness) handleDue(t *testing.T, o push.DispatchMessage) {
	t.Helper()
	todo := []push.DispatchMessage{o}
	for tries := 0; len(todo) > 0; tries++ {
		if tries > 200 {
			t.Fatal("dispatch does not come to an end")
		}
		w.mu.Lock()
		w.messages = nil
		w.mu.Unlock()
		if err := w.d.handleMessage(t.Context(), todo[0]); err == nil {
			todo = todo[1:]
		} else if replyFor(err) == 0 { // acknowledged
			todo = todo[1:]
		} else {
			w.clock.Add(2 * time.Minute) // back-off, and the lease of a call that crashed
		}
		todo = append(todo, w.messages...)
	}
}

// targets counts how often each token stands in the batches of a mailing.
func (w *harness) targets(t *testing.T, id string) map[string]int {
	t.Helper()
	open, err := w.ListOpenBatches(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, o := range open {
		b, err := w.ReadBatch(t.Context(), o.BatchRef)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range b.Targets {
			seen[x.Token]++
		}
	}
	return seen
}

func (w *harness) checkOnce(t *testing.T, id string, tokens int) {
	t.Helper()
	seen := w.targets(t, id)
	if len(seen) != tokens {
		t.Errorf("%d tokens stand in batches, want %d", len(seen), tokens)
	}
	for token, n := range seen {
		if n != 1 {
			t.Errorf("token %s stands in batches %d times, want once", token, n)
		}
	}
	m, err := w.ReadMailing(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	totals, err := w.ReadTotals(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, totals.Tokens.Targeted, int64(tokens), "tokens targeted")
	check.Equal(t, m.Dispatched, true, "Dispatched")
}
