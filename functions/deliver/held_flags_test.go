package deliver

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// heldOf returns how many flags of a mailing wait for evidence.
func (w *batchHarness) heldOf(id string) (n int64) {
	w.t.Helper()
	_, totals := w.allTotals(id)
	for _, x := range totals.Held {
		n += x
	}
	return n
}

// flagged counts the tokens that are flagged.
func (w *batchHarness) flagged(tokens ...string) (n int) {
	w.t.Helper()
	for _, token := range tokens {
		if w.invalid(token) != "" {
			n++
		}
	}
	return n
}

// invalidEvents counts the events that call a token invalid, or a customer
// unavailable.
func (w *batchHarness) invalidEvents() (n int) {
	for _, e := range w.Published() {
		if a, ok := e.Data.(push.AvailabilityData); e.Type == push.TokenInvalidated || ok && !a.PushAvailable {
			n++
		}
	}
	return n
}

// wantState checks the state and the number of held flags of a mailing.
func (w *batchHarness) wantState(id string, state push.State, held int64) {
	w.t.Helper()
	m, _ := w.totals(id)
	if m.State != state {
		w.t.Errorf("mailing %s is %s (%s), want %s", id, m.State, m.PausedBecause(), state)
	}
	if got := w.heldOf(id); got != held {
		w.t.Errorf("mailing %s has %d held flags, want %d", id, got, held)
	}
}

// TestAnOutageThatAnswers404FlagsNobody: FCM calls every token unregistered for
// ten minutes, those that really are among them.
func TestAnOutageThatAnswers404FlagsNobody(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.deliver(w.mailing("before", true, names("early", 30)...))
	tokens := append(names("t", 120), names("gone", 3)...)
	ref := w.mailing("m", true, tokens...)

	w.phones.SetOutcome("*", "UNREGISTERED")
	w.deliver(ref)
	w.wantState("m", push.Paused, 123)
	if m, _ := w.totals("m"); m.PausedReason != push.PausedImplausible {
		t.Errorf("it is paused because of %q, want %q", m.PausedReason, push.PausedImplausible)
	}
	w.d = newDeliverer(w.deps) // the instance ends: what is held is stored
	for range 10 * time.Minute / heldWait {
		w.clock.Add(heldWait)
		w.deliver(ref)
	}
	w.wantState("m", push.Paused, 123)

	w.phones.SetOutcome("*", "OK")
	w.phones.SetOutcome("gone-*", "UNREGISTERED")
	for range 2 { // first some of them turn out to be valid, then the others are asked again
		w.clock.Add(heldWait)
		w.deliver(ref)
	}
	w.wantState("m", push.Completed, 0)
	if n := w.flagged(names("t", 120)...); n != 0 {
		t.Errorf("%d live phones are flagged, want none", n)
	}
	if n := w.flagged(names("gone", 3)...); n != 3 {
		t.Errorf("%d invalid tokens are flagged, want 3", n)
	}
	if n := w.invalidEvents(); n != 6 {
		t.Errorf("%d events of invalid tokens and unavailable customers, want 6", n)
	}
}

// TestAMailingGoesOnAfterAnOutage: it was paused, and not all of it was sent.
func TestAMailingGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.deliver(w.mailing("before", true, names("early", 30)...))
	w.phones.SetOutcome("*", "UNREGISTERED")
	w.phones.SetOutcome("busy-*", "QUOTA_DEVICE")
	ref := w.mailing("m", true, append(names("t", 60), "busy-token")...)
	w.deliver(ref)
	w.wantState("m", push.Paused, 60)

	w.phones.SetOutcome("*", "OK")
	w.clock.Add(heldWait)
	w.deliver(ref)
	if m, _ := w.totals("m"); m.State != push.Sending {
		t.Errorf("the mailing is %s, want it to go on", m.State)
	}
}

