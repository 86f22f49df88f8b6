package chaos

import (
	"slices"
	"time"

	"carillon.example/emulators/instances"
	"carillon.example/shared/push"
)

// A duplicateCheck checks the messages that FCM accepted more than once in a mailing.
// FCM has no idempotency key, so in three cases deliver must send again: the process
// was killed before it saved the result, FCM's answer was lost, or the save failed.
// One of them must lie between two sends to a token, and a call that was cut short
// excuses 250 tokens at most. If the answer was lost before the kill, the kill is not
// the cause: deliver would have sent again without it. While such a target waits to
// be sent again, it does not count towards the 250.
type duplicateCheck struct {
	*mailingCheck
	resentByKill, resentBySave map[callID]int
}

// A callID names a call of deliver that was cut short.
type callID struct {
	ref   push.BatchRef
	began time.Time
}

func newDuplicateCheck(o *mailingCheck) *duplicateCheck {
	return &duplicateCheck{mailingCheck: o, resentByKill: map[callID]int{}, resentBySave: map[callID]int{}}
}

// check checks every token of the mailing, then the limit for each call.
func (d *duplicateCheck) check() {
	for k, s := range d.log.tokens {
		slices.SortFunc(s.accepted, func(a, b acceptedSend) int { return a.at.Compare(b.at) })
		at := d.targets[k]
		for i, first := range s.accepted {
			if i+1 < len(s.accepted) {
				d.checkRepeat(k, at, first, s.accepted[i+1])
			} else if at.result != push.ResultAccepted {
				d.checkUnrecorded(k, at, first)
			}
		}
	}

	for list, what := range map[*map[callID]int]string{&d.resentByKill: "was killed", &d.resentBySave: "could not save"} {
		for c, n := range *list {
			if n > maxResentByKill {
				d.addFinding(brokenTooManyAtKill, "batch %s of mailing %s, whose call %s, was sent again to %d tokens", c.ref.Batch, c.ref.Mailing, what, n)
			}
		}
	}

	for _, n := range d.resentByKill {
		d.figures.MostKilled = max(d.figures.MostKilled, n)
	}
}

// checkRepeat finds the cause of a second send.
func (d *duplicateCheck) checkRepeat(k tokenKey, at targetResult, first, second acceptedSend) {
	calls := d.calls.ForBatch(at.ref)
	if c, ok := findKilledCall(calls, first.at, second.at); ok && !first.answerLostBefore(c.Killed) {
		d.resentByKill[callID{at.ref, c.Began}]++
		d.figures.Killed++
		return
	}
	if !first.answerLostAt.IsZero() {
		d.figures.Answers++
		return
	}
	if c, ok := d.findFailedSave(calls, at.ref, first.at, second.at); ok {
		d.resentBySave[callID{at.ref, c.Began}]++
		d.figures.Saves++
		return
	}

	d.addFinding(brokenDuplicates, "customer %s in batch %s of mailing %s was sent at %s and %s; calls %s, faults %s", k.customer, at.ref.Batch, d.mailing.id,
		formatTime(first.at), formatTime(second.at), formatCalls(calls), formatFaults(d.log.batches[at.ref.Batch]))
}

// answerLostBefore reports whether the answer was lost before t.
func (s acceptedSend) answerLostBefore(t time.Time) bool {
	return !s.answerLostAt.IsZero() && s.answerLostAt.Before(t)
}

// checkUnrecorded finds the cause of a send that FCM accepted and whose result is not
// accepted.
func (d *duplicateCheck) checkUnrecorded(k tokenKey, at targetResult, last acceptedSend) {
	calls, never := d.calls.ForBatch(at.ref), time.Now()
	_, killed := findKilledCall(calls, last.at, never)
	_, unsaved := d.findFailedSave(calls, at.ref, last.at, never)
	if killed || unsaved || !last.answerLostAt.IsZero() {
		d.figures.Unrecorded++
		return
	}
	d.addFinding(brokenLost, "customer %s in batch %s of mailing %s was sent at %s and has the result %d; calls %s, faults %s", k.customer, at.ref.Batch, d.mailing.id,
		formatTime(last.at), at.result, formatCalls(calls), formatFaults(d.log.batches[at.ref.Batch]))
}

// findKilledCall finds a call that was killed before second, and that may have sent
// what FCM accepted at first.
func findKilledCall(calls []instances.Call, first, second time.Time) (instances.Call, bool) {
	for _, c := range calls {
		if !c.Killed.IsZero() && c.Killed.Before(second) && c.MayHaveSent(first, calls) {
			return c, true
		}
	}
	return instances.Call{}, false
}

// findFailedSave finds an injected fault in a write of the batch between first and
// second, and the call that had begun before it.
func (d *duplicateCheck) findFailedSave(calls []instances.Call, ref push.BatchRef, first, second time.Time) (instances.Call, bool) {
	cut := d.log.batches[ref.Batch]
	if cut == nil {
		return instances.Call{}, false
	}

	for _, f := range cut.faults {
		if !f.After(first) || !f.Before(second) {
			continue
		}
		for _, c := range calls {
			if !c.Began.After(first) && (c.Ended.IsZero() || c.Ended.After(f)) {
				return c, true
			}
		}
	}

	return instances.Call{}, false
}

func formatTime(t time.Time) string { return t.UTC().Format("15:04:05.000") }

func formatCalls(calls []instances.Call) (out []string) {
	for _, c := range calls {
		s := formatTime(c.Began) + "–" + formatTime(c.Ended)
		if !c.Killed.IsZero() {
			s = formatTime(c.Began) + "–killed " + formatTime(c.Killed)
		}
		out = append(out, s)
	}
	return out
}

func formatFaults(c *committedBatch) (out []string) {
	if c == nil {
		return nil
	}
	for _, t := range c.faults {
		out = append(out, formatTime(t))
	}
	return out
}
