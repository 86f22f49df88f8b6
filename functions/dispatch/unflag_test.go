package dispatch

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// flagged makes a mailing whose every token is flagged: batches with one
// customer a token, names c0 and so on.
func (w *harness) flagged(t testing.TB, id string, batches, size int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, _, err := w.CreateMailing(t.Context(), push.NewMailing(id, id, push.Draft{Message: []byte(`{}`), Audience: push.Audience{Everyone: true}}, w.clock.Now()))
	must(err)
	_, err = w.StartMailing(t.Context(), id, push.AllDevices, nil, []push.Shard{{Mailing: id}})
	must(err)
	created := w.clock.Now()
	for n := range batches {
		b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: fmt.Sprintf("00-%06d", n)}, CreatedAt: created, Results: make([]push.Result, size)}
		lines := make([]store.ImportLine, size)
		for i := range size {
			name := fmt.Sprintf("c%d", n*size+i)
			lines[i] = store.ImportLine{Customer: name, Tokens: []push.Registration{{Kind: push.KindToken, Value: name, Platform: push.Android}}}
			b.Targets = append(b.Targets, push.Target{Customer: name, Token: name, Kind: push.KindToken})
			b.InvalidTokens = append(b.InvalidTokens, push.InvalidToken{Customer: name, TokenID: push.TokenID(name), Code: push.CodeUnregistered, At: created})
		}
		_, _, err := w.ImportCustomers(t.Context(), lines)
		must(err)
		sh, err := w.ReadShard(t.Context(), id, 0)
		must(err)
		sh.Batches, sh.Done = n+1, n+1 == batches
		invalid := b.InvalidTokens
		must(w.CreateBatches(t.Context(), sh, []*push.Batch{b}))
		b, err = w.ReadBatch(t.Context(), b.BatchRef)
		must(err)
		b.InvalidTokens, b.Settled = invalid, true
		b.ClosePending(push.ResultUnregistered)
		must(w.SaveBatch(t.Context(), b))
		var g errgroup.Group
		g.SetLimit(unflagAtOnce)
		for _, d := range invalid {
			g.Go(func() error {
				_, err := w.FlagToken(t.Context(), store.Flag{Mailing: id, Customer: d.Customer, TokenID: d.TokenID, Code: d.Code, At: created, BatchCreatedAt: created})
				return err
			})
		}
		must(g.Wait())
	}
}

