package deliver

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// A script is an FCM whose every answer is written down beforehand. The real
// sender waits real seconds before it tries again; here a wait is an answer.
type script struct {
	mu    sync.Mutex
	lines map[string][]fcm.AnswerClass // by token: the answers to come, the last one stays
	code  map[string]string            // by token: what an invalid one is invalid by
	proof fcm.AnswerClass
	sent  map[string]int
	now   func() time.Time
	after func(token string) // something that happens meanwhile
}

func (s *script) Send(_ context.Context, it fcm.Item, answered func(fcm.Answer)) {
	s.mu.Lock()
	line := s.lines[it.Target]
	if line == nil { // a control of another case
		line = []fcm.AnswerClass{fcm.Accepted}
	}
	o := line[0]
	if len(line) > 1 {
		s.lines[it.Target] = line[1:]
	}
	a := fcm.Answer{Class: o, Code: s.code[it.Target], Text: o.String()}
	switch o {
	case fcm.Accepted:
		if !it.DryRun {
			s.sent[it.Target]++
		}
	case fcm.Mismatch:
		a.Code = push.CodeWrongSender
	case fcm.Waiting:
		a.NotBefore = s.now().Add(30 * time.Second)
	case fcm.Doubtful:
		a.Code = push.CodeInvalidArgument
	}
	s.mu.Unlock()
	if s.after != nil {
		s.after(it.Target)
	}
	go answered(a)
}

func (s *script) ProvePayloadIn(context.Context, string, *fcm.Message) fcm.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fcm.Answer{Class: s.proof, Text: s.proof.String(), NotBefore: s.now().Add(30 * time.Second)}
}

// A drawn token and what is to become of it.
type drawn struct {
	token string
	line  []fcm.AnswerClass
	code  string
	again bool // registered again after the batch was created
	moves bool // registered for somebody else after the batch was created
}

func drawToken(t *rapid.T, name string) drawn {
	d := drawn{token: name, code: push.CodeUnregistered}
	for range rapid.IntRange(0, 2).Draw(t, "waits") {
		d.line = append(d.line, fcm.Waiting)
	}
	last := rapid.SampledFrom([]fcm.AnswerClass{fcm.Accepted, fcm.Accepted, fcm.Accepted, fcm.Invalid, fcm.Doubtful, fcm.Refused, fcm.Mismatch, fcm.ThirdParty}).Draw(t, "end")
	d.line = append(d.line, last)
	if last == fcm.Invalid && rapid.Bool().Draw(t, "violation") {
		d.code = push.CodeInvalidArgument
	}
	d.again = rapid.IntRange(0, 9).Draw(t, "again") == 0
	d.moves = !d.again && rapid.IntRange(0, 9).Draw(t, "moves") == 0
	return d
}

// TestPromises drives random batches through random answers, crashes, doubled
// messages, clock jumps and late registrations, and holds what is promised:
// every token ends in one result, sums reconcile all the while, a crash is the
// only reason to send twice, and exactly the invalid tokens are flagged, with an event.
func TestPromises(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	cases := 0
	rapid.Check(t, func(rt *rapid.T) {
		cases++
		p := &promise{batchHarness: w, rt: rt, id: fmt.Sprintf("p%d", cases)}
		p.run(t)
	})
}

// A promise is one case of TestPromises.
type promise struct {
	*batchHarness
	rt      *rapid.T
	id      string
	ref     push.BatchRef
	tokens  []drawn
	fcm     *script
	proven  bool
	crashes int
	heard   *testcloud.EventRecorder[push.Event]
}

func (p *promise) run(t *testing.T) {
	n := rapid.IntRange(1, 8).Draw(p.rt, "tokens")
	for i := range n {
		p.tokens = append(p.tokens, drawToken(p.rt, fmt.Sprintf("%s-token-%d", p.id, i)))
	}
	p.proven = rapid.IntRange(0, 3).Draw(p.rt, "proven") > 0
	p.fcm = &script{lines: map[string][]fcm.AnswerClass{}, code: map[string]string{}, sent: map[string]int{}, now: p.clock.Now,
		proof: rapid.SampledFrom([]fcm.AnswerClass{fcm.Accepted, fcm.Accepted, fcm.Refused}).Draw(p.rt, "proof")}
	var names []string
	for _, d := range p.tokens {
		names = append(names, d.token)
		p.fcm.lines[d.token], p.fcm.code[d.token] = slices.Clone(d.line), d.code
	}
	p.ref = p.mailing(p.id, p.proven, names...)
	p.heard = &testcloud.EventRecorder[push.Event]{}
	p.clock.Add(time.Millisecond)
	p.lateRegistrations()
	for round := 0; ; round++ {
		if round > 40 {
			p.rt.Fatalf("it does not come to an end")
		}
		if round == 20 { // a flag that nothing decides is dropped in the end
			p.clock.Add(heldAtMost)
		}
		if p.round(round) {
			break
		}
	}
	p.check(t)
}

func (p *promise) lateRegistrations() {
	for _, d := range p.tokens {
		if d.again {
			p.register("c-"+d.token, d.token)
		}
		if d.moves {
			p.register("new-"+d.token, d.token)
		}
	}
}

