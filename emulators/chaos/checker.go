package chaos

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/emulators/client"
	"carillon.example/emulators/instances"
	"carillon.example/shared/push"
)

// A checker checks the promises for every mailing, and for every customer at the end.
type checker struct {
	findings
	faultSet
	customers *testCustomers
	byID      map[string]*testCustomer
	calls     *instances.CallLog

	totalsMu      sync.Mutex // guards the fields below
	totals        runTotals
	endedMailings []*testMailing
	foundInvalid  map[tokenKey]invalidResult // tokens found invalid, by the last batch that found them
	unflagged     map[tokenKey]bool          // tokens found invalid by a mailing that was unflagged
}

func newChecker(m *testCustomers, c *instances.CallLog, f faultSet) *checker {
	x := &checker{customers: m, calls: c, faultSet: f, byID: map[string]*testCustomer{}, foundInvalid: map[tokenKey]invalidResult{}, unflagged: map[tokenKey]bool{}}
	x.totals.States = map[string]int{}
	for _, p := range m.all {
		x.byID[p.id] = p
	}
	return x
}

// A targetResult is the batch and the result of one token of one customer in a
// mailing.
type targetResult struct {
	ref       push.BatchRef
	createdAt time.Time
	result    push.Result
}

// A mailingCheck is the check of one mailing.
type mailingCheck struct {
	*checker
	mailing *testMailing
	log     *mailingLog
	stored  map[string]storedBatch
	targets map[tokenKey]targetResult
	tally   push.Tally
	figures runTotals

	platforms platformResults
	apps      appResults
}

// checkMailing checks a mailing that has ended, by what the servers saw and by what
// is stored.
func (x *checker) checkMailing(p *testMailing, b *mailingLog, stored map[string]storedBatch) {
	x.totalsMu.Lock()
	defer x.totalsMu.Unlock()
	x.endedMailings = append(x.endedMailings, p)
	o := &mailingCheck{checker: x, mailing: p, log: b, stored: stored, targets: map[tokenKey]targetResult{}, platforms: platformResults{}, apps: appResults{}}
	if state := push.State(p.final.State); !p.mayEndAs(state) {
		o.addFinding(brokenLost, "mailing %s (%s) ended as %s %s", p.id, p.kind, state, p.final.Refusal)
	}

	o.checkBatches()
	o.checkSums()
	o.checkPlatforms()
	o.checkApps()
	o.checkResults()
	o.checkCoverage()
	o.checkErased()
	newDuplicateCheck(o).check()
	o.checkSendCounts()
	o.checkMigration()
	o.checkResume()
	o.checkHours()
	o.addToTotals()
}

// checkBatches checks that every committed batch is stored and settled, and that
// every target is in one batch and has a result.
func (o *mailingCheck) checkBatches() {
	for id, c := range o.log.batches {
		s, ok := o.stored[id]
		switch {
		case !ok:
			o.addFinding(brokenLost, "batch %s of mailing %s was committed and is not stored", id, o.mailing.id)
			continue
		case s.open || len(s.owed) > 0:
			o.addFinding(brokenLost, "batch %s of ended mailing %s is open (%t) or owes flags (%v)", id, o.mailing.id, s.open, s.owed)
		case len(s.results) != len(c.targets):
			o.addFinding(brokenLost, "batch %s of mailing %s has %d targets and %d results", id, o.mailing.id, len(c.targets), len(s.results))
			continue
		}
		for i, t := range c.targets {
			k, at := tokenKey{t.Customer, t.Token}, targetResult{push.BatchRef{Mailing: o.mailing.id, Batch: id}, c.createdAt, push.Result(s.results[i])}
			if was, twice := o.targets[k]; twice {
				o.addFinding(brokenDuplicates, "customer %s is in two batches of mailing %s, %s and %s", t.Customer, o.mailing.id, was.ref.Batch, id)
			}
			o.targets[k] = at
			o.platforms.add(t.Platform, at.result)
			o.apps.add(t.App, at.result)
			if at.result == push.ResultPending {
				o.addFinding(brokenLost, "customer %s in batch %s of ended mailing %s has no result", t.Customer, id, o.mailing.id)
			} else {
				o.tally[at.result]++
			}
		}
	}

	if len(o.stored) > len(o.log.batches) {
		o.addFinding(brokenOther, "mailing %s has %d batches, %d were seen committed", o.mailing.id, len(o.stored), len(o.log.batches))
	}
}

