package deliver

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
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

// busyMailing cannot be held the first time: every batch of a mailing that is
// in trouble writes the same document.
type busyMailing struct {
	dataStore
	asked func()
	held  atomic.Int64
}

func (b *busyMailing) PauseMailingForProject(ctx context.Context, id, project string, reason push.PauseReason, detail string) (*push.Mailing, error) {
	b.asked()
	if b.held.Add(1) == 1 {
		return nil, &push.Unavailable{Err: errors.New("too much contention")}
	}
	return b.dataStore.PauseMailingForProject(ctx, id, project, reason, detail)
}

// TestAMailingThatCannotBeHeldKeepsItsResults: nobody is rung twice, and the
// batch is free at once.
func TestAMailingThatCannotBeHeldKeepsItsResults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 100)...)
	w.deps.Store = &busyMailing{dataStore: w.Store, asked: func() {
		if _, x := w.totals("m"); x.Accepted != 99 {
			t.Errorf("when the mailing is to be held %+v is stored", x)
		}
	}}
	w.deps.Sender = odd{sender: w.deps.Sender, token: "t-token-0099", late: 300 * time.Millisecond,
		answer: fcm.Answer{Class: fcm.Misconfigured, Text: "no"}}
	w.d = newDeliverer(w.deps)
	if err := w.d.deliverAndFinish(t.Context(), ref, ""); err == nil {
		t.Error("the mailing could not be held, and nobody is told")
	}
	if _, x := w.totals("m"); x.Accepted != 99 || len(w.rung("m")) != 99 {
		t.Errorf("%d were rung: %+v", len(w.rung("m")), x)
	}
	w.deliver(ref)
	if m, x := w.totals("m"); m.State != push.Paused || x.Pending != 1 {
		t.Errorf("%s: %+v", m.State, x)
	}
	for token, n := range w.rung("m") {
		if n > 1 {
			t.Errorf("%s was rung %d times", token, n)
		}
	}
}

// TestResultsAreSavedBeforeAProof: a proof may take as long as FCM takes, and
// an instance that is told to stop does not wait for it.
func TestResultsAreSavedBeforeAProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
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
				t.Error("an instance that was told to stop waits for a proof")
			}
			return fcm.Answer{Class: fcm.Waiting}
		}}
	w.d = newDeliverer(w.deps)
	w.deliver(ref)
	if m, x := w.totals("m"); m.State != push.Sending || x.Accepted != 99 || x.Pending != 1 || asked != 1 {
		t.Errorf("%s after %d proofs: %+v", m.State, asked, x)
	}
}

// refusedTopic is an FCM whose topics take less than its tokens do.
func refusedTopic(context.Context) fcm.Answer {
	return fcm.Answer{Class: fcm.Refused, Text: "Message is too large", Provisional: true}
}

// TestAnUnprovenMailingWithNothingPending: a batch that was given up, and one
// that owes only its flags, need no payload.
func TestAnUnprovenMailingWithNothingPending(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	w.deps.Sender = odd{sender: w.deps.Sender, proof: refusedTopic}
	w.d = newDeliverer(w.deps)
	lost := w.mailing("lost", false, names("lost", 3)...)
	w.failed(lost, minTries)
	if err := w.d.deliverAndFinish(t.Context(), lost, "deliver"); err != nil {
		t.Error(err)
	}
	if m, x := w.totals("lost"); m.State != push.Completed || x.Failed != 3 {
		t.Errorf("given up: %s %+v", m.State, x)
	}
	w.phones.SetOutcome("owed-token-*", "UNREGISTERED")
	owed := w.mailing("owed", false, names("owed", 3)...)
	w.Fail(errors.New("no Pub/Sub"))
	if err := w.d.deliverAndFinish(t.Context(), owed, ""); err == nil {
		t.Error("events could not be published, and nobody is told")
	}
	w.Fail(nil)
	w.deliver(owed)
	if m, x := w.totals("owed"); m.State != push.Completed || x.Invalid[push.CodeUnregistered] != 3 || w.invalid("owed-token-0002") == "" {
		t.Errorf("owed: %s %+v", m.State, x)
	}
}

// proofBook looks when a proof is noted.
type proofBook struct {
	dataStore
	noted func()
}

func (p proofBook) MarkPayloadProven(ctx context.Context, id string) error {
	p.noted()
	return p.dataStore.MarkPayloadProven(ctx, id)
}

// TestATokenThatAcceptsProvesThePayload: where a topic takes less than a token
// does, the first token that accepts is the proof (facts of FCM, "Limits").
func TestATokenThatAcceptsProvesThePayload(t *testing.T) {
	t.Parallel()
	for taken, want := range map[int]string{0: "", 60: push.CodeInvalidArgument} {
		w := newWorld(t, phones.Options{})
		w.phones.SetOutcome("bad-token-*", "INVALID_TOKEN_BARE")
		ref := w.mailing("m", false, append(names("good", taken), names("bad", 50)...)...)
		asked := 0
		w.deps.Sender = odd{sender: w.deps.Sender, proof: func(ctx context.Context) fcm.Answer {
			asked++
			return refusedTopic(ctx)
		}}
		w.deps.Store = proofBook{w.Store, func() {
			if _, x := w.totals("m"); x.Accepted != int64(taken) {
				t.Errorf("when the proof is noted %+v is stored", x)
			}
		}}
		w.d = newDeliverer(w.deps)
		w.deliver(ref)
		m, x := w.totals("m")
		if got := w.invalid("bad-token-0007"); got != want || x.Accepted != int64(taken) || m.Proven != (taken > 0) || asked != 2 {
			t.Errorf("with %d that accept it is marked %q, want %q; proven %t after %d proofs; %+v", taken, got, want, m.Proven, asked, x)
		}
	}
}

// unnoted cannot note a proof the first time.
type unnoted struct {
	dataStore
	asked atomic.Int64
}

func (u *unnoted) MarkPayloadProven(ctx context.Context, id string) error {
	if u.asked.Add(1) == 1 {
		return &push.Unavailable{Err: errors.New("too much contention")}
	}
	return u.dataStore.MarkPayloadProven(ctx, id)
}

// TestACallThatIsNotReadyGivesItsBatchBack: the redelivery goes on at once.
func TestACallThatIsNotReadyGivesItsBatchBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, phones.Options{})
	ref := w.mailing("m", false, names("t", 3)...)
	w.deps.Store = &unnoted{dataStore: w.Store}
	w.d = newDeliverer(w.deps)
	if err := w.d.deliverAndFinish(t.Context(), ref, ""); err == nil {
		t.Error("the proof could not be noted, and nobody is told")
	}
	w.deliver(ref)
	if m, x := w.totals("m"); m.State != push.Completed || x.Accepted != 3 {
		t.Errorf("%s: %+v", m.State, x)
	}
}
