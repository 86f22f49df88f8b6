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

// An exam holds every mailing, and everybody at the end, to the promises.
type exam struct {
	findings
	forecast
	people *people
	byID   map[string]*person
	calls  *instances.CallLog

	tallyMu sync.Mutex
	sum     tallied
	ended   []*post
	dead    map[who]time.Time // tokens found dead: when the last batch that did was cut
	undone  map[who]bool      // tokens found dead by a mailing whose flags were taken back
}

func newExam(m *people, c *instances.CallLog, f forecast) *exam {
	x := &exam{people: m, calls: c, forecast: f, byID: map[string]*person{}, dead: map[who]time.Time{}, undone: map[who]bool{}}
	x.sum.States = map[string]int{}
	for _, p := range m.all {
		x.byID[p.id] = p
	}
	return x
}

// A place is where a token of a customer stands in a mailing.
type place struct {
	ref    push.BatchRef
	at     time.Time
	result push.Result
}

// one is the examination of one mailing.
type one struct {
	*exam
	p      *post
	b      *book
	stored map[string]storedBatch
	places map[who]place
	tally  push.Tally
	count  tallied
}

// mailing examines a mailing that has ended, by what the servers saw and what
// is stored of it.
func (x *exam) mailing(p *post, b *book, stored map[string]storedBatch) {
	x.tallyMu.Lock()
	defer x.tallyMu.Unlock()
	x.ended = append(x.ended, p)
	o := &one{exam: x, p: p, b: b, stored: stored, places: map[who]place{}}
	if state := push.State(p.end.State); !p.may(state) {
		o.say(brokenLost, "mailing %s (%s) ended as %s %s", p.id, p.kind, state, p.end.Refusal)
	}

	o.batches()
	o.sums()
	o.verdicts()
	o.coverage()
	newDuplicates(o).judge()
	o.rings()
	o.migrated()
	o.resumption()
	o.add()
}

func (o *one) batches() {
	for id, c := range o.b.batches {
		s, ok := o.stored[id]
		switch {
		case !ok:
			o.say(brokenLost, "batch %s of mailing %s was committed and is not there", id, o.p.id)
			continue
		case s.open || len(s.owed) > 0:
			o.say(brokenLost, "batch %s of ended mailing %s is open (%t) or owes flags (%v)", id, o.p.id, s.open, s.owed)
		case len(s.results) != len(c.targets):
			o.say(brokenLost, "batch %s of mailing %s has %d targets and %d results", id, o.p.id, len(c.targets), len(s.results))
			continue
		}
		for i, t := range c.targets {
			k, at := who{t.Customer, t.Token}, place{push.BatchRef{Mailing: o.p.id, Batch: id}, c.at, push.Result(s.results[i])}
			if was, twice := o.places[k]; twice {
				o.say(brokenTwice, "customer %s was cut twice in mailing %s, into %s and %s", t.Customer, o.p.id, was.ref.Batch, id)
			}
			o.places[k] = at
			if at.result == push.ResultPending {
				o.say(brokenLost, "customer %s in batch %s of ended mailing %s has no verdict", t.Customer, id, o.p.id)
			} else {
				o.tally[at.result]++
			}
		}
	}
	if len(o.stored) > len(o.b.batches) {
		o.say(brokenOther, "mailing %s has %d batches, %d were seen committed", o.p.id, len(o.stored), len(o.b.batches))
	}
}

