package deliver

import (
	"errors"
	"strings"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestOnlyTheTokenRuleFlags sends a whole mailing into every row of FCM's
// error table: no row but those of the token rule marks anybody.
func TestOnlyTheTokenRuleFlags(t *testing.T) {
	t.Parallel()
	flags := map[string]bool{"SENDER_ID_MISMATCH": true, "UNREGISTERED": true, "UNREGISTERED_SEED": true, "INVALID_TOKEN": true, "INVALID_TOKEN_BARE": true, "INVALID_TOKEN_OLD": true}
	for _, row := range []string{"UNREGISTERED", "UNREGISTERED_SEED", "INVALID_TOKEN", "INVALID_TOKEN_BARE", "INVALID_TOKEN_OLD",
		"PAYLOAD_FIELD", "UNKNOWN_FIELD", "NO_TARGET", "WEBPUSH_TTL", "SENDER_ID_MISMATCH", "PERMISSION_DENIED", "QUOTA_PROJECT",
		"QUOTA_DEVICE", "UNAVAILABLE", "INTERNAL", "BAD_GATEWAY", "THIRD_PARTY_AUTH", "UNAUTHENTICATED", "RESET"} {
		t.Run(row, func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			w.deps.CallTimeout = 3 * time.Second
			w.d = newDeliverer(w.deps)
			w.control()
			tokens := names("t", 5)
			if err := w.phones.SetOutcomes(phones.Outcome{Token: "t-token-*", Outcome: row}); err != nil {
				t.Fatal(err)
			}
			w.deliver(w.mailing("m", true, tokens...))
			_, totals := w.totals("m")
			for _, token := range tokens {
				if got := w.invalid(token); (got != "") != flags[row] {
					t.Errorf("%s: the flag is %q; totals %+v", token, got, totals)
				}
			}
		})
	}
}

// TestBreakerHoldsFlagsBack: a payload that FCM does not accept any more looks like
// invalid tokens everywhere; the new proof shows which.
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
			w := newBatchHarness(t, phones.Options{})
			tokens := names("t", 60)
			w.control()
			w.phones.SetOutcome("t-token-*", "INVALID_TOKEN_BARE")
			w.phones.SetOutcome("/topics/carillon-proof", c.topic)
			w.deliver(w.mailing("m", true, tokens...))
			_, totals := w.totals("m")
			if got := w.invalid(tokens[0]) != ""; got != c.invalid {
				t.Errorf("flagged: %v, want %v; %+v", got, c.invalid, totals)
			}
			if (totals.Refused == 60) == c.invalid {
				t.Errorf("totals: %+v", totals)
			}
		})
	}
}

// TestFlagsAndEventsStayOwed: the results are saved, but the event could not
// be published; the next call still owes it, and sends nothing.
func TestFlagsAndEventsStayOwed(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("gone-token", "UNREGISTERED")
	ref := w.mailing("m", true, "gone-token", "good-token")
	w.Fail(errors.New("no Pub/Sub"))
	if err := w.d.deliverAndFinish(t.Context(), ref, ""); err == nil {
		t.Fatal("an event that was not published was no error")
	}
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.Settled {
		t.Fatal("Settled is true, want false")
	}
	if len(b.OwedFlags) != 1 {
		t.Fatalf("number of OwedFlags is %v, want 1: %+v", len(b.OwedFlags), b.OwedFlags)
	}
	w.Fail(nil)
	w.clock.Add(time.Hour)
	w.deliver(ref)
	m, _ := w.totals("m")
	got := strings.Join(w.types(), " ")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, got, push.AvailabilityChanged+" "+push.MailingCompleted+" "+push.TokenInvalidated, "published events")
	if w.messagesByToken("m")["good-token"] != 1 {
		t.Error("the good token did not get exactly one message")
	}
}

// TestFlagsThatAreNotStoredStayOwed: no event is published, and the next call flags.
func TestFlagsThatAreNotStoredStayOwed(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("gone-token", "UNREGISTERED")
	ref := w.mailing("m", true, "gone-token")
	deps := w.deps
	deps.Store = storetest.New(w.Store).Before(storetest.Fail(errors.New("Firestore is out of reach")), storetest.FlagTokens)
	if err := newDeliverer(deps).deliverAndFinish(t.Context(), ref, ""); err == nil {
		t.Error("a flag that was not stored was no error")
	}
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.Settled {
		t.Fatal("Settled is true, want false")
	}
	if len(b.OwedFlags) != 1 {
		t.Fatalf("number of OwedFlags is %v, want 1: %+v", len(b.OwedFlags), b.OwedFlags)
	}
	if len(w.types()) > 0 {
		t.Fatalf("number of published events is %v, want 0", len(w.types()))
	}
	w.clock.Add(time.Hour)
	w.deliver(ref)
	if got := w.invalid("gone-token"); got != push.CodeUnregistered {
		t.Errorf("the flag of gone-token is %q, want UNREGISTERED", got)
	}
}

// TestRegisteredAgainIsNotFlagged: a token that came back after the batch was
// created is not flagged by the late answer.
func TestRegisteredAgainIsNotFlagged(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("back-token", "UNREGISTERED")
	ref := w.mailing("m", true, "back-token")
	w.clock.Add(time.Second)
	w.register("c-back-token", "back-token")
	w.deliver(ref)
	if got := w.invalid("back-token"); got != "" {
		t.Errorf("the flag of the token is %q, want none", got)
	}
	list, _, err := w.ListInvalidTokens(t.Context(), "m", 10, "")
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, len(list), 0, "number of listed invalid tokens")
}
