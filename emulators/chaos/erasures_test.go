package chaos

import (
	"testing"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/instances"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestAnErasedCustomerWhoIsRungIsFound: a customer may be in a mailing only if the erasure was
// answered after the mailing was submitted, and only in batches of that time.
func TestAnErasedCustomerWhoIsRungIsFound(t *testing.T) {
	t.Parallel()
	erased := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		erasure          erasure
		submitted, batch time.Time
		rungAt           time.Time // zero: never
		want             int       // findings
	}{
		"a target of a later mailing":           {erasure: erasure{erased}, submitted: erased.Add(time.Second), batch: erased.Add(time.Second), want: 1},
		"rung by a later mailing":               {erasure: erasure{erased}, submitted: erased.Add(time.Second), batch: erased.Add(time.Second), rungAt: erased.Add(2 * time.Second), want: 2},
		"in a late batch":                       {erasure: erasure{erased}, submitted: erased.Add(-time.Hour), batch: erased.Add(lateBatchTime + time.Second), want: 1},
		"rung long after":                       {erasure: erasure{erased}, submitted: erased.Add(-time.Hour), batch: erased.Add(-time.Hour), rungAt: erased.Add(tracesErasedWithin + time.Second), want: 1},
		"rung by a mailing that ran":            {erasure: erasure{erased}, submitted: erased.Add(-time.Hour), batch: erased.Add(time.Second), rungAt: erased.Add(time.Second)},
		"the erasure has not been answered yet": {submitted: erased, batch: erased.Add(time.Hour), rungAt: erased.Add(time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			customers := &testCustomers{}
			q := &testCustomer{id: "anna"}
			customers.recordErasure(q, c.erasure)
			k := tokenKey{q.id, "phone"}
			log := &tokenLog{}
			if !c.rungAt.IsZero() {
				log.accepted = []acceptedSend{{at: c.rungAt}}
			}
			o := &mailingCheck{
				checker: newChecker(customers, instances.NewCallLog(), faultSet{}),
				mailing: &testMailing{submittedAt: c.submitted, final: &client.Mailing{}},
				log:     &mailingLog{tokens: map[tokenKey]*tokenLog{k: log}},
				targets: map[tokenKey]targetResult{k: {push.BatchRef{}, c.batch, push.ResultAccepted}},
			}

			o.checkErased()
			check.Equal(t, o.counts[brokenErased], c.want, "the number of findings")
		})
	}
}

// TestNothingIsLeftOfAnErasedCustomer: the API answers 404, no document is stored, and the event
// came.
func TestNothingIsLeftOfAnErasedCustomer(t *testing.T) {
	t.Parallel()
	gone := &client.Problem{Status: 404}
	for name, c := range map[string]struct {
		answer error
		stored bool
		event  bool
		want   map[string]int
	}{
		"gone":      {answer: gone, event: true},
		"shown":     {event: true, want: map[string]int{brokenErased: 1}},
		"stored":    {answer: gone, stored: true, event: true, want: map[string]int{brokenErased: 1}},
		"no event":  {answer: gone, want: map[string]int{brokenEvents: 1}},
		"all wrong": {stored: true, want: map[string]int{brokenErased: 2, brokenEvents: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, e := newChecker(&testCustomers{}, instances.NewCallLog(), faultSet{}), newEventLog()
			e.erased["anna"] = c.event
			if err := x.checkErasedCustomer(&testCustomer{id: "anna"}, c.answer, e, c.stored); err != nil {
				t.Errorf("the check fails: %v", err)
			}
			check.Equal(t, x.counts, c.want, "the findings")
		})
	}
}
