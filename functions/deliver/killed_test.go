package deliver

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// deaf is a store whose saves fail from a point on, as when the instance is
// killed: what was sent after the last save is forgotten.
type deaf struct {
	dataStore
	mu    sync.Mutex
	saves int // that still succeed
}

var errKilled = errors.New("killed")

func (d *deaf) SaveBatch(ctx context.Context, b *push.Batch) error {
	d.mu.Lock()
	d.saves--
	dead := d.saves < 0
	d.mu.Unlock()
	if dead {
		return errKilled
	}
	return d.dataStore.SaveBatch(ctx, b)
}

// dying is a ledger and a publisher whose next calls fail as drawn: a crash at
// that point of the call.
type dying struct {
	dataStore
	*testcloud.EventRecorder[push.Event]
	mu    sync.Mutex
	after int // calls that still succeed; negative: all do
	lost  bool
}

// fate is nil, or the crash; lost says that the effect happens all the same.
func (d *dying) fate() (err error, lost bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.after < 0 {
		return nil, false
	}
	if d.after--; d.after < 0 {
		d.after = 0
		return errKilled, d.lost
	}
	return nil, false
}

func (d *dying) SaveBatch(ctx context.Context, b *push.Batch) error {
	err, lost := d.fate()
	if err != nil && !lost {
		return err
	}
	return errors.Join(d.dataStore.SaveBatch(ctx, b), err)
}

func (d *dying) LeaseBatch(ctx context.Context, b *push.Batch, l push.Lease) error {
	err, lost := d.fate()
	if err != nil && !lost {
		return err
	}
	return errors.Join(d.dataStore.LeaseBatch(ctx, b, l), err)
}

func (d *dying) PublishEvents(ctx context.Context, e ...push.Event) error {
	if len(e) == 0 {
		return nil
	}
	err, lost := d.fate()
	if err != nil && !lost {
		return err
	}
	return errors.Join(d.EventRecorder.PublishEvents(ctx, e...), err)
}

// TestKilledInTheMiddle: whatever save it dies before, everybody is rung, and
// at most 250 of the batch are rung again.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	saves := 0
	for killedAfter(t, saves) {
		saves++
	}
	if saves < push.MaxBatch/maxUnsaved {
		t.Errorf("a whole batch was saved %d times", saves)
	}
}

// killedAfter reports whether a call that dies before its next save after so
// many was killed, or had made its last.
func killedAfter(t *testing.T, saves int) bool {
	t.Helper()
	w := newWorld(t, phones.Options{Latency: 2 * time.Millisecond})
	w.phones.SetOutcome("*-token-0007", "UNREGISTERED")
	ref := w.mailing("m", true, names("t", push.MaxBatch)...)
	deps := w.deps
	deps.Store = &deaf{dataStore: w.Store, saves: saves}
	err := newDeliverer(deps).deliverAndFinish(t.Context(), ref, "")
	killed := err != nil
	if killed && (!errors.Is(err, errKilled) || settlementFor(queue.Message{}, err) != queue.Redeliver) {
		t.Fatalf("with %d saves it ended with %v", saves, err)
	}
	w.clock.Add(time.Hour - time.Minute) // the lease lapses; young enough not to be expired
	w.deliver(ref)
	again := 0
	rung := w.rung("m")
	for _, n := range rung {
		if n > 2 {
			t.Errorf("a token was rung %d times", n)
		}
		again += n - 1
	}
	if len(rung) != push.MaxBatch-1 || again > maxUnsaved || !killed && again > 0 {
		t.Errorf("with %d saves %d were rung and %d of them again", saves, len(rung), again)
	}
	if m, totals := w.totals("m"); m.State != push.Completed || totals.Accepted != push.MaxBatch-1 {
		t.Errorf("with %d saves: %s %+v", saves, m.State, totals)
	}
	if got := w.invalid("t-token-0007"); got != push.CodeUnregistered {
		t.Errorf("with %d saves the dead token is marked %q", saves, got)
	}
	return killed
}

// TestSigtermSavesResultsFirst: an instance told to stop sends no more, saves
// what it has, and gives the batch back; nobody is rung twice.
func TestSigtermSavesResultsFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{Latency: 30 * time.Millisecond})
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
	if b.Settled || !b.Lease.Until.IsZero() {
		t.Fatalf("settled %v, lease %+v", b.Settled, b.Lease)
	}
	w.clock.Add(time.Second)
	w.deliver(ref)
	for token, n := range w.rung("m") {
		if n != 1 {
			t.Errorf("%s was rung %d times", token, n)
		}
	}
	if _, totals := w.totals("m"); totals.Accepted != push.MaxBatch {
		t.Errorf("%+v", totals)
	}
}

// TestACallThatEndsSavesItsResults: the call's own end comes with an answer.
func TestACallThatEndsSavesItsResults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	ref := w.mailing("m", true, "first-token")
	ctx, end := context.WithCancel(t.Context())
	w.deps.Sender = ending{w.deps.Sender, end}
	if err := newDeliverer(w.deps).deliverAndFinish(ctx, ref, ""); err != nil {
		t.Error(err)
	}
	if m, totals := w.totals("m"); m.State != push.Completed || totals.Accepted != 1 {
		t.Errorf("%s: %+v", m.State, totals)
	}
}

// ending ends something with each answer.
type ending struct {
	sender
	end func()
}

func (s ending) Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer)) {
	s.sender.Send(ctx, it, func(a fcm.Answer) { s.end(); answered(a) })
}

// blind is a store that does not answer, from the second time on, what has
// become of a mailing.
type blind struct {
	dataStore
	asked atomic.Int64
}

func (b *blind) ReadMailingHeader(ctx context.Context, id string) (*push.Mailing, error) {
	if b.asked.Add(1) == 1 {
		return b.dataStore.ReadMailingHeader(ctx, id)
	}
	return nil, errKilled
}

// TestWhatIsUnderWayIsNotForgotten: a call that fails while answers are still
// to come waits for them and saves them; nobody is rung twice.
func TestWhatIsUnderWayIsNotForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 3)...)
	deps := w.deps
	deps.Store = &blind{dataStore: w.Store}
	deps.Sender = slow{w.deps.Sender, saveEvery + saveEvery/2}
	if err := newDeliverer(deps).deliverAndFinish(t.Context(), ref, ""); !errors.Is(err, errKilled) {
		t.Errorf("it ended with %v", err)
	}
	w.deliver(ref)
	if m, totals := w.totals("m"); m.State != push.Completed || totals.Accepted != 3 {
		t.Errorf("%s: %+v", m.State, totals)
	}
	for token, n := range w.rung("m") {
		if n != 1 {
			t.Errorf("%s was rung %d times", token, n)
		}
	}
}
