package deliver

import (
	"slices"
	"testing"
	"time"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// newResults is the bookkeeping of a batch with so many targets, two a customer.
func newResults(n int) *results {
	b := &push.Batch{Results: make([]push.Result, n)}
	for i, token := range names("t", n) {
		b.Targets = append(b.Targets, push.Target{Customer: string(rune('a' + i/2)), Token: token})
	}
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	return &results{batch: b, now: func() time.Time { return now }, invalidShare: 0.3, due: map[int]time.Time{}}
}

// TestRecord: what one answer does to the bookkeeping.
func TestRecord(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer    fcm.Answer
		want      push.Result
		owed      bool
		undecided bool
		stop      stopReason
	}{
		"accepted":              {answer: fcm.Answer{Class: fcm.Accepted}, want: push.ResultAccepted},
		"unregistered":          {answer: fcm.Answer{Class: fcm.Invalid, Code: push.CodeUnregistered}, want: push.ResultUnregistered, owed: true},
		"token named":           {answer: fcm.Answer{Class: fcm.Invalid, Code: push.CodeInvalidArgument}, undecided: true},
		"nothing named":         {answer: fcm.Answer{Class: fcm.Doubtful, Code: push.CodeInvalidArgument}, undecided: true},
		"refused":               {answer: fcm.Answer{Class: fcm.Refused, Text: "no"}, want: push.ResultRefused},
		"another sender's":      {answer: fcm.Answer{Class: fcm.Mismatch, Text: "no"}, want: push.ResultWrongSender, owed: true},
		"Apple's credentials":   {answer: fcm.Answer{Class: fcm.ThirdParty, Text: "no"}},
		"our credentials":       {answer: fcm.Answer{Class: fcm.Misconfigured, HTTP: 403}, stop: stopCredentials},
		"to be sent once again": {answer: fcm.Answer{Class: fcm.Waiting}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResults(2)
			r.recordAnswer(answer{1, c.answer})
			if got := r.batch.Results[1]; got != c.want {
				t.Errorf("result is %d, want %d", got, c.want)
			}
			if got := len(r.batch.OwedFlags) == 1; got != c.owed {
				t.Errorf("owes a flag: %v, want %v", got, c.owed)
			}
			if got := len(r.undecided) == 1; got != c.undecided {
				t.Errorf("undecided: %v, want %v", got, c.undecided)
			}
			if r.stop.reason != c.stop {
				t.Errorf("stop is %d, want %d", r.stop.reason, c.stop)
			}
			if got := r.unsaved == 1; got != (c.want != push.ResultPending) {
				t.Errorf("to be saved: %v, want %v", got, c.want != push.ResultPending)
			}
		})
	}
}

// TestClassifyInvalid: the one place that decides whether an answer flags.
func TestClassifyInvalid(t *testing.T) {
	t.Parallel()
	gone := fcm.Answer{Class: fcm.Invalid, Code: push.CodeUnregistered}
	named := fcm.Answer{Class: fcm.Invalid, Code: push.CodeInvalidArgument}
	bare := fcm.Answer{Class: fcm.Doubtful, Code: push.CodeInvalidArgument}
	proof := func(o fcm.AnswerClass) *fcm.Answer { return &fcm.Answer{Class: o} }
	tooLarge := &fcm.Answer{Class: fcm.Refused, Provisional: true}

	for name, c := range map[string]struct {
		answer fcm.Answer
		known  payloadEvidence
		want   invalidCause
	}{
		"gone":                               {gone, payloadEvidence{}, tokenAtFault},
		"gone, breaker open":                 {gone, payloadEvidence{breakerOpen: true}, tokenAtFault},
		"named":                              {named, payloadEvidence{}, tokenAtFault},
		"named, breaker open":                {named, payloadEvidence{breakerOpen: true}, proofNeeded},
		"named, breaker open, proven before": {named, payloadEvidence{breakerOpen: true, proven: true}, proofNeeded},
		"named, breaker open, proof":         {named, payloadEvidence{breakerOpen: true, proof: proof(fcm.Accepted)}, tokenAtFault},
		"named, breaker open, refused":       {named, payloadEvidence{breakerOpen: true, proof: proof(fcm.Refused)}, payloadAtFault},
		"named, breaker open, for its size":  {named, payloadEvidence{breakerOpen: true, proof: tooLarge}, tokenAtFault},
		"bare":                               {bare, payloadEvidence{}, proofNeeded},
		"bare, proven before":                {bare, payloadEvidence{proven: true}, tokenAtFault},
		"bare, a token accepted":             {bare, payloadEvidence{accepted: true}, tokenAtFault},
		"bare, breaker open":                 {bare, payloadEvidence{breakerOpen: true, proven: true, accepted: true}, proofNeeded},
		"bare, proof":                        {bare, payloadEvidence{proof: proof(fcm.Accepted)}, tokenAtFault},
		"bare, refused":                      {bare, payloadEvidence{proof: proof(fcm.Refused)}, payloadAtFault},
		"bare, for its size":                 {bare, payloadEvidence{proof: tooLarge}, payloadAtFault},
		"bare, for its size, a token took it with the breaker open": {bare, payloadEvidence{breakerOpen: true, accepted: true, proof: tooLarge}, tokenAtFault},
		"bare, FCM out of reach":                                    {bare, payloadEvidence{proof: proof(fcm.Waiting)}, proofLater},
		"bare, our credentials":                                     {bare, payloadEvidence{proof: proof(fcm.Misconfigured)}, credentialsAtFault},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := classifyInvalid(c.answer, c.known); got != c.want {
				t.Errorf("decided %d, want %d", got, c.want)
			}
		})
	}
}

