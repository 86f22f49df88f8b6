package deliver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

func TestAMailingIsSentFlagsTokensAndCompletes(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	tokens := append(names("good", 20), "gone-token", "malformed-token", "bare-token", "stranger-token")
	w.phones.SetOutcome("gone-token", "UNREGISTERED")
	w.phones.SetOutcome("malformed-token", "INVALID_TOKEN")
	w.phones.SetOutcome("bare-token", "INVALID_TOKEN_BARE")
	w.phones.SetOutcome("stranger-token", "SENDER_ID_MISMATCH")
	ref := w.mailing("m", true, tokens...)
	w.deliver(ref)
	m, got := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, got.Accepted, 20, "tokens accepted")
	check.Equal(t, got.Invalid[push.CodeWrongSender], 1, "tokens invalid with CodeWrongSender")
	check.Equal(t, got.Pending, 0, "tokens pending")
	check.Equal(t, got.Invalid[push.CodeUnregistered], 1, "tokens invalid with CodeUnregistered")
	check.Equal(t, got.Invalid[push.CodeInvalidArgument], 2, "tokens invalid with CodeInvalidArgument")
	for token, want := range map[string]string{"gone-token": push.CodeUnregistered, "malformed-token": push.CodeInvalidArgument,
		"bare-token": push.CodeInvalidArgument, "stranger-token": push.CodeWrongSender, "good-token-0000": ""} {
		t.Run(token, func(t *testing.T) {
			if got := w.invalid(token); got != want {
				t.Errorf("the flag of token %s is %q, want %q", token, got, want)
			}
		})
	}
	types := w.types()
	if n := strings.Count(strings.Join(types, " "), push.TokenInvalidated); n != 4 {
		t.Errorf("published %v, want four tokens", types)
	}
	if n := strings.Count(strings.Join(types, " "), push.AvailabilityChanged); n != 4 {
		t.Errorf("published %v, want four customers", types)
	}
	if n := strings.Count(strings.Join(types, " "), push.MailingCompleted); n != 1 {
		t.Errorf("published %v, want one end", types)
	}
	w.deliver(ref) // a redelivery
	for token, n := range w.messagesByToken("m") {
		if n != 1 {
			t.Errorf("%s got %d messages, want 1", token, n)
		}
	}
	if got := w.types(); len(got) != len(types) {
		t.Errorf("a redelivery published more: %v", got)
	}
}

// Dashboards count the field invalid of this line, so it has to be what the API calls
// invalid: tokens of another sender, too.
func TestTheLineOfABatchHasTheSumsOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	for token, outcome := range map[string]string{"gone": "UNREGISTERED", "malformed": "INVALID_TOKEN", "stranger": "SENDER_ID_MISMATCH"} {
		w.phones.SetOutcome(token, outcome)
	}
	var lines bytes.Buffer
	w.deps.Log = slog.New(slog.NewJSONHandler(&lines, nil))
	w.d = newDeliverer(w.deps)
	w.deliver(w.mailing("m", true, append(names("good", 20), "gone", "malformed", "stranger")...))

	_, totals := w.totals("m")
	type sums struct{ Accepted, Invalid, Refused, Failed, Pending int64 }
	want := sums{Refused: totals.Refused, Failed: totals.Failed, Pending: totals.Pending, Accepted: 20, Invalid: 3}
	var got []sums
	for line := range strings.Lines(lines.String()) {
		var l struct {
			Msg string
			sums
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("the line %q is no JSON: %v", line, err)
		}
		if l.Msg == "batch call ended" {
			got = append(got, l.sums)
		}
	}
	if diff := cmp.Diff([]sums{want}, got); diff != "" {
		t.Errorf("the sums of \"batch call ended\" differ (-want +got):\n%s", diff)
	}
}

// TestUnprovenMailingIsProvenFirst, and refused with FCM's words if that fails.
func TestUnprovenMailingIsProvenFirst(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.deliver(w.mailing("good", false, "first-token"))
	m, totals := w.totals("good")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, m.Proven, true, "Proven")
	check.Equal(t, totals.Accepted, 1, "tokens accepted")
	w.phones.SetOutcome("/topics/*", "WEBPUSH_TTL")
	w.deliver(w.mailing("bad", false, "second-token"))
	m, totals = w.totals("bad")
	check.Equal(t, m.State, push.Refused, "state")
	if m.Refusal == "" {
		t.Error("Refusal is empty, want a value")
	}
	check.Equal(t, totals.Refused, 1, "tokens refused")
	check.Equal(t, len(w.messagesByToken("bad")), 0, "number of tokens that got mailing bad")
}

// TestMisconfiguredPausesWithTheReason: no token is flagged, nothing is lost, and once it is
// mended and resumed every token gets the message.
func TestMisconfiguredPausesWithTheReason(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.phones.SetOutcome("t-token-*", "PERMISSION_DENIED")
	ref := w.mailing("m", true, names("t", 3)...)
	w.deliver(ref)
	m, totals := w.totals("m")
	if m.State != push.Paused {
		t.Fatalf("state is %v, want %v", m.State, push.Paused)
	}
	if m.PausedReason != push.PausedCredentials {
		t.Fatalf("PausedReason is %v, want %v", m.PausedReason, push.PausedCredentials)
	}
	if m.PausedDetail == "" {
		t.Fatal("PausedDetail is empty, want a value")
	}
	if totals.Pending != 3 {
		t.Fatalf("tokens pending is %v, want 3", totals.Pending)
	}
	w.phones.ClearOutcomes()
	if _, err := w.ResumeMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	w.deliver(ref)
	m, totals = w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, totals.Accepted, 3, "tokens accepted")
}

