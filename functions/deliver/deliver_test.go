package deliver

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

func TestRingsFlagsAndCompletes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	tokens := append(names("good", 20), "gone-token", "malformed-token", "bare-token", "stranger-token")
	w.phones.SetOutcome("gone-token", "UNREGISTERED")
	w.phones.SetOutcome("malformed-token", "INVALID_TOKEN")
	w.phones.SetOutcome("bare-token", "INVALID_TOKEN_BARE")
	w.phones.SetOutcome("stranger-token", "SENDER_ID_MISMATCH")
	ref := w.mailing("m", true, tokens...)
	w.deliver(ref)
	m, got := w.totals("m")
	if m.State != push.Completed || got.Accepted != 20 || got.Refused != 1 || got.Pending != 0 ||
		got.Invalid[push.CodeUnregistered] != 1 || got.Invalid[push.CodeInvalidArgument] != 2 {
		t.Errorf("%s: %+v", m.State, got)
	}
	for token, want := range map[string]string{"gone-token": push.CodeUnregistered, "malformed-token": push.CodeInvalidArgument,
		"bare-token": push.CodeInvalidArgument, "stranger-token": "", "good-token-0000": ""} {
		if got := w.invalid(token); got != want {
			t.Errorf("token %s is marked %q, want %q", token, got, want)
		}
	}
	types := w.types()
	if n := strings.Count(strings.Join(types, " "), push.TokenInvalidated); n != 3 {
		t.Errorf("told %v, want three tokens", types)
	}
	if n := strings.Count(strings.Join(types, " "), push.AvailabilityChanged); n != 3 {
		t.Errorf("told %v, want three customers", types)
	}
	if n := strings.Count(strings.Join(types, " "), push.MailingCompleted); n != 1 {
		t.Errorf("told %v, want one end", types)
	}
	w.deliver(ref) // a redelivery
	for token, n := range w.rung("m") {
		if n != 1 {
			t.Errorf("%s was rung %d times", token, n)
		}
	}
	if got := w.types(); len(got) != len(types) {
		t.Errorf("a redelivery told more: %v", got)
	}
}

// TestOnlyTheTokenRuleFlags sends a whole mailing into every row of FCM's
// error table: no row but those of the token rule marks anybody.
func TestOnlyTheTokenRuleFlags(t *testing.T) {
	t.Parallel()
	flags := map[string]bool{"UNREGISTERED": true, "UNREGISTERED_SEED": true, "INVALID_TOKEN": true, "INVALID_TOKEN_BARE": true, "INVALID_TOKEN_OLD": true}
	for _, row := range []string{"UNREGISTERED", "UNREGISTERED_SEED", "INVALID_TOKEN", "INVALID_TOKEN_BARE", "INVALID_TOKEN_OLD",
		"PAYLOAD_FIELD", "UNKNOWN_FIELD", "NO_TARGET", "WEBPUSH_TTL", "SENDER_ID_MISMATCH", "PERMISSION_DENIED", "QUOTA_PROJECT",
		"QUOTA_DEVICE", "UNAVAILABLE", "INTERNAL", "BAD_GATEWAY", "THIRD_PARTY_AUTH", "UNAUTHENTICATED", "RESET"} {
		t.Run(row, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, phones.Options{})
			w.deps.CallTimeout = 3 * time.Second
			w.d = newDeliverer(w.deps)
			tokens := names("t", 5)
			if err := w.phones.SetOutcomes(phones.Outcome{Token: "t-token-*", Outcome: row}); err != nil {
				t.Fatal(err)
			}
			w.deliver(w.mailing("m", true, tokens...))
			_, totals := w.totals("m")
			for _, token := range tokens {
				if got := w.invalid(token); (got != "") != flags[row] {
					t.Errorf("%s: marked %q; totals %+v", token, got, totals)
				}
			}
		})
	}
}