// checkSums compares the API's totals with the stored results and with the imported
// customers.
func (o *mailingCheck) checkSums() {
	t, c, ty := o.mailing.final.Tokens, o.mailing.final.Customers, o.tally
	got := []int64{t.Targeted, t.Accepted, t.Invalid[push.CodeUnregistered], t.Invalid[push.CodeInvalidArgument], t.Invalid[push.CodeWrongSender], t.Refused, t.Failed, t.Expired, t.Cancelled, t.Pending}
	want := []int64{int64(len(o.targets)), ty[push.ResultAccepted], ty[push.ResultUnregistered], ty[push.ResultInvalidArgument], ty[push.ResultWrongSender],
		ty[push.ResultRefused], ty[push.ResultFailed], ty[push.ResultExpired], ty[push.ResultCancelled], 0}
	if !slices.Equal(got, want) {
		o.addFinding(brokenSums, "mailing %s has the token totals %v, its results are %v", o.mailing.id, got, want)
	}

	var matched, opted, category, damaged int64 // damaged: who may be missing
	for _, q := range o.customers.all {
		if !o.mailing.includes(q) {
			continue
		}
		matched++
		if q.damaged {
			damaged++
		}
		if q.optedOut {
			opted++
		} else if q.noPromo && o.mailing.promo {
			category++
		}
	}

	unknown := o.mailing.unknown
	erased, maybeErased := o.countErased()
	matched, damaged = matched-erased, damaged+maybeErased
	if o.mailing.kind == "listed" {
		unknown += erased
	}

	// A mailing by segments may not match a customer whose document does not decode.
	audience := matched + unknown
	if n := c.Matched + c.NotReached; n > audience || n < audience-damaged {
		o.addFinding(brokenSums, "mailing %s (%s, %s) matched %d customers and did not reach %d, want %d together", o.mailing.id, o.mailing.kind, o.mailing.final.State, c.Matched, c.NotReached, audience)
	}
	wantC := []int64{matched + unknown, opted, category, unknown}
	gotC := []int64{c.Matched, c.Excluded.OptedOut, c.Excluded.Category, c.Excluded.Unknown}
	whole := o.mailing.final.State == string(push.Completed)
	mostC := []int64{wantC[0], opted, category, unknown + damaged}
	for i := range gotC {
		// A customer whose document does not decode is excluded as unknown, whatever
		// the document holds. A mailing by segments may not match the customer.
		if gotC[i] > mostC[i] || whole && gotC[i] < wantC[i]-damaged {
			o.addFinding(brokenSums, "mailing %s (%s, %s) has matched, optedOut, category, unknown %v, want %v", o.mailing.id, o.mailing.kind, o.mailing.final.State, gotC, wantC)
			break
		}
	}
}

// checkHours checks that nothing was sent before the hours of the mailing began.
func (o *mailingCheck) checkHours() {
	if o.mailing.opens.IsZero() {
		return
	}
	for k, s := range o.log.tokens {
		for _, a := range s.accepted {
			if early := o.mailing.opens.Sub(a.at); early > 0 {
				o.addFinding(brokenOther, "mailing %s was sent to customer %s %s before its hours", o.mailing.id, k.customer, early)
			}
		}
	}
}

// hasDropped reports whether a batch dropped the flag of a token. It may only if its mailing
// was cancelled or has expired, and only while FCM's wrong answers make it hold flags.
func (o *mailingCheck) hasDropped(k tokenKey, batch string) bool {
	ended := o.mailing.final.State != string(push.Completed)
	return ended && o.makesFCMUnreliable() && !strings.Contains(o.stored[batch].invalid, push.TokenID(k.token))
}

// An invalidResult is what a batch found about a token.
type invalidResult struct {
	createdAt time.Time // when the batch was created
	mailing   string    // its mailing
	dropped   bool      // it dropped the flag, because its mailing was cancelled or expired while the flag was held
}

// checkResults compares each result with what FCM saw of the token.
func (o *mailingCheck) checkResults() {
	for k, at := range o.targets {
		s := o.log.tokens[k]
		if s == nil {
			s = &tokenLog{}
		}
		if o.mailing.dryRun && len(s.accepted) > 0 {
			o.addFinding(brokenOther, "dry run %s was sent to customer %s", o.mailing.id, k.customer)
		}
		switch at.result {
		case push.ResultAccepted:
			if len(s.accepted) == 0 && (!o.mailing.dryRun || s.validated == 0) {
				o.addFinding(brokenLost, "customer %s in batch %s of mailing %s has the result accepted, and FCM did not accept it", k.customer, at.ref.Batch, o.mailing.id)
			}
		case push.ResultUnregistered:
			if s.unregistered == 0 {
				o.addFinding(brokenFlagged, "customer %s in batch %s of mailing %s has the result unregistered, which FCM did not answer", k.customer, at.ref.Batch, o.mailing.id)
			}
			if o.mailing.kind == faultUnflag {
				o.unflagged[k] = true
			} else if at.createdAt.After(o.foundInvalid[k].createdAt) {
				o.foundInvalid[k] = invalidResult{at.createdAt, o.mailing.id, o.hasDropped(k, at.ref.Batch)}
			}
		case push.ResultWrongSender:
			if !o.faultSet[faultOtherProject] {
				o.addFinding(brokenFlagged, "customer %s in batch %s of mailing %s has the result wrong sender, which FCM did not answer", k.customer, at.ref.Batch, o.mailing.id)
			}
		case push.ResultInvalidArgument, push.ResultRefused:
			if at.result == push.ResultRefused && o.faultSet[faultOtherProject] {
				continue // FCM answers this for a token of another project
			}
			o.addFinding(brokenFlagged, "customer %s in batch %s of mailing %s has the result %d, which FCM did not answer", k.customer, at.ref.Batch, o.mailing.id, at.result)
		case push.ResultFailed:
			if !strings.HasPrefix(o.stored[at.ref.Batch].reason, "given up after ") {
				o.addFinding(brokenLost, "customer %s in batch %s of mailing %s failed: %s", k.customer, at.ref.Batch, o.mailing.id, o.stored[at.ref.Batch].reason)
			}
		}
	}

	for k, s := range o.log.tokens {
		if _, ok := o.targets[k]; !ok && len(s.accepted) > 0 { // deliver validates control tokens, which are not targets: that sends nothing
			o.addFinding(brokenOther, "mailing %s was sent to customer %s, who was not in it", o.mailing.id, k.customer)
		}
	}
}

