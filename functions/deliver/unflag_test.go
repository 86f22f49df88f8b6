package deliver

import (
	"errors"
	"slices"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestUnflagIsNotUndoneByALateDelivery: the flag was set, its event was not
// published, the operator ends the mailing and takes its flags back; then the
// batch is delivered again. Whether the unflag has come to the token by then or
// not, it is valid in the end, and so says the last event.
func TestUnflagIsNotUndoneByALateDelivery(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]bool{"the unflag comes first": false, "the delivery comes first": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			w.phones.SetOutcome("gone-token", "UNREGISTERED")
			ref := w.mailing("m", true, "gone-token")
			w.Fail(errors.New("no Pub/Sub"))
			if err := w.d.deliverAndFinish(t.Context(), ref, ""); err == nil {
				t.Fatal("an event that was not published was no error")
			}
			if got := w.invalid("gone-token"); got != push.CodeUnregistered {
				t.Fatalf("the flag of the token is %q before the unflag", got)
			}
			w.Fail(nil)
			if _, err := w.CancelMailing(t.Context(), "m"); err != nil {
				t.Fatal(err)
			}
			if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
				t.Fatal(err)
			}
			w.clock.Add(time.Hour)

			if early {
				w.deliver(ref)
			}
			w.takeBack("m")
			if !early {
				w.deliver(ref)
			}

			if got := w.invalid("gone-token"); got != "" {
				t.Errorf("the flag of the token is %q, want none", got)
			}
			m, _ := w.totals("m")
			check.Equal(t, m.State, push.Cancelled, "state")
			if m.Totals == nil {
				t.Error("Totals is nil, want it set")
			}
			last := slices.MaxFunc(w.availability(), func(a, b push.AvailabilityData) int { return int(a.Version - b.Version) })
			if !last.PushAvailable {
				t.Errorf("the last event says that the customer cannot be reached: %+v", w.availability())
			}
		})
	}
}

// TestNoFlagIsSetOnceAMailingIsUnflagged: what FCM says of tokens of a mailing
// that goes on is counted, and marks nobody.
func TestNoFlagIsSetOnceAMailingIsUnflagged(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("gone-token", "UNREGISTERED")
	ref := w.mailing("m", true, "gone-token", "good-token")
	if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.deliver(ref)

	m, totals := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, totals.Invalid[push.CodeUnregistered], 1, "tokens invalid with CodeUnregistered")
	check.Equal(t, totals.Accepted, 1, "tokens accepted")
	if got := w.invalid("gone-token"); got != "" {
		t.Errorf("the flag of the token is %q, want none", got)
	}
	if got := w.types(); !slices.Equal(got, []string{push.MailingCompleted}) {
		t.Errorf("it published %v, want nothing", got)
	}
}

// takeBack does what dispatch does for an unflag.
func (w *batchHarness) takeBack(id string) {
	w.t.Helper()
	ctx := w.t.Context()
	l, err := w.LeaseUnflag(ctx, id, w.clock.Now().Add(time.Minute))
	if err != nil {
		w.t.Fatal(err)
	}
	if l == nil {
		w.t.Fatalf("the unflag of mailing %s is not leased, want a lease", id)
	}
	p, err := w.ReadUnflagPage(ctx, l)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(p.Tokens) != 1 {
		w.t.Fatalf("the unflag finds %v customers, want 1: %+v", len(p.Tokens), p.Tokens)
	}
	_, events, err := w.Store.UnflagTokens(ctx, id, p.Tokens)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.PublishEvents(ctx, events...); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.EndUnflag(ctx, id); err != nil {
		w.t.Fatal(err)
	}
}

// availability are the events published about who can be reached.
func (w *batchHarness) availability() (out []push.AvailabilityData) {
	for _, e := range w.Published() {
		if d, ok := e.Data.(push.AvailabilityData); ok {
			out = append(out, d)
		}
	}
	return out
}
