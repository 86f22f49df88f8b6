package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
	"carillon.example/shared/push"
)

// A testMailing is a mailing that the run submits, with the facts that the checks need.
type testMailing struct {
	n           int
	id          string
	submittedAt time.Time // before the first request
	kind        string
	latest      bool
	dryRun      bool
	promo       bool
	includes    func(*testCustomer) bool
	unknown     int64 // ids or tokens in the list that no customer has
	draft       map[string]any
	final       *client.Mailing
	poisonToken string // the token that crashes each instance that sends to it

	opens        time.Time // start of its window; zero: it has none
	controlGroup float64   // share of the customers in the control group (0 to 1)
	// fcmUnreliable reports whether FCM gives wrong answers now. nil: FCM never gives
	// wrong answers in this run, and Carillon must not pause a mailing.
	fcmUnreliable func() bool
	resumedAt     time.Time // when the resume was answered; zero: not measured
}

// newTestMailing makes the n-th mailing of the run. The kinds come in turn.
func newTestMailing(n int, kinds []string, m *testCustomers, r *rand.Rand) *testMailing {
	p := &testMailing{n: n, kind: kinds[n%len(kinds)], includes: func(*testCustomer) bool { return true }}
	p.draft = map[string]any{"message": demo.Message, "audience": map[string]any{"everyone": true}, "devices": "all"}
	switch p.kind {
	case "segments":
		p.useSegments(map[string]any{"any": []string{"half", "tenth"}, "none": []string{"seventh"}}, func(x *testCustomer) bool {
			return (slices.Contains(x.segments, "half") || slices.Contains(x.segments, "tenth")) && !slices.Contains(x.segments, "seventh")
		})
	case "latest":
		p.latest, p.draft["devices"] = true, "latest"
	case "rate":
		p.useSegments(map[string]any{"all": []string{"tenth"}}, func(x *testCustomer) bool { return slices.Contains(x.segments, "tenth") })
		p.draft["ratePerMinute"] = 1200
	case "dry run":
		p.dryRun, p.draft["dryRun"] = true, true
	case "listed":
		p.useCustomerList(m, r)
	case "tokens":
		p.useTokenList(m, r)
	case "scheduled":
		p.draft["sendAt"] = time.Now().Add(time.Duration(5+r.IntN(10)) * time.Second).UTC().Format(time.RFC3339)
	case faultPoison:
		p.useTokenList(m, r)
		// The crasher must know the mailing's id before FCM gets its requests.
		p.draft["sendAt"] = time.Now().Add(5 * time.Second).UTC().Format(time.RFC3339)
	case "expiring":
		p.draft["lifetime"], p.draft["ratePerMinute"] = "60s", 1200
	case "promo":
		p.promo, p.draft["category"] = true, "promo"
	case "hours":
		p.useHours()
	case "variants":
		p.controlGroup = 0.1
		delete(p.draft, "message")
		p.draft["controlGroup"] = p.controlGroup
		p.draft["variants"] = []map[string]any{{"name": "a", "share": 0.3, "message": demo.Message}, {"name": "b", "share": 0.7, "message": demo.Message, "link": "https://shop.example/b"}}
	}

	return p
}

// leavesOut reports whether the mailing is sent to none of the customer's tokens, no
// matter which tokens the customer has.
func (p *testMailing) leavesOut(c *testCustomer) bool {
	control := push.Targeting{Mailing: p.id, ControlGroup: p.controlGroup}
	return !p.includes(c) || c.optedOut || p.promo && c.noPromo || control.InControlGroup(c.id)
}

// useHours gives the mailing a window that opens at the first full minute that is more
// than five seconds away. The customers have no time zone, so the time zone of the window
// applies to them: Etc/GMT-2 is UTC+2, because the sign is reversed in these names.
func (p *testMailing) useHours() {
	p.opens = time.Now().UTC().Add(5 * time.Second).Truncate(time.Minute).Add(time.Minute)
	clock := func(at time.Time) string { return at.Add(2 * time.Hour).Format("15:04") }
	p.draft["window"] = map[string]any{"from": clock(p.opens), "to": clock(p.opens.Add(12 * time.Hour)), "timeZone": "Etc/GMT-2"}
}

// useSegments addresses the mailing to segments. includes reports which customers are
// in them.
func (p *testMailing) useSegments(s map[string]any, includes func(*testCustomer) bool) {
	p.includes = includes
	p.draft["audience"] = map[string]any{"segments": s}
}

// useCustomerList addresses the mailing to some customers, and to unknown ids.
func (p *testMailing) useCustomerList(m *testCustomers, r *rand.Rand) {
	p.unknown = 5
	chosen := map[*testCustomer]bool{}
	var ids []string
	for range min(200, len(m.all)/4) {
		if x := m.all[r.IntN(len(m.all))]; !chosen[x] {
			chosen[x], ids = true, append(ids, x.id)
		}
	}

	for i := range p.unknown {
		ids = append(ids, fmt.Sprintf("nobody-%d", i))
	}
	p.includes = func(x *testCustomer) bool { return chosen[x] }
	p.draft["audience"] = map[string]any{"customers": ids}
}