// TestWhatRecoversIsEvidence: after an outage nobody knows a control any more,
// but tokens that FCM accepts again show that it answers truly.
func TestWhatRecoversIsEvidence(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("*", "UNREGISTERED")
	ref := w.mailing("m", true, append(names("t", 60), names("gone", 30)...)...)
	w.deliver(ref)
	w.wantState("m", push.Paused, 90)

	w.phones.SetOutcome("t-*", "OK")
	w.clock.Add(heldWait)
	w.deliver(ref)
	w.wantState("m", push.Completed, 0)
	if n := w.flagged(names("gone", 30)...); n != 30 {
		t.Errorf("%d of 30 invalid tokens are flagged", n)
	}
	if n := w.flagged(names("t", 60)...); n != 0 {
		t.Errorf("%d live phones are flagged, want none", n)
	}
}

// TestTheDeathOfTheControlsIsNoEvidence: a group of a few tokens, all of which
// were accepted lately and are refused at once.
func TestTheDeathOfTheControlsIsNoEvidence(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	tokens := names("t", 3)
	w.deliver(w.mailing("before", true, tokens...))
	w.phones.SetOutcome("*", "UNREGISTERED")
	w.deliver(w.mailing("m", true, tokens...))
	if n := w.flagged(tokens...); n != 0 {
		t.Errorf("%d tokens are flagged, want none", n)
	}
}

// TestAnOutageInTheMiddleOfABatch: it begins after the first hundred answers.
func TestAnOutageInTheMiddleOfABatch(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	tokens := names("t", 200)
	w.phones.SetOutcome("t-token-01*", "UNREGISTERED") // the second hundred
	ref := w.mailing("m", true, tokens...)
	w.deps.Sender = &outage{sender: w.deps.Sender, w: w}
	w.d = newDeliverer(w.deps)
	w.deliver(ref)
	if n := w.flagged(tokens...); n != 0 {
		t.Errorf("%d tokens are flagged though FCM refuses tokens that it accepted before, want none", n)
	}
	if m, _ := w.totals("m"); m.State != push.Paused {
		t.Errorf("the mailing is %s, want it paused", m.State)
	}
	if got := w.heldOf("m"); got < 100 { // and those that were under way when it began
		t.Errorf("%d flags are held, want at least 100", got)
	}
}

// TestAnOldBaseIsCleanedWithoutAPerson: more than half of the first mailing's
// tokens are invalid.
func TestAnOldBaseIsCleanedWithoutAPerson(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	invalid := names("gone", 120)
	w.phones.SetOutcome("gone-*", "UNREGISTERED")
	w.deliver(w.mailing("m", true, append(names("live", 80), invalid...)...))
	w.wantState("m", push.Completed, 0)
	if n := w.flagged(invalid...); n != len(invalid) {
		t.Errorf("%d of %d invalid tokens are flagged", n, len(invalid))
	}
	if n := w.flagged(names("live", 80)...); n != 0 {
		t.Errorf("%d live tokens are flagged, want none", n)
	}
}

// TestWrongProjectFlagsNobody: of installation ids of another project FCM says
// UNREGISTERED, of each of them.
func TestWrongProjectFlagsNobody(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("fid*", "UNREGISTERED")
	ref := w.fids("m", false, names("fid", 60)...)
	w.deliver(ref)
	if n := w.flagged(names("fid", 60)...); n != 0 {
		t.Errorf("%d installation ids are flagged, want none", n)
	}
	w.wantState("m", push.Paused, 60)
}

// TestAPersonDecides: where no evidence can be had, one call flags or drops.
func TestAPersonDecides(t *testing.T) {
	t.Parallel()
	for decision, want := range map[push.HeldDecision]int{push.FlagHeld: 60, push.DropHeld: 0} {
		t.Run(string(decision), func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			w.phones.SetOutcome("*", "UNREGISTERED")
			ref := w.mailing("m", true, names("t", 60)...)
			w.deliver(ref)
			w.wantState("m", push.Paused, 60)

			if _, err := w.DecideHeldFlags(t.Context(), "m", decision); err != nil {
				t.Fatal(err)
			}
			w.clock.Add(heldWait)
			w.deliver(ref)
			w.wantState("m", push.Completed, 0)
			if n := w.flagged(names("t", 60)...); n != want {
				t.Errorf("%d tokens are flagged, want %d", n, want)
			}
		})
	}
}