// round is one delivery, or several at once, perhaps of an instance that crashes;
// it reports whether the batch is settled.
func (p *promise) round(round int) bool {
	copies := rapid.IntRange(1, 2).Draw(p.rt, "copies")
	var wg sync.WaitGroup
	for i := range copies {
		deps := p.deps
		c := &crash{steps: -1}
		if round < 20 && rapid.IntRange(0, 2).Draw(p.rt, fmt.Sprint("crashes", i)) == 0 {
			c.steps, c.lost = rapid.IntRange(0, 4).Draw(p.rt, "at"), rapid.Bool().Draw(p.rt, "lost")
			p.crashes++
		}
		deps.Store, deps.Queue, deps.Sender = c.store(p.Store), &crashingPublisher{p.heard, c}, p.fcm
		deps.Sleep = p.clock.Sleep
		wg.Go(func() { _ = newDeliverer(deps).deliverAndFinish(p.t.Context(), p.ref, "") })
	}
	wg.Wait()
	p.totals(p.id) // they add up at every moment
	b, err := p.ReadBatch(p.t.Context(), p.ref)
	if err != nil {
		p.rt.Fatal(err)
	}
	p.clock.Add(time.Duration(rapid.IntRange(0, 120).Draw(p.rt, "seconds")) * time.Second)
	return b.Settled
}

func (p *promise) check(t *testing.T) {
	m, totals := p.totals(p.id)
	if totals.Pending != 0 {
		p.rt.Fatalf("settled with %d pending", totals.Pending)
	}
	b, err := p.ReadBatch(p.t.Context(), p.ref)
	if err != nil {
		p.rt.Fatalf("reading the batch: %v", err)
	}
	// Calls that crash while they set flags give up the flags, and no target has failed.
	flagsGivenUp := p.crashes >= maxCrashes && strings.HasPrefix(b.Reason, "given up after")
	givenUp := totals.Failed > 0 && p.crashes >= maxCrashes
	unsent, unflagged := int64(0), int64(0)
	published := map[string]bool{}
	for _, e := range p.heard.Published() {
		if d, ok := e.Data.(push.InvalidatedData); ok {
			published[d.TokenID] = true
		}
	}
	for _, d := range p.tokens {
		sent := p.fcm.sent[d.token]
		end := d.line[len(d.line)-1]
		if sent > maxCrashes {
			p.rt.Errorf("%s got %d messages, want at most %d", d.token, sent, maxCrashes)
		}
		if sent > 1+p.crashes {
			p.rt.Errorf("%s got %d messages with %d crashes", d.token, sent, p.crashes)
		}
		if end == fcm.Accepted && m.State == push.Completed && sent == 0 && totals.Cancelled == 0 {
			unsent++
			if !givenUp {
				p.rt.Errorf("%s got no message, and %d crashes are no reason to give the batch up", d.token, p.crashes)
			}
		}
		if p.checkFlag(d, end, m, published) {
			continue
		}
		unflagged++
		if !givenUp && !flagsGivenUp {
			p.rt.Errorf("%s is invalid and not flagged", d.token)
		}
	}
	if flagsGivenUp {
		unflagged = 0
	}
	if unsent+unflagged > totals.Failed {
		p.rt.Errorf("%d tokens got no message and %d are invalid and not flagged, and only %d are failed", unsent, unflagged, totals.Failed)
	}
}

// checkFlag compares the flag of one token with what FCM said of it. It reports whether the
// token has its flag, or must not have one.
func (p *promise) checkFlag(d drawn, end fcm.AnswerClass, m *push.Mailing, published map[string]bool) (complete bool) {
	owner := "c-" + d.token
	if d.moves {
		owner = "new-" + d.token
	}
	c, err := p.ReadCustomer(p.t.Context(), owner)
	if err != nil {
		p.rt.Fatal(err)
	}
	token, ok := c.FindToken(push.TokenID(d.token))
	if !ok {
		p.rt.Fatalf("%s has no owner", d.token)
	}
	may := end == fcm.Invalid || end == fcm.Mismatch || end == fcm.Doubtful && (p.proven || p.fcm.proof == fcm.Accepted)
	if flagged := !token.Valid(); flagged {
		check.Equal(p.rt, may, true, "%s is flagged %+v, and FCM said %s: that it may be", d.token, token.Invalid, end)
		check.Equal(p.rt, d.again, false, "%s is flagged %+v: that it was registered again", d.token, token.Invalid)
		check.Equal(p.rt, d.moves, false, "%s is flagged %+v: that it has moved", d.token, token.Invalid)
	}
	if !token.Valid() && !published[token.ID] {
		p.rt.Errorf("the event of the flag of %s was not published", d.token)
	}
	if c.HasValidToken() != slices.ContainsFunc(c.Tokens, push.Token.Valid) {
		p.rt.Errorf("availability of %s is wrong", owner)
	}
	invalid := end == fcm.Invalid && d.code == push.CodeUnregistered && m.State == push.Completed
	return !token.Valid() || !invalid || d.again || d.moves
}
