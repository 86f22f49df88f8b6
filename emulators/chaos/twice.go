package chaos

import (
	"slices"
	"time"

	"carillon.example/emulators/instances"
	"carillon.example/shared/push"
)

// duplicates judges what FCM took more than once in a mailing. FCM has no
// idempotency key, so that three things leave no better choice than to send
// again: the process was killed before it saved the result, FCM's answer was
// lost, or the save failed. Each second sending must have one of them between
// it and the first, and a call cut short excuses 250 tokens at most. An answer
// that was lost before the kill is not the kill's: it would have been sent again
// without one, and while it waits for that it counts towards no 250.
type duplicates struct {
	*one
	byKill, bySave map[cause]int
}

// A cause is a call of deliver that was cut short.
type cause struct {
	ref   push.BatchRef
	began time.Time
}

func newDuplicates(o *one) *duplicates {
	return &duplicates{one: o, byKill: map[cause]int{}, bySave: map[cause]int{}}
}

func (d *duplicates) judge() {
	for k, s := range d.b.seen {
		slices.SortFunc(s.delivered, func(a, b sight) int { return a.at.Compare(b.at) })
		at := d.places[k]
		for i, first := range s.delivered {
			if i+1 < len(s.delivered) {
				d.again(k, at, first, s.delivered[i+1])
			} else if at.result != push.ResultAccepted {
				d.unbooked(k, at, first)
			}
		}
	}

	for list, what := range map[*map[cause]int]string{&d.byKill: "was killed", &d.bySave: "could not save"} {
		for c, n := range *list {
			if n > mostAgain {
				d.say(brokenMany, "batch %s of mailing %s, whose call %s, was sent again to %d tokens", c.ref.Batch, c.ref.Mailing, what, n)
			}
		}
	}

	for _, n := range d.byKill {
		d.count.MostKilled = max(d.count.MostKilled, n)
	}
}

func (d *duplicates) again(k who, at place, first, second sight) {
	calls := d.calls.Of(at.ref)
	if c, ok := killedBetween(calls, first.at, second.at); ok && !first.lostBefore(c.Killed) {
		d.byKill[cause{at.ref, c.Began}]++
		d.count.Killed++
		return
	}
	if !first.lost.IsZero() {
		d.count.Answers++
		return
	}
	if c, ok := d.savedBadly(calls, at.ref, first.at, second.at); ok {
		d.bySave[cause{at.ref, c.Began}]++
		d.count.Saves++
		return
	}

	d.say(brokenTwice, "customer %s in batch %s of mailing %s was rung at %s and %s; calls %s, faults %s", k.customer, at.ref.Batch, d.p.id,
		clock(first.at), clock(second.at), told(calls), clocks(d.b.batches[at.ref.Batch]))
}

func (s sight) lostBefore(t time.Time) bool { return !s.lost.IsZero() && s.lost.Before(t) }

// unbooked judges what FCM took and the result does not say.
func (d *duplicates) unbooked(k who, at place, last sight) {
	calls, never := d.calls.Of(at.ref), time.Now()
	_, killed := killedBetween(calls, last.at, never)
	_, unsaved := d.savedBadly(calls, at.ref, last.at, never)
	if killed || unsaved || !last.lost.IsZero() {
		d.count.Unbooked++
		return
	}
	d.say(brokenLost, "customer %s in batch %s of mailing %s was rung at %s and is booked %d; calls %s, faults %s", k.customer, at.ref.Batch, d.p.id,
		clock(last.at), at.result, told(calls), clocks(d.b.batches[at.ref.Batch]))
}

// killedBetween finds a call that was killed before second, and that may have
// sent what FCM took at first.
func killedBetween(calls []instances.Call, first, second time.Time) (instances.Call, bool) {
	for _, c := range calls {
		if !c.Killed.IsZero() && c.Killed.Before(second) && c.MaySend(first, calls) {
			return c, true
		}
	}
	return instances.Call{}, false
}

// savedBadly finds a write of the batch that failed on purpose between the two,
// and the call that had begun before it.
func (d *duplicates) savedBadly(calls []instances.Call, ref push.BatchRef, first, second time.Time) (instances.Call, bool) {
	cut := d.b.batches[ref.Batch]
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

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

func told(calls []instances.Call) (out []string) {
	for _, c := range calls {
		s := clock(c.Began) + "–" + clock(c.Ended)
		if !c.Killed.IsZero() {
			s = clock(c.Began) + "–killed " + clock(c.Killed)
		}
		out = append(out, s)
	}
	return out
}

func clocks(c *cut) (out []string) {
	if c == nil {
		return nil
	}
	for _, t := range c.faults {
		out = append(out, clock(t))
	}
	return out
}
