package deliver

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

var errKilled = errors.New("killed")

// killedAfterSaves makes a store of an instance that is killed after so many saves of
// a batch: what was sent after the last save is forgotten.
func killedAfterSaves(s *store.Store, saves int) *storetest.FailingStore {
	return storetest.New(s).Before(storetest.FailFrom(int64(saves)+1, errKilled), storetest.SaveBatch)
}

// A crash is the end of an instance at one of its steps: a lease or a save of a batch,
// or a publish of events. Each step after it fails too.
type crash struct {
	steps int  // that still succeed; negative: all do
	lost  bool // the steps that fail have their effect, and only their answer is lost

	mu    sync.Mutex // guards taken
	taken int
}

// step counts a step, and returns errKilled if the instance has crashed.
func (c *crash) step() error {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.taken++; c.steps >= 0 && c.taken > c.steps {
		return errKilled
	}
	return nil
}

// store makes the store of the instance.
func (c *crash) store(s *store.Store) *storetest.FailingStore {
	step := func(*storetest.Call) error { return c.step() }
	if c.lost {
		return storetest.New(s).After(step, storetest.SaveBatch, storetest.LeaseBatch)
	}
	return storetest.New(s).Before(step, storetest.SaveBatch, storetest.LeaseBatch)
}

// A crashingPublisher publishes the events of an instance until it crashes.
type crashingPublisher struct {
	*testcloud.EventRecorder[push.Event]
	crash *crash
}

// PublishEvents is a step if there are events.
func (p *crashingPublisher) PublishEvents(ctx context.Context, e ...push.Event) error {
	if len(e) == 0 {
		return nil
	}

	err := p.crash.step()
	if err != nil && !p.crash.lost {
		return err
	}
	return errors.Join(p.EventRecorder.PublishEvents(ctx, e...), err)
}

// TestACrashInTheMiddle: whatever save the call crashes before, every token gets the message,
// and at most 250 of the batch get it again.
func TestACrashInTheMiddle(t *testing.T) {
	t.Parallel()
	saves := 0
	for killedAfter(t, saves) {
		saves++
	}
	if saves < push.MaxBatch/maxUnsaved {
		t.Errorf("a whole batch was saved %d times", saves)
	}
}

// killedAfter reports whether a call that crashes before its next save after so
// many was killed, or had made its last.
func killedAfter(t *testing.T, saves int) bool {
	t.Helper()
	w := newBatchHarness(t, phones.Options{Latency: 2 * time.Millisecond})
	w.phones.SetOutcome("*-token-0007", "UNREGISTERED")
	ref := w.mailing("m", true, names("t", push.MaxBatch)...)
	deps := w.deps
	deps.Store = killedAfterSaves(w.Store, saves)
	err := newDeliverer(deps).deliverAndFinish(t.Context(), ref, "")
	killed := err != nil
	if killed && !errors.Is(err, errKilled) {
		t.Fatalf("with %d saves it ended with %v, want %v", saves, err, errKilled)
	}
	if got := replyFor(queue.Message{}, err); killed && got != queue.Redeliver {
		t.Fatalf("with %d saves its message was settled by %v, want %v", saves, got, queue.Redeliver)
	}
	w.clock.Add(time.Hour - time.Minute) // the lease lapses; young enough not to be expired
	w.deliver(ref)
	again := 0
	sent := w.messagesByToken("m")
	for _, n := range sent {
		if n > 2 {
			t.Errorf("a token got %d messages, want at most 2", n)
		}
		again += n - 1
	}
	check.Equal(t, len(sent), push.MaxBatch-1, "with %d saves: number of tokens that got the message", saves)
	if again > maxUnsaved {
		t.Errorf("with %d saves: number of tokens that got it again is %v, want at most %v", saves, again, maxUnsaved)
	}
	if !killed && again > 0 {
		t.Errorf("with %d saves, all of them: number of tokens that got it again is %d, want 0", saves, again)
	}
	m, totals := w.totals("m")
	check.Equal(t, m.State, push.Completed, "with %d saves: state", saves)
	check.Equal(t, totals.Accepted, push.MaxBatch-1, "with %d saves: tokens accepted", saves)
	if got := w.invalid("t-token-0007"); got != push.CodeUnregistered {
		t.Errorf("with %d saves the flag of the invalid token is %q", saves, got)
	}
	return killed
}