// checkCoverage compares the targets with the customers of the audience, as far as
// these are known exactly.
func (o *mailingCheck) checkCoverage() {
	owners := map[string]int{}
	for k := range o.targets {
		if q := o.byID[k.customer]; q == nil || o.mailing.leavesOut(q) {
			o.addFinding(brokenOther, "customer %s is a target of mailing %s (%s), and is not in its audience", k.customer, o.mailing.id, o.mailing.kind)
		}
		if owners[k.token]++; owners[k.token] == 2 {
			o.figures.BothOwners++
		}
	}
	if o.mailing.final.State != string(push.Completed) {
		return
	}

	for _, q := range o.customers.all {
		if q.stable && !q.damaged && !o.mailing.leavesOut(q) {
			o.checkTokensOf(q)
		}
	}
}

// checkTokensOf checks a customer whose tokens do not change: every valid token has a
// result, or the latest token has one if the mailing goes to the latest.
func (o *mailingCheck) checkTokensOf(q *testCustomer) {
	n, missing := 0, 0
	for _, x := range slices.Backward(q.tokens) {
		at, ok := o.targets[tokenKey{q.id, x.token}]
		if ok {
			n++
		}
		if !ok && !x.unregistered && !(o.mailing.latest && n > 0) {
			missing++
		}
		// An outdated batch leaves out the tokens that another mailing has flagged since.
		flagged := x.unregistered && at.result == push.ResultCancelled
		if ok && !flagged && !o.makesFCMUnreliable() && at.result != push.ResultAccepted && at.result != push.ResultUnregistered && at.result != push.ResultFailed {
			o.addFinding(brokenLost, "customer %s in batch %s of completed mailing %s has the result %d", q.id, at.ref.Batch, o.mailing.id, at.result)
		}
		if ok && at.result == push.ResultUnregistered && !x.unregistered && !o.makesFCMUnreliable() {
			o.addFinding(brokenFlagged, "a valid token of customer %s has the result unregistered in batch %s of mailing %s", q.id, at.ref.Batch, o.mailing.id)
		}
	}

	if missing > 0 {
		o.addFinding(brokenLost, "%d valid tokens of customer %s are missing from mailing %s (%s)", missing, q.id, o.mailing.id, o.mailing.kind)
	}
	if o.mailing.latest && n > 1 {
		o.addFinding(brokenDuplicates, "mailing %s to the latest device was sent to %d tokens of customer %s", o.mailing.id, n, q.id)
	}
}

// addToTotals adds the figures of the mailing to the totals of the run.
func (o *mailingCheck) addToTotals() {
	s, t := &o.totals, o.tally
	s.Mailings++
	s.States[o.mailing.final.State]++
	s.Batches += len(o.log.batches)
	s.Tokens += len(o.targets)
	s.Accepted += int(t[push.ResultAccepted])
	s.Invalid += int(t[push.ResultUnregistered] + t[push.ResultInvalidArgument])
	s.Failed += int(t[push.ResultFailed])
	s.Expired += int(t[push.ResultExpired])
	s.Cancelled += int(t[push.ResultCancelled])
	for _, x := range o.log.tokens {
		s.Delivered += len(x.accepted)
	}

	s.Killed += o.figures.Killed
	s.MostKilled = max(s.MostKilled, o.figures.MostKilled)
	s.Answers += o.figures.Answers
	s.Saves += o.figures.Saves
	s.Unrecorded += o.figures.Unrecorded
	s.BothOwners += o.figures.BothOwners
	s.MostSends = max(s.MostSends, o.figures.MostSends)
	s.ResumeSeconds = max(s.ResumeSeconds, o.figures.ResumeSeconds)
}

// checkCustomers checks every customer at the end.
func (x *checker) checkCustomers(ctx context.Context, c *client.Client, e *eventLog, stored map[string]storedCustomer) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(maxParallelChecks)
	for _, q := range x.customers.all {
		all.Go(func() error { return x.checkCustomer(ctx, c, q, e, stored) })
	}
	return all.Wait()
}

// maxParallelChecks is how many customers are checked at the same time.
const maxParallelChecks = 8
