package deliver

import (
	"encoding/json"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// withHours starts a mailing with hours from and to, in minutes from now, and creates one
// batch of customers in UTC, who are registered first. The hours have whole minutes, so that
// the clock is moved to the begin of one.
func (w *batchHarness) withHours(id string, from, to time.Duration, lifetime time.Duration, tokens ...string) push.BatchRef {
	w.t.Helper()
	now := w.clock.Now()
	now = w.clock.Add(now.Truncate(time.Minute).Add(time.Minute).Sub(now))
	clock := func(d time.Duration) string { return now.Add(d).Format("15:04") }

	var targets []push.Target
	for _, token := range tokens {
		w.register("c-"+token, token)
		targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: push.Android})
	}
	life := push.Duration(lifetime)
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}, Lifetime: &life,
		Window: &push.Window{From: clock(from), To: clock(to)}}
	m := push.NewMailing(id, id, d, now)
	m.Proven = true
	if _, _, err := w.CreateMailing(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.StartMailing(w.t.Context(), id, push.AllDevices, d.Window, []push.Shard{{Mailing: id}}); err != nil {
		w.t.Fatal(err)
	}
	sh, err := w.ReadShard(w.t.Context(), id, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: "00-000000"}, CreatedAt: now, Zone: "UTC", Targets: targets, Results: make([]push.Result, len(targets))}
	sh.Done, sh.Batches, sh.Targeted = true, 1, int64(len(targets))
	if err := w.CreateBatches(w.t.Context(), sh, []*push.Batch{b}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.MarkMailingDispatched(w.t.Context(), id); err != nil {
		w.t.Fatal(err)
	}
	return b.BatchRef
}

func (w *batchHarness) wantWaiting(ref push.BatchRef, until time.Duration, of time.Time) {
	w.t.Helper()
	b, err := w.ReadBatch(w.t.Context(), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	if got := b.WaitUntil.Sub(of).Round(time.Second); got != until {
		w.t.Errorf("the batch waits %s, want %s", got, until)
	}
	if !b.PublishedAt.IsZero() {
		w.t.Error("the batch waits for its hours and has a message")
	}
	open, err := w.ListOpenBatches(w.t.Context(), ref.Mailing)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(open) > 0 {
		w.t.Errorf("%d batches are open, want none", len(open))
	}
}

// Outside of the hours nothing is sent, and the batch waits for the next ones. A copy of
// its message changes nothing.
func TestNothingIsSentOutsideOfTheHours(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.withHours("m", 30*time.Minute, 90*time.Minute, 24*time.Hour, names("t", 3)...)
	began := w.clock.Now().Truncate(time.Minute)
	for range 2 {
		w.deliver(ref)
		if n := w.phones.Stats().Requests; n != 0 {
			t.Errorf("%d requests outside of the hours, want none", n)
		}
		w.wantWaiting(ref, 30*time.Minute, began)
	}

	w.clock.Add(31 * time.Minute)
	waiting, err := w.ListWaitingBatches(t.Context(), "m", w.clock.Now(), 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(waiting) != 1 {
		t.Fatalf("%d batches wait, want 1", len(waiting))
	}
	ok, err := w.OpenWaitingBatch(t.Context(), waiting[0], w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if !ok {
		t.Fatal("the batch was not opened, want it opened")
	}
	w.deliver(ref)
	m, totals := w.totals("m")
	check.Equal(t, totals.Accepted, 3, "tokens accepted")
	check.Equal(t, m.State, push.Completed, "state")
}

// A call that comes a moment before the hours waits for them.
func TestACallThatComesAMomentTooEarlyWaits(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.withHours("m", time.Minute, 90*time.Minute, 24*time.Hour, names("t", 3)...)
	opens := w.clock.Now().Truncate(time.Minute).Add(time.Minute)
	w.clock.Add(opens.Add(-1500 * time.Millisecond).Sub(w.clock.Now()))
	w.deliver(ref)
	if _, totals := w.totals("m"); totals.Accepted != 3 {
		t.Errorf("accepted %d, want 3: %+v", totals.Accepted, totals)
	}
	for _, m := range w.phones.Messages(phones.Filter{}) {
		if early := opens.Sub(m.ReceivedAt.Add(time.Until(w.clock.Now()))); early > 100*time.Millisecond {
			t.Errorf("a message was sent %s before the hours", early)
		}
	}
}

// What is not sent when the hours end waits for the next ones, retries included.
func TestRetriesStopWhenTheHoursEnd(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	tokens := names("t", 4)
	for _, token := range tokens[:2] {
		if err := w.phones.SetOutcomes(phones.Outcome{Token: token, Outcome: "UNAVAILABLE", RetryAfter: 2 * time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	ref := w.withHours("m", 0, time.Minute, 48*time.Hour, tokens...)
	began := w.clock.Now().Truncate(time.Minute)
	closes := began.Add(time.Minute)
	w.clock.Add(closes.Add(-time.Second).Sub(w.clock.Now()))
	ahead := time.Until(w.clock.Now())
	w.phones.OnRequest(func(x phones.RequestRecord) {
		if late := x.At.Add(ahead).Sub(closes); late > 500*time.Millisecond {
			t.Errorf("FCM was asked %s after the hours had ended", late)
		}
	})
	w.deliver(ref)
	_, totals := w.totals("m")
	check.Equal(t, totals.Accepted, 2, "tokens accepted")
	check.Equal(t, totals.Pending, 2, "tokens pending")

	w.clock.Add(closes.Add(time.Second).Sub(w.clock.Now()))
	requests := w.phones.Stats().Requests
	w.deliver(ref)
	if n := w.phones.Stats().Requests - requests; n != 0 {
		t.Errorf("%d requests after the hours, want none", n)
	}
	w.wantWaiting(ref, 24*time.Hour, began)
}

// What finds no hours before the mailing expires is expired at once.
func TestNoHoursBeforeTheMailingExpires(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.withHours("m", 30*time.Minute, 90*time.Minute, 20*time.Minute, names("t", 3)...)
	w.deliver(ref)
	m, totals := w.totals("m")
	check.Equal(t, totals.Expired, 3, "tokens expired")
	check.Equal(t, m.State, push.Completed, "state")
	if n := w.phones.Stats().Requests; n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

// A cancelled mailing does not wait for hours.
func TestACancelledMailingDoesNotWaitForHours(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.withHours("m", 30*time.Minute, 90*time.Minute, 24*time.Hour, names("t", 3)...)
	if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.deliver(ref)
	m, totals := w.totals("m")
	check.Equal(t, totals.Cancelled, 3, "tokens cancelled")
	if m.Totals == nil {
		t.Error("Totals is nil, want it set")
	}
}