// sums holds the API's totals to the results and to who was imported.
func (o *one) sums() {
	t, c, ty := o.p.end.Tokens, o.p.end.Customers, o.tally
	got := []int64{t.Targeted, t.Accepted, t.Invalid[push.CodeUnregistered], t.Invalid[push.CodeInvalidArgument], t.Invalid[push.CodeWrongSender], t.Refused, t.Failed, t.Expired, t.Cancelled, t.Pending}
	want := []int64{int64(len(o.places)), ty[push.ResultAccepted], ty[push.ResultUnregistered], ty[push.ResultInvalidArgument], ty[push.ResultWrongSender],
		ty[push.ResultRefused], ty[push.ResultFailed], ty[push.ResultExpired], ty[push.ResultCancelled], 0}
	if !slices.Equal(got, want) {
		o.say(brokenSums, "mailing %s tells tokens %v, its results are %v", o.p.id, got, want)
	}

	var matched, opted, category, damaged int64
	for _, q := range o.people.all {
		if !o.p.in(q) {
			continue
		}
		matched++
		if q.damaged {
			damaged++
		}
		if q.optedOut {
			opted++
		} else if q.noPromo && o.p.promo {
			category++
		}
	}

	// A customer whose document does not decode may be found by no segment.
	if reached := c.Matched + c.NotReached; reached > matched+o.p.unknown || reached < matched+o.p.unknown-damaged {
		o.say(brokenSums, "mailing %s (%s, %s) matched %d customers and did not reach %d, and its audience is %d", o.p.id, o.p.kind, o.p.end.State, c.Matched, c.NotReached, matched+o.p.unknown)
	}
	wantC := []int64{matched + o.p.unknown, opted, category, o.p.unknown}
	gotC := []int64{c.Matched, c.Excluded.OptedOut, c.Excluded.Category, c.Excluded.Unknown}
	whole := o.p.end.State == string(push.Completed)
	mostC := []int64{wantC[0], opted, category, o.p.unknown + damaged}
	for i := range gotC {
		// Whose document does not decode is excluded as unknown, and not as what
		// they are; a mailing by segments may not find them at all.
		if gotC[i] > mostC[i] || whole && gotC[i] < wantC[i]-damaged {
			o.say(brokenSums, "mailing %s (%s, %s) tells matched, optedOut, category, unknown %v; they are %v", o.p.id, o.p.kind, o.p.end.State, gotC, wantC)
			break
		}
	}
}

// results holds each result to what FCM saw of that token.
func (o *one) verdicts() {
	for k, at := range o.places {
		s := o.b.seen[k]
		if s == nil {
			s = &sights{}
		}
		if o.p.dryRun && len(s.delivered) > 0 {
			o.say(brokenOther, "dry run %s rang customer %s", o.p.id, k.customer)
		}
		switch at.result {
		case push.ResultAccepted:
			if len(s.delivered) == 0 && (!o.p.dryRun || s.validated == 0) {
				o.say(brokenLost, "customer %s in batch %s of mailing %s is booked accepted, and FCM never took it", k.customer, at.ref.Batch, o.p.id)
			}
		case push.ResultUnregistered:
			if s.dead == 0 {
				o.say(brokenFlagged, "customer %s in batch %s of mailing %s is booked dead, and FCM never said so", k.customer, at.ref.Batch, o.p.id)
			}
			if o.p.kind == weatherUnflag {
				o.undone[k] = true
			} else if at.at.After(o.dead[k]) {
				o.dead[k] = at.at
			}
		case push.ResultWrongSender:
			if !o.forecast[weatherProject] {
				o.say(brokenFlagged, "customer %s in batch %s of mailing %s is booked as another sender's, which FCM never said", k.customer, at.ref.Batch, o.p.id)
			}
		case push.ResultInvalidArgument, push.ResultRefused:
			if at.result == push.ResultRefused && o.forecast[weatherProject] {
				continue // of another sender: FCM said so
			}
			o.say(brokenFlagged, "customer %s in batch %s of mailing %s is booked %d, which FCM never said", k.customer, at.ref.Batch, o.p.id, at.result)
		case push.ResultFailed:
			if !strings.HasPrefix(o.stored[at.ref.Batch].reason, "given up after ") {
				o.say(brokenLost, "customer %s in batch %s of mailing %s failed: %s", k.customer, at.ref.Batch, o.p.id, o.stored[at.ref.Batch].reason)
			}
		}
	}

	for k, s := range o.b.seen {
		if _, ok := o.places[k]; !ok && len(s.delivered) > 0 { // deliver may ask about control tokens, and they show nothing
			o.say(brokenOther, "mailing %s was sent to customer %s, who was not in it", o.p.id, k.customer)
		}
	}
}