// takenBack checks that every flag of n customers is taken back, counted once,
// and its event is published, or is in the outbox for tick.
func (w *harness) takenBack(t testing.TB, id string, n int) {
	t.Helper()
	m, err := w.ReadMailingHeader(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if m.Unflag == nil {
		t.Fatal("Unflag is nil, want it set")
	}
	check.Equal(t, m.Unflag.State, push.UnflagCompleted, "state of the unflag")
	check.Equal(t, m.Unflag.Unflagged, int64(n), "number of unflagged tokens")

	w.clock.Add(time.Hour)
	owed, err := w.ListUnpublishedEvents(t.Context(), 10*n)
	if err != nil {
		t.Fatal(err)
	}
	published := map[string]bool{}
	for _, e := range append(owed, w.Published()...) {
		published[strings.TrimPrefix(e.Subject, "customers/")] = true
	}
	for i := range n {
		name := fmt.Sprintf("c%d", i)
		c, err := w.ReadCustomer(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if !c.HasValidToken() {
			t.Errorf("%s is still flagged", name)
		}
		if !published[name] {
			t.Errorf("no event says that %s is reachable again", name)
		}
	}
}

// An unflagCrash kills a call at the nth step of an unflag, before or after the step has
// happened: from then on the call reaches nothing.
type unflagCrash struct {
	nth    int
	step   atomic.Int64
	killed atomic.Bool
}

var errKilled = &push.Unavailable{Err: errors.New("the call was killed")}

// count counts a step, and returns errKilled once the call is killed.
func (c *unflagCrash) count() error {
	if c.step.Add(1) == int64(c.nth) {
		c.killed.Store(true)
	}
	if c.killed.Load() {
		return errKilled
	}
	return nil
}

// store makes the store of the call. Each of its calls is two steps: before it, and after
// it if it succeeded.
func (c *unflagCrash) store(s *store.Store) *storetest.FailingStore {
	methods := []storetest.Method{storetest.LeaseUnflag, storetest.ReadUnflagPage, storetest.UnflagTokens, storetest.SaveUnflagCursor, storetest.EndUnflag}
	before := func(*storetest.Call) error { return c.count() }
	after := func(call *storetest.Call) error {
		if call.Failed() {
			return nil
		}
		return c.count()
	}
	return storetest.New(s).Before(before, methods...).After(after, methods...)
}

// TestUnflagSurvivesACrashAtEveryStep: one call is killed, Pub/Sub delivers its message
// again and again; in the end each flag is taken back and counted once.
func TestUnflagSurvivesACrashAtEveryStep(t *testing.T) {
	t.Parallel()
	const batches, size = 20, 2 // two pages
	for nth := 1; ; nth++ {
		w := newHarness(t, nil)
		crash := &unflagCrash{nth: nth}
		w.d.Store = crash.store(w.Store)
		w.flagged(t, "m", batches, size)
		if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
			t.Fatal(err)
		}
		message := push.DispatchMessage{Mailing: "m", Shard: push.DispatchUnflag}
		tries := 0
		for completed := false; !completed; tries++ {
			if tries > 5 {
				t.Fatalf("killed at step %d once, and after %d deliveries it is not completed", nth, tries)
			}
			if err := w.d.handleMessage(t.Context(), message); err != nil && !errors.Is(err, errKilled) {
				t.Fatalf("step %d: %v", nth, err)
			}
			m, err := w.ReadMailingHeader(t.Context(), "m")
			if err != nil {
				t.Fatal(err)
			}
			if completed = m.Unflag.State == push.UnflagCompleted; !completed {
				crash.killed.Store(false)
				w.clock.Add(3 * time.Minute) // a lease that was not given back
			}
		}
		w.takenBack(t, "m", batches*size)
		if t.Failed() {
			t.Fatalf("that was with a kill at step %d", nth)
		}
		if crash.step.Load() < int64(nth) {
			if tries != 1 {
				t.Errorf("without a kill it took %d deliveries", tries)
			}
			return // every step has had its kill
		}
	}
}

// eachUnflagTakes moves the clock before each transaction of an unflag.
func (w *harness) eachUnflagTakes(d time.Duration) {
	w.failing.Before(storetest.Do(func() { w.clock.Add(d) }), storetest.UnflagTokens)
}

// TestUnflagHandsOver: a call works for its time, and a new message goes on
// where it stopped; meanwhile a second message has nothing to do.
func TestUnflagHandsOver(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.eachUnflagTakes(20 * time.Second)
	w.d.CallTimeout = time.Minute
	w.flagged(t, "m", 50, 2) // pages of 16, 32 and the rest: 20 s each
	if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	message := push.DispatchMessage{Mailing: "m", Shard: push.DispatchUnflag}
	if err := w.d.handleMessage(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	if len(w.messages) != 0 {
		t.Errorf("with its time it published %v", w.messages)
	}
	w.takenBack(t, "m", 100)

	w = newHarness(t, nil)
	w.eachUnflagTakes(55 * time.Second)
	w.d.CallTimeout = time.Minute
	w.flagged(t, "m", 50, 2)
	if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	calls := 0
	for todo := []push.DispatchMessage{message}; len(todo) > 0; calls++ {
		if calls > 10 {
			t.Fatal("it does not come to an end")
		}
		w.messages = nil
		if err := w.d.handleMessage(t.Context(), todo[0]); err != nil {
			t.Fatal(err)
		}
		todo = append(todo[1:], w.messages...)
	}
	if calls < 3 {
		t.Errorf("%d calls did three pages, each of which takes a call's time", calls)
	}
	w.takenBack(t, "m", 100)
}

// TestASecondMessageChangesNothing while the first is worked on, nor afterwards.
func TestASecondMessageChangesNothing(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.flagged(t, "m", 1, 3)
	if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	first, err := w.LeaseUnflag(t.Context(), "m", w.clock.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	message := push.DispatchMessage{Mailing: "m", Shard: push.DispatchUnflag}
	if err := w.d.handleMessage(t.Context(), message); err != nil {
		t.Fatal(err)
	}
	c, err := w.ReadCustomer(t.Context(), "c0")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, c.HasValidToken(), false, "that c0 can be reached after a second call")
	if err := w.SaveUnflagCursor(t.Context(), first, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.d.handleMessage(t.Context(), message); err != nil {
			t.Fatal(err)
		}
	}
	w.takenBack(t, "m", 3)
}

// TestOneBadCustomerDoesNotStopAnUnflag: it is logged, and the others are done.
func TestOneBadCustomerDoesNotStopAnUnflag(t *testing.T) {
	t.Parallel()
	l := testcloud.New(t)
	c, log := testcloud.Noon(), &testcloud.LogBuffer{}
	s := store.New(l.DB(), store.Options{Now: c.Now})
	b := &board{now: c.Now, fail: func(string) error { return nil }}
	w := &harness{Store: s, board: b, clock: c, d: newDispatcher(Deps{Store: s, Queue: b, Log: log.Logger(), Now: c.Now})}
	w.flagged(t, "m", 2, 5)
	key := push.CustomerKey("c3")
	if _, err := l.DB().Doc("customers/"+key).Set(t.Context(), map[string]any{"id": "c3", "tokens": 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.DB().Doc("mailings/m/batches/00-000001").Set(t.Context(), map[string]any{"hasInvalidTokens": true, "invalidTokens": "no JSON"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m", Shard: push.DispatchUnflag}); err != nil {
		t.Fatal(err)
	}
	m, err := w.ReadMailingHeader(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, m.Unflag.State, push.UnflagCompleted, "state of the unflag")
	check.Equal(t, m.Unflag.Unflagged, 4, "number of unflagged tokens")
	for _, want := range []string{key, "00-000001"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not name %s", want)
		}
	}
}

// TestAPageThatTimeDidNotSufficeForStaysNext: what a call did not come to is
// not passed over.
func TestAPageThatTimeDidNotSufficeForStaysNext(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.flagged(t, "m", 1, 3)
	if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	l, err := w.LeaseUnflag(t.Context(), "m", w.clock.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	last, err := w.d.unflagPage(t.Context(), l, w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if last {
		t.Error("a page that was not done was the last")
	}
	if err := w.SaveUnflagCursor(t.Context(), l, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m", Shard: push.DispatchUnflag}); err != nil {
		t.Fatal(err)
	}
	w.takenBack(t, "m", 3)
}
