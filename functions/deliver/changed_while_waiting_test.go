package deliver

import (
	"context"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestOldBatchIsCheckedAgainstItsCustomers: tokens moved, erased, opted out or
// flagged since are cancelled and never sent to.
func TestOldBatchIsCheckedAgainstItsCustomers(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, "stays-token", "moves-token", "flagged-token", "leaves-token", "declines-token")
	w.register("somebody-else", "moves-token")
	w.register("c-flagged-token", "a-second-token") // can still be reached
	_, err := w.FlagToken(t.Context(), store.Flag{Mailing: "other", Customer: "c-flagged-token", TokenID: push.TokenID("flagged-token"),
		Code: push.CodeUnregistered, At: w.clock.Now(), BatchCreatedAt: w.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.EraseCustomer(t.Context(), "c-leaves-token"); err != nil {
		t.Fatal(err)
	}
	no := true
	if _, err := w.PatchCustomer(t.Context(), "c-declines-token", push.CustomerPatch{OptedOut: &no}); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(6 * time.Minute)
	w.deliver(ref)
	_, totals := w.totals("m")
	sent := w.messagesByToken("m")
	check.Equal(t, totals.Cancelled, 4, "tokens cancelled")
	if len(sent) != 1 {
		t.Fatalf("number of tokens that got the message is %v, want 1: %+v", len(sent), sent)
	}
	check.Equal(t, sent["stays-token"], 1, "number of messages of stays-token")
}

func TestEndedMailingsAreClosedUnsent(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	cancelled := w.mailing("cancelled", true, "first-token")
	if _, err := w.CancelMailing(t.Context(), "cancelled"); err != nil {
		t.Fatal(err)
	}
	expired := w.mailing("expired", true, "second-token")
	paused := w.mailing("paused", true, "third-token")
	if _, err := w.PauseMailing(t.Context(), "paused"); err != nil {
		t.Fatal(err)
	}
	w.deliver(cancelled)
	w.deliver(paused)
	w.clock.Add(25 * time.Hour)
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
	w := newBatchHarness(t, phones.Options{Latency: 300 * time.Millisecond})
	ref := w.mailing("m", true, names("t", push.MaxBatch)...)
	events, cancel := w.phones.Subscribe()
	defer cancel()
	go func() {
		<-events
		if _, err := w.CancelMailing(context.WithoutCancel(t.Context()), "m"); err != nil {
			t.Error(err)
		}
	}()
	w.deps.Sender = slow{w.deps.Sender, time.Second}
	w.d = newDeliverer(w.deps)
	w.deliver(ref)
	_, totals := w.totals("m")
	if totals.Cancelled == 0 {
		t.Errorf("tokens cancelled is %v, want some", totals.Cancelled)
	}
	check.Equal(t, totals.Accepted, int64(len(w.messagesByToken("m"))), "tokens accepted")
	check.Equal(t, totals.Pending, 0, "tokens pending")
}

// slow holds every answer back, so that a batch takes seconds.
type slow struct {
	sender
	by time.Duration
}

func (s slow) Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer)) {
	s.sender.Send(ctx, it, func(a fcm.Answer) { time.AfterFunc(s.by, func() { answered(a) }) })
}

// TestNothingIsSentBeforeItsTime: a batch that is due in a moment is waited
// for, and one that is due later is left as it is.
func TestNothingIsSentBeforeItsTime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ahead  time.Duration
		waits  int
		leases int
	}{{3 * time.Second, 1, 1}, {time.Minute, 0, 0}} {
		w := newBatchHarness(t, phones.Options{})
		ref := w.mailing("m", true, names("t", 3)...)
		b, err := w.ReadBatch(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		b.NotBefore = w.clock.Now().Add(c.ahead)
		if err := w.SaveBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		waits := 0
		w.deps.Sleep = func(ctx context.Context, d time.Duration) error {
			waits++
			if n := w.phones.Stats().Requests; n > 0 {
				t.Errorf("%d requests were made %s early", n, d)
			}
			return w.clock.Sleep(ctx, d)
		}
		w.d = newDeliverer(w.deps)
		w.deliver(ref)
		if b, err = w.ReadBatch(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
		_, totals := w.totals("m")
		check.Equal(t, waits, c.waits, "due in %s: waits", c.ahead)
		check.Equal(t, b.Leases, c.leases, "due in %s: Leases", c.ahead)
		check.Equal(t, totals.Accepted, int64(3*c.leases), "due in %s: tokens accepted", c.ahead)
	}
}