// coverage holds who was rung to who should be, where that is known exactly.
func (o *one) coverage() {
	owners := map[string]int{}
	for k := range o.places {
		if q := o.byID[k.customer]; q == nil || o.p.leavesOut(q) {
			o.say(brokenOther, "customer %s was cut into mailing %s (%s), to whom it does not go", k.customer, o.p.id, o.p.kind)
		}
		if owners[k.token]++; owners[k.token] == 2 {
			o.count.BothOwners++
		}
	}
	if o.p.end.State != string(push.Completed) {
		return
	}

	for _, q := range o.people.all {
		if q.stable && !q.damaged && !o.p.leavesOut(q) {
			o.covered(q)
		}
	}
}

// covered: every good token of somebody who stayed as they were has its
// result, or the latest has.
func (o *one) covered(q *person) {
	n, missing := 0, 0
	for _, x := range slices.Backward(q.phones) {
		at, ok := o.places[who{q.id, x.token}]
		if ok {
			n++
		}
		if !ok && !x.gone && !(o.p.latest && n > 0) {
			missing++
		}
		// A batch that waited long leaves out what another mailing has marked since.
		marked := x.gone && at.result == push.ResultCancelled
		if ok && !marked && !o.doubtsFCM() && at.result != push.ResultAccepted && at.result != push.ResultUnregistered && at.result != push.ResultFailed {
			o.say(brokenLost, "customer %s in batch %s of completed mailing %s is booked %d", q.id, at.ref.Batch, o.p.id, at.result)
		}
		if ok && at.result == push.ResultUnregistered && !x.gone && !o.doubtsFCM() {
			o.say(brokenFlagged, "a good token of customer %s is booked dead in batch %s of mailing %s", q.id, at.ref.Batch, o.p.id)
		}
	}
	if missing > 0 {
		o.say(brokenLost, "%d good tokens of customer %s are missing from mailing %s (%s)", missing, q.id, o.p.id, o.p.kind)
	}
	if o.p.latest && n > 1 {
		o.say(brokenTwice, "mailing %s to the latest device went to %d of customer %s", o.p.id, n, q.id)
	}
}

// add puts the mailing's figures to those of the run.
func (o *one) add() {
	s, t := &o.sum, o.tally
	s.Mailings++
	s.States[o.p.end.State]++
	s.Batches += len(o.b.batches)
	s.Tokens += len(o.places)
	s.Accepted += int(t[push.ResultAccepted])
	s.Invalid += int(t[push.ResultUnregistered] + t[push.ResultInvalidArgument])
	s.Failed += int(t[push.ResultFailed])
	s.Expired += int(t[push.ResultExpired])
	s.Cancelled += int(t[push.ResultCancelled])
	for _, x := range o.b.seen {
		s.Delivered += len(x.delivered)
	}

	s.Killed += o.count.Killed
	s.MostKilled = max(s.MostKilled, o.count.MostKilled)
	s.Answers += o.count.Answers
	s.Saves += o.count.Saves
	s.Unbooked += o.count.Unbooked
	s.BothOwners += o.count.BothOwners
	s.MostRings = max(s.MostRings, o.count.MostRings)
	s.ResumeSeconds = max(s.ResumeSeconds, o.count.ResumeSeconds)
}

// everybody examines every customer at the end.
func (x *exam) everybody(ctx context.Context, c *client.Client, e *events, stored map[string]storedCustomer) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(examinedAtOnce)
	for _, q := range x.people.all {
		all.Go(func() error { return x.customer(ctx, c, q, e, stored) })
	}
	return all.Wait()
}

// examinedAtOnce is how many customers the API is asked about at a time.
const examinedAtOnce = 8