// TestHeldFlagsDoNotOutliveTheirTime: nothing decides them, and the mailing ends.
func TestHeldFlagsDoNotOutliveTheirTime(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.deliver(w.mailing("before", true, names("early", 100)...))
	w.phones.SetOutcome("*", "UNREGISTERED")
	ref := w.mailing("m", true, names("t", 20)...) // too few to pause the mailing
	w.deliver(ref)
	w.wantState("m", push.Sending, 20)

	w.clock.Add(heldAtMost + time.Second)
	w.deliver(ref)
	w.wantState("m", push.Completed, 0)
	if n := w.flagged(names("t", 20)...); n != 0 {
		t.Errorf("%d tokens are flagged, want none", n)
	}
}

// TestSeedBodiesFlagAlone: both answers of the source document flag, from one
// token among a thousand and from one alone, in plain and personal mailings.
func TestSeedBodiesFlagAlone(t *testing.T) {
	t.Parallel()
	for _, row := range []string{"UNREGISTERED_SEED", "INVALID_TOKEN_BARE"} {
		for _, title := range []string{"x", "Hi {{ customer.id }}"} {
			for _, others := range []int{0, 999} {
				t.Run(row+strings.ReplaceAll(title, " ", "")+string(rune('0'+others%10)), func(t *testing.T) {
					t.Parallel()
					w := newBatchHarness(t, phones.Options{})
					w.phones.SetOutcome("gone-token", row)
					w.mailingTitled("m", title, append(names("live", others), "gone-token")...)
					w.deliver(push.BatchRef{Mailing: "m", Batch: "00-000000"})
					if w.invalid("gone-token") == "" {
						t.Error("the token is not flagged")
					}
					w.wantState("m", push.Completed, 0)
				})
			}
		}
	}
}

// mailingTitled is mailing with a title.
func (w *batchHarness) mailingTitled(id, title string, tokens ...string) {
	w.t.Helper()
	var targets []push.Target
	for _, token := range tokens {
		w.register("c-"+token, token)
		targets = append(targets, push.Target{Customer: "c-" + token, Token: token, Kind: push.KindToken, Platform: push.Android})
	}
	w.clock.Add(time.Millisecond)
	message, err := json.Marshal(map[string]any{"notification": map[string]string{"title": title}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.record(id, true, push.Draft{Message: message, Audience: push.Audience{Everyone: true}}, targets)
}

// fids records a mailing to installation ids of one iOS app.
func (w *batchHarness) fids(id string, young bool, fids ...string) push.BatchRef {
	w.t.Helper()
	var targets []push.Target
	for _, fid := range fids {
		if _, err := w.RegisterToken(w.t.Context(), "c-"+fid, push.Registration{Kind: push.KindFID, Value: fid, Platform: push.IOS, App: "shop"}); err != nil {
			w.t.Fatal(err)
		}
		targets = append(targets, push.Target{Customer: "c-" + fid, Token: fid, Kind: push.KindFID, Platform: push.IOS, App: "shop", Young: young})
	}
	w.clock.Add(time.Millisecond)
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}}
	return w.record(id, true, d, targets)
}

// outage is a sender: after FCM has called one token invalid, FCM calls every token invalid.
type outage struct {
	sender
	w *batchHarness
}

func (o *outage) Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer)) {
	o.sender.Send(ctx, it, func(a fcm.Answer) {
		if a.Class == fcm.Invalid {
			o.w.phones.SetOutcome("*", "UNREGISTERED")
		}
		answered(a)
	})
}