// TestTheFirstStopStays: what stopped the sending decides what becomes of the
// rest.
func TestTheFirstStopStays(t *testing.T) {
	t.Parallel()
	r := newResults(2)
	r.stopWith(stop{})
	if r.isStopped() {
		t.Fatal("stopped without a reason")
	}
	r.stopWith(stop{reason: stopEnded, result: push.ResultCancelled})
	r.stopWith(stop{reason: stopCredentials})
	if r.stop.reason != stopEnded {
		t.Errorf("reason is %d, want the first, %d", r.stop.reason, stopEnded)
	}
}

// TestBreaker: a share of few answers says nothing.
func TestBreaker(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		undecided, accepted int
		want                bool
	}{{49, 0, false}, {50, 0, true}, {30, 70, false}, {31, 69, true}} {
		r := newResults(100)
		for i := range c.undecided {
			r.recordAnswer(answer{i, fcm.Answer{Class: fcm.Doubtful, Code: push.CodeInvalidArgument}})
		}
		for i := range c.accepted {
			r.recordAnswer(answer{c.undecided + i, fcm.Answer{Class: fcm.Accepted}})
		}
		if got := r.breakerOpen(""); got != c.want {
			t.Errorf("%d undecided beside %d accepted: open %v, want %v", c.undecided, c.accepted, got, c.want)
		}
	}
}

// TestReleaseWaitsForTheFirst: one long wait holds no other target, and what
// need not wait keeps the batch from waiting.
func TestReleaseWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	r := newResults(3)
	now := r.now()
	r.due[0], r.due[1] = now.Add(time.Hour), now.Add(40*time.Second)
	r.setResult(2, push.ResultAccepted)

	r.releaseAfterSuccess()
	if got := r.batch.NotBefore.Sub(now); got != 40*time.Second {
		t.Errorf("the batch waits %v, want %v", got, 40*time.Second)
	}
	if got, want := r.readyTargets(now.Add(time.Minute)), []int{1}; !slices.Equal(got, want) {
		t.Errorf("ready after a minute: %v, want %v", got, want)
	}

	delete(r.due, 1)
	r.releaseAfterSuccess()
	if got := r.batch.NotBefore.Sub(now); got != 0 {
		t.Errorf("with a target that need not wait the batch waits %v, want 0", got)
	}

	r.stop = stop{reason: stopUnproven, until: now.Add(time.Minute)}
	r.releaseAfterSuccess()
	if got := r.batch.NotBefore.Sub(now); got != time.Minute {
		t.Errorf("without a proof the batch waits %v, want %v", got, time.Minute)
	}
}

// TestAdmit: what a call does with a batch.
func TestAdmit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	live := push.Lease{Owner: "another", Until: now.Add(time.Second)}
	pending := []push.Result{push.ResultPending}
	lapsed := push.Lease{Owner: "another", Until: now.Add(-time.Second)}
	for name, c := range map[string]struct {
		state      push.State
		expired    bool
		batch      push.Batch
		deadLetter bool
		want       admission
	}{
		"new":                               {want: admissionDeliver},
		"leased":                            {batch: push.Batch{Lease: live}, want: admissionLeave},
		"leased, from the dead letter":      {batch: push.Batch{Lease: live, Tries: minTries}, deadLetter: true, want: admissionLeave},
		"lapsed":                            {batch: push.Batch{Lease: lapsed}, want: admissionDeliver},
		"paused":                            {state: push.Paused, want: admissionLeave},
		"paused, from the dead letter":      {state: push.Paused, batch: push.Batch{Tries: minTries}, deadLetter: true, want: admissionLeave},
		"due later":                         {batch: push.Batch{NotBefore: now.Add(time.Minute)}, want: admissionLeave},
		"due later, but cancelled":          {state: push.Cancelled, batch: push.Batch{NotBefore: now.Add(time.Minute)}, want: admissionDeliver},
		"due later, but expired":            {expired: true, batch: push.Batch{NotBefore: now.Add(time.Minute)}, want: admissionDeliver},
		"four crashes":                      {batch: push.Batch{Lease: lapsed, Crashes: maxCrashes - 2}, want: admissionDeliver},
		"five crashes":                      {batch: push.Batch{Lease: lapsed, Crashes: maxCrashes - 1}, want: admissionGiveUp},
		"five crashes, the last with saves": {batch: push.Batch{Lease: lapsed, Crashes: maxCrashes - 1, Saved: true}, want: admissionDeliver},
		"dead letter, never tried":          {deadLetter: true, want: admissionPostpone},
		"dead letter, tried":                {batch: push.Batch{Tries: minTries, Results: pending}, deadLetter: true, want: admissionGiveUp},
		"dead letter, tried to flag":        {batch: push.Batch{Tries: minTries, OwedFlags: []int{0}}, deadLetter: true, want: admissionPostpone},
		"dead letter, cancelled":            {state: push.Cancelled, deadLetter: true, want: admissionDeliver},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &push.Mailing{State: push.Sending, ExpiresAt: now.Add(time.Hour)}
			if c.state != "" {
				m.State = c.state
			}
			if c.expired {
				m.ExpiresAt = now
			}
			if got := decideAdmission(m, &c.batch, now, c.deadLetter); got != c.want {
				t.Errorf("admitted as %d, want %d", got, c.want)
			}
		})
	}
}