// TestTokensOfAnotherSender: while FCM accepts others of their kind, they are
// flagged with a code of their own. When it accepts none, we are the wrong
// project: the mailing is paused, and nobody is flagged.
func TestTokensOfAnotherSender(t *testing.T) {
	t.Parallel()
	for every, want := range map[int]push.State{10: push.Completed, 2: push.Completed, 1: push.Paused} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			w := newBatchHarness(t, phones.Options{})
			tokens := names("own", 400)
			for i := 0; i < len(tokens); i += every {
				tokens[i] = fmt.Sprintf("stranger-token-%04d", i)
			}
			w.phones.SetOutcome("stranger-token-*", "SENDER_ID_MISMATCH")
			w.deliver(w.mailing("m", true, tokens...))
			m, totals := w.totals("m")
			check.Equal(t, m.State, want, "one of %d: state", every)
			if want == push.Paused && m.PausedReason != push.PausedWrongSender {
				t.Errorf("one of %d: %s because %q: %+v", every, m.State, m.PausedBecause(), totals)
			}
			code := push.CodeWrongSender
			if want == push.Paused {
				code = ""
			}
			if got := w.invalid("stranger-token-0000"); got != code {
				t.Errorf("one of %d: a token of another sender has code %q, want %q", every, got, code)
			}
		})
	}
}

// TestTokensOfAnotherSenderAreKeptIfTheSettingSaysSo: they are counted with their
// own code all the same, and when FCM accepts no token at all, the mailing is paused.
func TestTokensOfAnotherSenderAreKeptIfTheSettingSaysSo(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	set := push.DefaultSettings()
	set.WrongSender = push.WrongSenderKeep
	if _, err := w.SaveSettings(t.Context(), set, nil); err != nil {
		t.Fatal(err)
	}
	w.phones.SetOutcome("stranger-*", "SENDER_ID_MISMATCH")
	w.phones.SetOutcome("gone-*", "UNREGISTERED")
	w.deliver(w.mailing("m", true, append(names("own", 40), "stranger-token", "gone-token")...))
	w.wantState("m", push.Completed, 0)
	_, totals := w.totals("m")
	if diff := cmp.Diff(map[string]int64{push.CodeWrongSender: 1, push.CodeUnregistered: 1, push.CodeInvalidArgument: 0}, totals.Invalid); diff != "" {
		t.Errorf("invalid tokens (-want +got):\n%s", diff)
	}
	if got := w.invalid("stranger-token"); got != "" {
		t.Errorf("the token of another sender is flagged %q, want it kept", got)
	}
	if got := w.invalid("gone-token"); got != push.CodeUnregistered {
		t.Errorf("the invalid token is flagged %q, want %q", got, push.CodeUnregistered)
	}

	w.phones.SetOutcome("*", "SENDER_ID_MISMATCH")
	w.deliver(w.mailing("wrong", true, names("other", 60)...))
	m, _ := w.totals("wrong")
	check.Equal(t, m.State, push.Paused, "where FCM accepts no token: state")
	check.Equal(t, m.PausedReason, push.PausedWrongSender, "where FCM accepts no token: PausedReason")
}

// TestWaitingIsNotFailing: over quota the batch is stored with its time and the
// message acknowledged.
func TestWaitingIsNotFailing(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	if err := w.phones.SetOutcomes(phones.Outcome{Token: "t-token-0001", Outcome: "QUOTA_DEVICE", RetryAfter: time.Hour}); err != nil {
		t.Fatal(err)
	}
	ref := w.mailing("m", true, names("t", 3)...)
	w.deliver(ref)
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, b.Settled, false, "Settled")
	if b.NotBefore.Before(w.clock.Now().Add(50 * time.Minute)) {
		t.Errorf("NotBefore is %v, want %v or later", b.NotBefore, w.clock.Now().Add(50*time.Minute))
	}
	if !b.Lease.Until.IsZero() {
		t.Errorf("Lease.Until is %v, want the zero time", b.Lease.Until)
	}
	if len(b.PendingTargets()) == 0 {
		t.Error("number of pending targets is 0, want some")
	}
	before := w.phones.Stats().Requests
	w.deliver(ref) // too early: nothing happens
	if w.phones.Stats().Requests != before {
		t.Error("something was sent before its time")
	}
}

func TestUnknownBatchesAndNonsenseAreAnswered(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	for _, c := range []struct {
		data    string
		invalid bool
		want    queue.Reply
	}{
		{`{"mailing":"none","batch":"00-000000"}`, false, queue.Ack},
		{`{"mailing":"a/b/c","batch":".."}`, false, queue.Ack},
		{`nonsense`, false, queue.Redeliver},
		{`{}`, false, queue.Redeliver},
		{`nonsense`, true, queue.Ack},
	} {
		t.Run(c.data, func(t *testing.T) {
			m := queue.Message{Data: []byte(c.data)}
			if c.invalid {
				m.Attributes = map[string]string{"CloudPubSubDeadLetterSourceSubscription": "deliver"}
			}
			if got := w.d.receiveFromPubSub(t.Context(), m); got != c.want {
				t.Errorf("%s was answered with %v, want %v", c.data, got, c.want)
			}
		})
	}
}