// TestBreakerHoldsFlagsBack: a payload that FCM stops taking looks like dead
// tokens everywhere; the proof made anew tells.
func TestBreakerHoldsFlagsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		topic   string // what FCM says to the proof
		invalid bool
	}{
		"payload is good":    {"OK", true},
		"payload is refused": {"WEBPUSH_TTL", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, phones.Options{})
			tokens := names("t", 60)
			w.phones.SetOutcome("t-token-*", "INVALID_TOKEN_BARE")
			w.phones.SetOutcome("/topics/carillon-proof", c.topic)
			w.deliver(w.mailing("m", true, tokens...))
			_, totals := w.totals("m")
			if got := w.invalid(tokens[0]) != ""; got != c.invalid {
				t.Errorf("marked: %v, want %v; %+v", got, c.invalid, totals)
			}
			if (totals.Refused == 60) == c.invalid {
				t.Errorf("totals: %+v", totals)
			}
		})
	}
}

// TestUnprovenMailingIsProvenFirst, and refused with FCM's words if that fails.
func TestUnprovenMailingIsProvenFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	w.deliver(w.mailing("good", false, "first-token"))
	if m, totals := w.totals("good"); m.State != push.Completed || !m.Proven || totals.Accepted != 1 {
		t.Errorf("%+v %+v", m, totals)
	}
	w.phones.SetOutcome("/topics/*", "WEBPUSH_TTL")
	w.deliver(w.mailing("bad", false, "second-token"))
	m, totals := w.totals("bad")
	if m.State != push.Refused || m.Refusal == "" || totals.Refused != 1 || len(w.rung("bad")) != 0 {
		t.Errorf("%s because %q: %+v", m.State, m.Refusal, totals)
	}
}

// TestMisconfiguredPausesWithTheReason: nobody is marked, nothing is lost, and
// once it is mended and resumed everybody is rung.
func TestMisconfiguredPausesWithTheReason(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	w.phones.SetOutcome("t-token-*", "PERMISSION_DENIED")
	ref := w.mailing("m", true, names("t", 3)...)
	w.deliver(ref)
	m, totals := w.totals("m")
	if m.State != push.Paused || !strings.HasPrefix(m.PausedBecause, push.Misconfigured) || totals.Pending != 3 {
		t.Fatalf("%s because %q: %+v", m.State, m.PausedBecause, totals)
	}
	w.phones.ClearOutcomes()
	if _, err := w.Resume(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.deliver(ref)
	if m, totals := w.totals("m"); m.State != push.Completed || totals.Accepted != 3 {
		t.Errorf("%s: %+v", m.State, totals)
	}
}

// TestWaitingIsNotFailing: over quota the batch is stored with its time and the
// message acknowledged.
func TestWaitingIsNotFailing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	if err := w.phones.SetOutcomes(phones.Outcome{Token: "t-token-0001", Outcome: "QUOTA_DEVICE", RetryAfter: time.Hour}); err != nil {
		t.Fatal(err)
	}
	ref := w.mailing("m", true, names("t", 3)...)
	w.deliver(ref)
	b, err := w.Batch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.Settled || b.NotBefore.Before(w.now().Add(50*time.Minute)) || !b.Lease.Until.IsZero() || len(b.Pending()) == 0 {
		t.Errorf("settled %v, not before %s, lease %+v, %d pending", b.Settled, b.NotBefore, b.Lease, len(b.Pending()))
	}
	before := w.phones.Stats().Requests
	w.deliver(ref) // too early: nothing happens
	if w.phones.Stats().Requests != before {
		t.Error("something was sent before its time")
	}
}

// TestLeaseKeepsASecondCopyOut: of copies delivered at once one sends.
func TestLeaseKeepsASecondCopyOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{Latency: 20 * time.Millisecond})
	ref := w.mailing("m", true, names("t", 300)...)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			err := newDeliverer(w.deps).deliver(t.Context(), ref, "")
			if settle(queue.Message{}, err) != queue.Ack {
				t.Errorf("a copy failed: %v", err)
			}
		})
	}
	wg.Wait()
	for token, n := range w.rung("m") {
		if n != 1 {
			t.Errorf("%s was rung %d times", token, n)
		}
	}
	if _, totals := w.totals("m"); totals.Accepted != 300 {
		t.Errorf("%+v", totals)
	}
}

// deaf is a store whose saves fail from a point on, as when the instance is
// killed: what was sent after the last save is forgotten.
type deaf struct {
	ledger
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
	return d.ledger.SaveBatch(ctx, b)
}