// TestSigtermSavesResultsFirst: an instance that has to stop sends no more, saves
// what it has, and gives the batch back; no token gets two messages.
func TestSigtermSavesResultsFirst(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{Latency: 30 * time.Millisecond})
	ref := w.mailing("m", true, names("t", push.MaxBatch)...)
	stopping, stop := context.WithCancel(t.Context())
	deps := w.deps
	deps.Stopping = stopping
	events, cancel := w.phones.Subscribe()
	defer cancel()
	go func() { <-events; stop() }()
	if err := newDeliverer(deps).deliverAndFinish(t.Context(), ref, ""); err != nil {
		t.Fatal(err)
	}
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.Settled {
		t.Fatal("Settled is true, want false")
	}
	if !b.Lease.Until.IsZero() {
		t.Fatalf("Lease.Until is %v, want the zero time", b.Lease.Until)
	}
	w.clock.Add(time.Second)
	w.deliver(ref)
	for token, n := range w.messagesByToken("m") {
		if n != 1 {
			t.Errorf("token %s got %d messages, want 1", token, n)
		}
	}
	_, totals := w.totals("m")
	check.Equal(t, totals.Accepted, int64(push.MaxBatch), "accepted tokens")
}

// TestAStoppingInstanceSendsNothing: a call that starts after SIGTERM sends no message,
// however late its goroutines run.
func TestAStoppingInstanceSendsNothing(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	stopping, stop := context.WithCancel(t.Context())
	stop()
	deps := w.deps
	deps.Stopping = stopping
	call := &delivery{deliverer: newDeliverer(deps), deadline: w.clock.Now().Add(time.Minute)}

	for i := range 100 {
		sending, cancel := call.untilDeadline(t.Context())
		err := sending.Err()
		cancel()
		if err == nil {
			t.Fatalf("call %d may still send, want not: the instance has to stop", i)
		}
	}
}

// TestACallThatEndsSavesItsResults: the call's own end comes with an answer.
func TestACallThatEndsSavesItsResults(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, "first-token")
	ctx, end := context.WithCancel(t.Context())
	w.deps.Sender = ending{w.deps.Sender, end}
	if err := newDeliverer(w.deps).deliverAndFinish(ctx, ref, ""); err != nil {
		t.Error(err)
	}
	m, totals := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, totals.Accepted, 1, "tokens accepted")
}

// ending ends something with each answer.
type ending struct {
	sender
	end func()
}

func (s ending) Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer)) {
	s.sender.Send(ctx, it, func(a fcm.Answer) { s.end(); answered(a) })
}

// TestWhatIsUnderWayIsNotForgotten: a call that fails while answers are still
// to come waits for them and saves them; no token gets two messages.
func TestWhatIsUnderWayIsNotForgotten(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 3)...)
	deps := w.deps
	deps.Store = storetest.New(w.Store).Before(storetest.FailFrom(2, errKilled), storetest.ReadMailingHeader)
	deps.Sender = slow{w.deps.Sender, saveEvery + saveEvery/2}
	if err := newDeliverer(deps).deliverAndFinish(t.Context(), ref, ""); !errors.Is(err, errKilled) {
		t.Errorf("deliverAndFinish returned %v, want errKilled", err)
	}
	w.deliver(ref)
	m, totals := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, totals.Accepted, 3, "tokens accepted")
	for token, n := range w.messagesByToken("m") {
		if n != 1 {
			t.Errorf("token %s got %d messages, want 1", token, n)
		}
	}
}