// useTokenList addresses the mailing to all tokens of some customers whose tokens are all
// valid and do not change, and to unknown tokens.
func (p *testMailing) useTokenList(m *testCustomers, r *rand.Rand) {
	p.unknown = 3
	chosen := map[*testCustomer]bool{}
	var list []string
	for len(chosen) < min(100, len(m.all)/8) {
		x := m.all[r.IntN(len(m.all))]
		if !x.stable || chosen[x] || x.countValid() != len(x.tokens) {
			continue
		}
		chosen[x] = true
		for _, y := range x.tokens {
			list = append(list, y.token)
		}
	}
	if p.kind == faultPoison {
		p.poisonToken = list[len(list)/2]
	}

	for i := range p.unknown {
		list = append(list, fmt.Sprintf("nobody:%d-token", i))
	}
	p.includes = func(x *testCustomer) bool { return chosen[x] }
	p.draft["audience"] = map[string]any{"tokens": list}
}

// submit posts the mailing, and retries until the API answers. If twice is set, two such
// requests run at the same time.
func (p *testMailing) submit(ctx context.Context, base string, run string, twice bool) error {
	p.submittedAt = time.Now()
	c := client.New(base)
	c.HTTP = &http.Client{Timeout: time.Minute, Transport: idempotentTransport{fmt.Sprintf("chaos-%s-%d", run, p.n), http.DefaultTransport}}
	var ids [2]string
	var errs [2]error
	var all sync.WaitGroup
	for i := range ids {
		if i == 1 && !twice {
			break
		}
		all.Go(func() {
			var m client.Mailing
			errs[i] = callUntilAnswered(ctx, c, http.MethodPost, "/v1/mailings", p.draft, &m)
			ids[i] = m.ID
		})
	}

	all.Wait()
	p.id = ids[0]
	if errs[0] != nil || errs[1] != nil {
		return fmt.Errorf("submitting mailing %d (%s): %w", p.n, p.kind, errors.Join(errs[0], errs[1]))
	}
	if twice && ids[0] != ids[1] {
		return fmt.Errorf("two requests with one Idempotency-Key made two mailings, %s and %s", ids[0], ids[1])
	}

	return nil
}

// An idempotentTransport adds the same Idempotency-Key to every request.
type idempotentTransport struct {
	key  string
	next http.RoundTripper
}

func (k idempotentTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Idempotency-Key", k.key)
	return k.next.RoundTrip(r)
}

// runActions does what the kind of the mailing requires (pause and resume, unflag, or
// cancel), and then waits until the mailing has ended.
func (p *testMailing) runActions(ctx context.Context, c *client.Client, r *rand.Rand, addFinding func(kind, format string, a ...any)) error {
	act := func(what string) error {
		err := callUntilAnswered(ctx, c, http.MethodPost, "/v1/mailings/"+p.id+"/"+what, nil, nil)
		if q := client.AsProblem(err); q != nil && q.Status == http.StatusConflict {
			return nil // the mailing has ended, or an earlier try succeeded and its answer was lost
		}
		return err
	}

	pause := func(low, high int) { sleep(ctx, time.Duration(low+r.IntN(high-low))*time.Millisecond) }
	switch p.kind {
	case "paused":
		pause(200, 3000)
		if err := act("pause"); err != nil {
			return err
		}
		pause(1000, 6000)
		if err := act("resume"); err != nil {
			return err
		}
	case faultUnflag:
		if err := p.unflagEarly(ctx, c, act); err != nil {
			return err
		}
	case faultResume:
		if err := p.pauseAndResume(ctx, c, act); err != nil {
			return err
		}
	case "cancelled":
		pause(500, 6000)
		if err := act("cancel"); err != nil {
			return err
		}
	}

	return p.waitForEnd(ctx, c, act, addFinding)
}

// waitForEnd reads the mailing until it has ended. The totals must add up in every
// answer.
func (p *testMailing) waitForEnd(ctx context.Context, c *client.Client, act func(string) error, addFinding func(kind, format string, a ...any)) error {
	for {
		m := &client.Mailing{}
		if err := callUntilAnswered(ctx, c, http.MethodGet, "/v1/mailings/"+p.id, nil, m); err != nil {
			return err
		}
		if err := m.Reconcile(); err != nil {
			addFinding(brokenSums, "%v", err)
		}

		p.final = m
		switch {
		case m.IsFinal() && m.CompletedAt != nil:
			return nil
		case m.State == string(push.Paused) && m.PausedReason != push.PausedByHand:
			if p.fcmUnreliable == nil {
				addFinding("paused by itself", "mailing %s: %s: %s", p.id, m.PausedReason, m.PausedDetail)
			} else if p.fcmUnreliable() {
				break // an operator would not resume it yet: wait and read again
			}
			if err := act("resume"); err != nil {
				return err
			}
		}
		if !sleep(ctx, time.Second) {
			return fmt.Errorf("mailing %s (%s) is still %s with %d tokens pending: %w", p.id, p.kind, m.State, m.Tokens.Pending, ctx.Err())
		}
	}
}

// mayEndAs reports whether the mailing may end in a state.
func (p *testMailing) mayEndAs(s push.State) bool {
	switch p.kind {
	case "cancelled":
		return s == push.Cancelled || s == push.Completed
	case "expiring":
		return s == push.Expired || s == push.Completed
	}
	return s == push.Completed
}