// TestKilledInTheMiddle: whatever save it dies before, everybody is rung, and
// at most 250 of the batch are rung again.
func TestKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	for saves := range 4 {
		w := newWorld(t, phones.Options{Latency: 2 * time.Millisecond})
		w.phones.SetOutcome("*-token-0007", "UNREGISTERED")
		ref := w.mailing("m", true, names("t", push.MaxBatch)...)
		deps := w.deps
		deps.Store = &deaf{ledger: w.Store, saves: saves}
		err := newDeliverer(deps).deliver(t.Context(), ref, "")
		if !errors.Is(err, errKilled) || settle(queue.Message{}, err) != queue.Redeliver {
			t.Fatalf("with %d saves it ended with %v", saves, err)
		}
		w.later(time.Hour - time.Minute) // the lease lapses; young enough not to be expired
		w.deliver(ref)
		again := 0
		rung := w.rung("m")
		for _, n := range rung {
			if n > 2 {
				t.Errorf("a token was rung %d times", n)
			}
			again += n - 1
		}
		if len(rung) != push.MaxBatch-1 || again > maxUnsaved {
			t.Errorf("with %d saves %d were rung and %d of them again", saves, len(rung), again)
		}
		if m, totals := w.totals("m"); m.State != push.Completed || totals.Accepted != push.MaxBatch-1 {
			t.Errorf("with %d saves: %s %+v", saves, m.State, totals)
		}
		if got := w.invalid("t-token-0007"); got != push.CodeUnregistered {
			t.Errorf("with %d saves the dead token is marked %q", saves, got)
		}
	}
}

// TestSigtermSavesReceiptsFirst: an instance told to stop sends no more, saves
// what it has, and gives the batch back; nobody is rung twice.
func TestSigtermSavesReceiptsFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{Latency: 30 * time.Millisecond})
	ref := w.mailing("m", true, names("t", push.MaxBatch)...)
	stopping, stop := context.WithCancel(t.Context())
	deps := w.deps
	deps.Stopping = stopping
	events, cancel := w.phones.Subscribe()
	defer cancel()
	go func() { <-events; stop() }()
	if err := newDeliverer(deps).deliver(t.Context(), ref, ""); err != nil {
		t.Fatal(err)
	}
	b, err := w.Batch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.Settled || !b.Lease.Until.IsZero() {
		t.Fatalf("settled %v, lease %+v", b.Settled, b.Lease)
	}
	w.later(time.Second)
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

// TestFlagsAndEventsStayOwed: the receipts are saved, but the event could not
// be published; the next call owes it still, and rings nobody.
func TestFlagsAndEventsStayOwed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	w.phones.SetOutcome("gone-token", "UNREGISTERED")
	ref := w.mailing("m", true, "gone-token", "good-token")
	w.err = errors.New("no Pub/Sub")
	if err := w.d.deliver(t.Context(), ref, ""); err == nil {
		t.Fatal("an event that was not published was no error")
	}
	if b, err := w.Batch(t.Context(), ref); err != nil || b.Settled || len(b.Owed) != 1 {
		t.Fatalf("%+v, %v", b, err)
	}
	w.err = nil
	w.later(time.Hour)
	w.deliver(ref)
	m, _ := w.totals("m")
	if got := strings.Join(w.types(), " "); m.State != push.Completed ||
		got != push.AvailabilityChanged+" "+push.MailingCompleted+" "+push.TokenInvalidated {
		t.Errorf("%s, told %s", m.State, got)
	}
	if w.rung("m")["good-token"] != 1 {
		t.Error("the good token was rung again")
	}
}

// TestRegisteredAgainIsNotFlagged: a token that came back after the batch was
// cut is not marked by the late answer.
func TestRegisteredAgainIsNotFlagged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	w.phones.SetOutcome("back-token", "UNREGISTERED")
	ref := w.mailing("m", true, "back-token")
	w.later(time.Second)
	w.register("c-back-token", "back-token")
	w.deliver(ref)
	if got := w.invalid("back-token"); got != "" {
		t.Errorf("it is marked %q", got)
	}
	list, _, err := w.InvalidTokens(t.Context(), "m", 10, "")
	if err != nil || len(list) != 0 {
		t.Errorf("it is listed: %v (%v)", list, err)
	}
}

