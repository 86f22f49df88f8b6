package deliver

import (
	"context"
	"errors"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// odd is an FCM that answers one token itself, and asks somebody else for
// proofs.
type odd struct {
	sender
	token  string
	answer fcm.Answer
	late   time.Duration // how long after all others
	proof  func(context.Context) fcm.Answer
}

func (o odd) Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer)) {
	if it.Target == o.token {
		time.AfterFunc(o.late, func() { answered(o.answer) })
		return
	}
	o.sender.Send(ctx, it, answered)
}

func (o odd) ProvePayloadIn(ctx context.Context, project string, m *fcm.Message) fcm.Answer {
	if o.proof == nil {
		return o.sender.ProvePayloadIn(ctx, project, m)
	}
	return o.proof(ctx)
}

// TestAMailingThatCannotBePausedKeepsItsResults: no token gets two messages, and the
// batch is free at once. Every batch of a mailing that is in trouble writes the
// document of the mailing, so a pause can fail.
func TestAMailingThatCannotBePausedKeepsItsResults(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 100)...)
	w.deps.Store = storetest.New(w.Store).Before(storetest.Do(func() {
		if _, x := w.totals("m"); x.Accepted != 99 {
			t.Errorf("when the mailing is to be paused, %d results are stored, want 99: %+v", x.Accepted, x)
		}
	}), storetest.PauseMailingForProject).Before(storetest.FailOnce(errContention), storetest.PauseMailingForProject)
	w.deps.Sender = odd{sender: w.deps.Sender, token: "t-token-0099", late: 300 * time.Millisecond,
		answer: fcm.Answer{Class: fcm.Misconfigured, Text: "no"}}
	w.d = newDeliverer(w.deps)
	if err := w.d.deliverAndFinish(t.Context(), ref, ""); err == nil {
		t.Error("the mailing could not be paused, and the call returned no error")
	}
	_, x := w.totals("m")
	check.Equal(t, x.Accepted, 99, "tokens accepted")
	check.Equal(t, len(w.messagesByToken("m")), 99, "number of tokens that got mailing m")
	w.deliver(ref)
	m, x := w.totals("m")
	check.Equal(t, m.State, push.Paused, "state")
	check.Equal(t, x.Pending, 1, "tokens pending")
	for token, n := range w.messagesByToken("m") {
		if n > 1 {
			t.Errorf("%s got %d messages, want 1", token, n)
		}
	}
}

// TestResultsAreSavedBeforeAProof: a proof may take as long as FCM takes, and
// an instance that has to stop does not wait for it.
func TestResultsAreSavedBeforeAProof(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 100)...)
	stopping, stop := context.WithCancel(t.Context())
	w.deps.Stopping, w.deps.InvalidShare = stopping, 0.001
	asked := 0
	w.deps.Sender = odd{sender: w.deps.Sender, token: "t-token-0000", answer: fcm.Answer{Class: fcm.Doubtful, Code: push.CodeInvalidArgument},
		proof: func(ctx context.Context) fcm.Answer {
			asked++
			if _, x := w.totals("m"); x.Accepted != 99 {
				t.Errorf("while the proof is asked for %+v is stored", x)
			}
			stop()
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Second):
				t.Error("an instance that has to stop waits for a proof")
			}
			return fcm.Answer{Class: fcm.Waiting}
		}}
	w.d = newDeliverer(w.deps)
	w.deliver(ref)
	m, x := w.totals("m")
	check.Equal(t, m.State, push.Sending, "state")
	check.Equal(t, x.Accepted, 99, "tokens accepted")
	check.Equal(t, x.Pending, 1, "tokens pending")
	check.Equal(t, asked, 1, "number of proofs")
}

// refusedTopic is an FCM whose topics take less than its tokens do.
func refusedTopic(context.Context) fcm.Answer {
	return fcm.Answer{Class: fcm.Refused, Text: "Message is too large", Provisional: true}
}

// TestAnUnprovenMailingWithNothingPending: a batch that was given up, and one
// that owes only its flags, need no payload.
func TestAnUnprovenMailingWithNothingPending(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	w.deps.Sender = odd{sender: w.deps.Sender, proof: refusedTopic}
	w.d = newDeliverer(w.deps)
	lost := w.mailing("lost", false, names("lost", 3)...)
	w.failed(lost, minTries)
	if err := w.d.deliverAndFinish(t.Context(), lost, "deliver"); err != nil {
		t.Error(err)
	}
	m, x := w.totals("lost")
	check.Equal(t, m.State, push.Completed, "given up: state")
	check.Equal(t, x.Failed, 3, "given up: tokens failed")
	w.phones.SetOutcome("owed-token-*", "UNREGISTERED")
	owed := w.mailing("owed", false, names("owed", 3)...)
	w.Fail(errors.New("no Pub/Sub"))
	if err := w.d.deliverAndFinish(t.Context(), owed, ""); err == nil {
		t.Error("events could not be published, and the call returned no error")
	}
	w.Fail(nil)
	w.deliver(owed)
	m, x = w.totals("owed")
	check.Equal(t, m.State, push.Completed, "owed: state")
	check.Equal(t, x.Invalid[push.CodeUnregistered], 3, "owed: tokens invalid with CodeUnregistered")
	if w.invalid("owed-token-0002") == "" {
		t.Error("owed: flag of token owed-token-0002 is empty, want a value")
	}
}

// TestATokenThatAcceptsProvesThePayload: where a topic takes less than a token
// does, the first token that accepts is the proof (facts of FCM, "Limits").
func TestATokenThatAcceptsProvesThePayload(t *testing.T) {
	t.Parallel()
	for taken, want := range map[int]string{0: "", 60: push.CodeInvalidArgument} {
		w := newBatchHarness(t, phones.Options{})
		w.phones.SetOutcome("bad-token-*", "INVALID_TOKEN_BARE")
		ref := w.mailing("m", false, append(names("good", taken), names("bad", 50)...)...)
		asked := 0
		w.deps.Sender = odd{sender: w.deps.Sender, proof: func(ctx context.Context) fcm.Answer {
			asked++
			return refusedTopic(ctx)
		}}
		w.deps.Store = storetest.New(w.Store).Before(storetest.Do(func() {
			if _, x := w.totals("m"); x.Accepted != int64(taken) {
				t.Errorf("when the proof is stored, %d results are stored, want %d: %+v", x.Accepted, taken, x)
			}
		}), storetest.MarkPayloadProven)
		w.d = newDeliverer(w.deps)
		w.deliver(ref)
		m, x := w.totals("m")
		got := w.invalid("bad-token-0007")
		check.Equal(t, got, want, "with %d that accept: flag", taken)
		check.Equal(t, x.Accepted, int64(taken), "with %d that accept: tokens accepted", taken)
		check.Equal(t, m.Proven, taken > 0, "with %d that accept: Proven", taken)
		check.Equal(t, asked, 2, "with %d that accept: number of proofs", taken)
	}
}

// TestACallThatIsNotReadyGivesItsBatchBack: the redelivery goes on at once.
func TestACallThatIsNotReadyGivesItsBatchBack(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", false, names("t", 3)...)
	w.deps.Store = storetest.New(w.Store).Before(storetest.FailOnce(errContention), storetest.MarkPayloadProven)
	w.d = newDeliverer(w.deps)
	if err := w.d.deliverAndFinish(t.Context(), ref, ""); err == nil {
		t.Error("the proof could not be recorded, and the call returned no error")
	}
	w.deliver(ref)
	m, x := w.totals("m")
	check.Equal(t, m.State, push.Completed, "state")
	check.Equal(t, x.Accepted, 3, "tokens accepted")
}
