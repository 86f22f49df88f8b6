package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/rosters"
)

const (
	// erasableEvery is which of the customers are erased during the faults: every 57th. It is
	// a multiple of three, so their tokens change until then.
	erasableEvery = 57
	// erasureShare is the share of erasures in the changes of tokens.
	erasureShare = 0.015
	// lateBatchTime is how long after an erasure a page that was read before it may still be
	// put into batches.
	lateBatchTime = time.Minute
	// tracesErasedWithin is how long after an erasure a batch from before it may still be sent:
	// tick removes such targets two minutes after the erasure, once their leases have ended.
	tracesErasedWithin = 5 * time.Minute
	// rosterSlack is enough for the emulator: the time of a change is that of its commit.
	rosterSlack = time.Second
)

// An erasure is the erasure of a customer.
type erasure struct {
	answeredAt time.Time // zero: the request has begun
}

// eraseCustomer erases one of the customers, if one is left that may be erased, and returns
// the others.
func (m *testCustomers) eraseCustomer(ctx context.Context, r *rand.Rand, mine []*testCustomer) ([]*testCustomer, error) {
	var erasable []*testCustomer
	for _, p := range mine {
		if p.erasable {
			erasable = append(erasable, p)
		}
	}
	if len(erasable) == 0 || len(mine) <= 2 {
		return mine, nil
	}

	p := erasable[r.IntN(len(erasable))]
	m.recordErasure(p, erasure{})
	if err := m.callUntilAnswered(ctx, http.MethodDelete, "/v1/customers/"+p.id, nil, nil); err != nil {
		return mine, fmt.Errorf("erasing customer %s: %w", p.id, err)
	}
	m.recordErasure(p, erasure{time.Now()})
	m.countChange("erased with the customer")
	p.tokens = nil
	return slices.DeleteFunc(slices.Clone(mine), func(x *testCustomer) bool { return x == p }), nil
}

// recordErasure keeps an erasure, for the checks of mailings that are made meanwhile.
func (m *testCustomers) recordErasure(p *testCustomer, e erasure) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.erasures == nil {
		m.erasures = map[string]erasure{}
	}
	m.erasures[p.id] = e
}

// erasuresSoFar returns the erasures that have begun, by customer.
func (m *testCustomers) erasuresSoFar() map[string]erasure {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.erasures)
}

// wasBefore reports whether the erasure was answered before a time.
func (e erasure) wasBefore(t time.Time) bool { return !e.answeredAt.IsZero() && e.answeredAt.Before(t) }

// checkErased checks that a mailing was not for customers who were erased before it, and that
// those who were erased while it ran are not in later batches and get no message much later.
func (o *mailingCheck) checkErased() {
	erased := o.customers.erasuresSoFar()
	for k, at := range o.targets {
		e, ok := erased[k.customer]
		switch {
		case !ok:
		case e.wasBefore(o.mailing.submittedAt):
			o.addFinding(brokenErased, "customer %s, erased at %s, is a target of mailing %s (%s), submitted at %s", k.customer, formatTime(e.answeredAt), o.mailing.id, o.mailing.kind, formatTime(o.mailing.submittedAt))
		case e.wasBefore(at.createdAt.Add(-lateBatchTime)):
			o.addFinding(brokenErased, "customer %s, erased at %s, is in batch %s of mailing %s (%s), created at %s", k.customer, formatTime(e.answeredAt), at.ref.Batch, o.mailing.id, o.mailing.kind, formatTime(at.createdAt))
		}
	}

	for k, s := range o.log.tokens {
		e, ok := erased[k.customer]
		for _, a := range s.accepted {
			if ok && (e.wasBefore(o.mailing.submittedAt) || e.wasBefore(a.at.Add(-tracesErasedWithin))) {
				o.addFinding(brokenErased, "customer %s, erased at %s, got a message of mailing %s (%s) at %s", k.customer, formatTime(e.answeredAt), o.mailing.id, o.mailing.kind, formatTime(a.at))
			}
		}
	}
}

// countErased returns how many customers of the audience were erased before the mailing, and
// how many were erased later, so that they may be in it or not.
func (o *mailingCheck) countErased() (before, later int64) {
	for id, e := range o.customers.erasuresSoFar() {
		switch {
		case !o.mailing.includes(o.byID[id]):
		case e.wasBefore(o.mailing.submittedAt):
			before++
		default:
			later++
		}
	}
	return before, later
}

// checkErasedCustomer checks at the end that nothing is left of a customer who was erased, and
// that the event was published.
func (x *checker) checkErasedCustomer(q *testCustomer, err error, e *eventLog, isStored bool) error {
	p := client.AsProblem(err)
	switch {
	case err == nil:
		x.addFinding(brokenErased, "customer %s was erased, and the API shows the customer", q.id)
	case p == nil || p.Status != http.StatusNotFound:
		return fmt.Errorf("reading the erased customer %s: %w", q.id, err)
	}
	if isStored {
		x.addFinding(brokenErased, "customer %s was erased, and is stored", q.id)
	}
	if !e.erased[q.id] {
		x.addFinding(brokenEvents, "customer.erased of customer %s", q.id)
	}
	return nil
}

// checkRosters compares all rosters with the customers. A run in which no customer is compared
// proves nothing, so that is a finding.
func (c *chaosRun) checkRosters(ctx context.Context) error {
	plan, err := rosters.NewPlan(ctx, c.reader.db)
	if err != nil {
		return err
	}
	report, err := plan.Verify(ctx, rosterSlack, func(int) {})
	if err != nil {
		return err
	}

	fmt.Fprintf(c.out, "%d rosters are used, %d customers were compared with them\n", report.Used, report.Compared)
	for _, f := range report.Wrong.First {
		c.checker.addFinding(brokenRosters, "%s", f)
	}
	for range report.Wrong.Count - len(report.Wrong.First) {
		c.checker.addFinding(brokenRosters, "one more")
	}
	if report.Compared == 0 {
		c.checker.addFinding(brokenOther, "no customer could be compared with a roster: %v", report.Remarks.First)
	}
	return nil
}