// TestOldBatchIsCheckedAgainstItsCustomers: tokens moved, erased or flagged
// since are cancelled, never rung.
func TestOldBatchIsCheckedAgainstItsCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	ref := w.mailing("m", true, "stays-token", "moves-token", "dies-token")
	w.register("somebody-else", "moves-token")
	_, err := w.Flag(t.Context(), store.Flag{Mailing: "other", Customer: "c-dies-token", TokenID: push.TokenID("dies-token"),
		Code: push.CodeUnregistered, At: w.now(), CutAt: w.now()})
	if err != nil {
		t.Fatal(err)
	}
	w.later(6 * time.Minute)
	w.deliver(ref)
	_, totals := w.totals("m")
	rung := w.rung("m")
	if totals.Cancelled != 2 || len(rung) != 1 || rung["stays-token"] != 1 {
		t.Errorf("rung %v; %+v", rung, totals)
	}
}

func TestEndedMailingsAreClosedUnsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	cancelled := w.mailing("cancelled", true, "first-token")
	if _, err := w.Cancel(t.Context(), "cancelled"); err != nil {
		t.Fatal(err)
	}
	expired := w.mailing("expired", true, "second-token")
	paused := w.mailing("paused", true, "third-token")
	if _, err := w.Pause(t.Context(), "paused"); err != nil {
		t.Fatal(err)
	}
	w.deliver(cancelled)
	w.deliver(paused)
	w.later(25 * time.Hour)
	w.deliver(expired)
	if _, x := w.totals("cancelled"); x.Cancelled != 1 {
		t.Errorf("cancelled: %+v", x)
	}
	if _, x := w.totals("expired"); x.Expired != 1 {
		t.Errorf("expired: %+v", x)
	}
	if _, x := w.totals("paused"); x.Pending != 1 {
		t.Errorf("paused: %+v", x)
	}
	if n := w.phones.Stats().Requests; n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

// TestCancelledWhileSending stops within the batch.
func TestCancelledWhileSending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{Latency: 300 * time.Millisecond})
	ref := w.mailing("m", true, names("t", push.MaxBatch)...)
	events, cancel := w.phones.Subscribe()
	defer cancel()
	go func() {
		<-events
		if _, err := w.Cancel(context.WithoutCancel(t.Context()), "m"); err != nil {
			t.Error(err)
		}
	}()
	w.deps.Sender = slow{w.deps.Sender, time.Second}
	w.d = newDeliverer(w.deps)
	w.deliver(ref)
	_, totals := w.totals("m")
	if totals.Cancelled == 0 || totals.Accepted != int64(len(w.rung("m"))) || totals.Pending != 0 {
		t.Errorf("%d were rung; %+v", len(w.rung("m")), totals)
	}
}

// slow holds every answer back, so that a batch takes seconds.
type slow struct {
	sender
	by time.Duration
}

func (s slow) Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer)) {
	s.sender.Send(ctx, it, func(a fcm.Answer) { time.AfterFunc(s.by, func() { answered(a) }) })
}

func TestDeadLetterBooksTheRestAsFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	ref := w.mailing("m", true, "first-token")
	if err := w.d.deliver(t.Context(), ref, "deliver"); err != nil {
		t.Fatal(err)
	}
	if m, totals := w.totals("m"); totals.Failed != 1 || m.State != push.Completed || len(w.rung("m")) != 0 {
		t.Errorf("%s %+v", m.State, totals)
	}
}

func TestUnknownBatchesAndNonsenseAreSettled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	for _, c := range []struct {
		data string
		dead bool
		want queue.Settlement
	}{
		{`{"mailing":"none","batch":"00-000000"}`, false, queue.Ack},
		{`{"mailing":"a/b/c","batch":".."}`, false, queue.Ack},
		{`nonsense`, false, queue.Redeliver},
		{`{}`, false, queue.Redeliver},
		{`nonsense`, true, queue.Ack},
	} {
		m := queue.Message{Data: []byte(c.data)}
		if c.dead {
			m.Attributes = map[string]string{"CloudPubSubDeadLetterSourceSubscription": "deliver"}
		}
		if got := w.d.receive(t.Context(), m); got != c.want {
			t.Errorf("%s was settled by %v, want %v", c.data, got, c.want)
		}
	}
}
