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

// A post is a mailing that was handed in, and what is known of it.
type post struct {
	n       int
	id      string
	kind    string
	latest  bool
	dryRun  bool
	promo   bool
	in      func(*person) bool
	unknown int64 // listed ids nobody has
	draft   map[string]any
	end     *client.Mailing
	poison  string // the token that ends the instance that sends it

	controlGroup float64 // share of the customers who get nothing
	// doubtful reports whether FCM is not to be believed just now; nil: it is all
	// the while, and no mailing may pause by itself.
	doubtful func() bool
	resumed  time.Time // when the answer to a resume came; zero: it was not measured
}

// newPost makes up the n-th mailing of kinds, which come in turn.
func newPost(n int, kinds []string, m *people, r *rand.Rand) *post {
	p := &post{n: n, kind: kinds[n%len(kinds)], in: func(*person) bool { return true }}
	p.draft = map[string]any{"message": demo.Message, "audience": map[string]any{"everyone": true}, "devices": "all"}
	switch p.kind {
	case "segments":
		p.segments(map[string]any{"any": []string{"half", "tenth"}, "none": []string{"seventh"}}, func(x *person) bool {
			return (slices.Contains(x.segments, "half") || slices.Contains(x.segments, "tenth")) && !slices.Contains(x.segments, "seventh")
		})
	case "latest":
		p.latest, p.draft["devices"] = true, "latest"
	case "rate":
		p.segments(map[string]any{"all": []string{"tenth"}}, func(x *person) bool { return slices.Contains(x.segments, "tenth") })
		p.draft["ratePerMinute"] = 1200
	case "dry run":
		p.dryRun, p.draft["dryRun"] = true, true
	case "listed":
		p.listed(m, r)
	case "tokens":
		p.tokens(m, r)
	case "scheduled":
		p.draft["sendAt"] = time.Now().Add(time.Duration(5+r.IntN(10)) * time.Second).UTC().Format(time.RFC3339)
	case weatherPoison:
		p.tokens(m, r)
		// Its id must be known before FCM is asked for it.
		p.draft["sendAt"] = time.Now().Add(5 * time.Second).UTC().Format(time.RFC3339)
	case "expiring":
		p.draft["lifetime"], p.draft["ratePerMinute"] = "60s", 1200
	case "promo":
		p.promo, p.draft["category"] = true, "promo"
	case "variants":
		p.controlGroup = 0.1
		delete(p.draft, "message")
		p.draft["controlGroup"] = p.controlGroup
		p.draft["variants"] = []map[string]any{{"name": "a", "share": 0.3, "message": demo.Message}, {"name": "b", "share": 0.7, "message": demo.Message, "link": "https://shop.example/b"}}
	}

	return p
}

// leavesOut reports whether the mailing goes to none of a person's tokens, whatever
// they are.
func (p *post) leavesOut(x *person) bool {
	control := push.Targeting{Mailing: p.id, ControlGroup: p.controlGroup}
	return !p.in(x) || x.optedOut || p.promo && x.noPromo || control.InControlGroup(x.id)
}

func (p *post) segments(s map[string]any, in func(*person) bool) {
	p.in = in
	p.draft["audience"] = map[string]any{"segments": s}
}

func (p *post) listed(m *people, r *rand.Rand) {
	p.unknown = 5
	chosen := map[*person]bool{}
	var ids []string
	for range min(200, len(m.all)/4) {
		if x := m.all[r.IntN(len(m.all))]; !chosen[x] {
			chosen[x], ids = true, append(ids, x.id)
		}
	}
	for i := range p.unknown {
		ids = append(ids, fmt.Sprintf("nobody-%d", i))
	}
	p.in = func(x *person) bool { return chosen[x] }
	p.draft["audience"] = map[string]any{"customers": ids}
}

// tokens names good tokens of people who stay as they are.
func (p *post) tokens(m *people, r *rand.Rand) {
	p.unknown = 3
	chosen := map[*person]bool{}
	var list []string
	for len(chosen) < min(100, len(m.all)/8) {
		x := m.all[r.IntN(len(m.all))]
		if !x.stable || chosen[x] || x.good() != len(x.phones) {
			continue
		}
		chosen[x] = true
		for _, y := range x.phones {
			list = append(list, y.token)
		}
	}
	if p.kind == weatherPoison {
		p.poison = list[len(list)/2]
	}

	for i := range p.unknown {
		list = append(list, fmt.Sprintf("nobody:%d-token", i))
	}
	p.in = func(x *person) bool { return chosen[x] }
	p.draft["audience"] = map[string]any{"tokens": list}
}

// submit hands the mailing in until it is answered, often twice at once.
func (p *post) submit(ctx context.Context, base string, run string, twice bool) error {
	c := client.New(base)
	c.HTTP = &http.Client{Timeout: time.Minute, Transport: keyed{fmt.Sprintf("chaos-%s-%d", run, p.n), http.DefaultTransport}}
	var ids [2]string
	var errs [2]error
	var all sync.WaitGroup
	for i := range ids {
		if i == 1 && !twice {
			break
		}
		all.Go(func() {
			var m client.Mailing
			errs[i] = insist(ctx, c, http.MethodPost, "/v1/mailings", p.draft, &m)
			ids[i] = m.ID
		})
	}

	all.Wait()
	p.id = ids[0]
	if errs[0] != nil || errs[1] != nil {
		return fmt.Errorf("handing in mailing %d (%s): %w", p.n, p.kind, errors.Join(errs[0], errs[1]))
	}
	if twice && ids[0] != ids[1] {
		return fmt.Errorf("one Idempotency-Key made two mailings, %s and %s", ids[0], ids[1])
	}

	return nil
}

// keyed adds an Idempotency-Key.
type keyed struct {
	key  string
	next http.RoundTripper
}

func (k keyed) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Idempotency-Key", k.key)
	return k.next.RoundTrip(r)
}

// live takes a mailing through its life, to its end.
func (p *post) live(ctx context.Context, c *client.Client, r *rand.Rand, say func(kind, format string, a ...any)) error {
	act := func(what string) error {
		err := insist(ctx, c, http.MethodPost, "/v1/mailings/"+p.id+"/"+what, nil, nil)
		if q := client.AsProblem(err); q != nil && q.Status == http.StatusConflict {
			return nil // it has ended, or a first try did it
		}
		return err
	}

	pause := func(low, high int) { wait(ctx, time.Duration(low+r.IntN(high-low))*time.Millisecond) }
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
	case weatherUnflag:
		if err := p.unflag(ctx, c, act); err != nil {
			return err
		}
	case weatherResume:
		if err := p.pauseAndResume(ctx, c, act); err != nil {
			return err
		}
	case "cancelled":
		pause(500, 6000)
		if err := act("cancel"); err != nil {
			return err
		}
	}

	return p.follow(ctx, c, act, say)
}

// follow looks at the mailing until it has ended whole. Its sums must add up at
// every look.
func (p *post) follow(ctx context.Context, c *client.Client, act func(string) error, say func(kind, format string, a ...any)) error {
	for {
		m := &client.Mailing{}
		if err := insist(ctx, c, http.MethodGet, "/v1/mailings/"+p.id, nil, m); err != nil {
			return err
		}
		if err := m.Reconcile(); err != nil {
			say("sums off", "%v", err)
		}
		p.end = m
		switch {
		case m.IsFinal() && m.CompletedAt != nil:
			return nil
		case m.State == string(push.Paused) && m.Paused != push.ByHand:
			if p.doubtful == nil {
				say("paused by itself", "mailing %s: %s", p.id, m.Paused)
			} else if p.doubtful() {
				break // a person would not resume it yet
			}
			if err := act("resume"); err != nil {
				return err
			}
		}
		if !wait(ctx, time.Second) {
			return fmt.Errorf("mailing %s (%s) is still %s with %d tokens pending: %w", p.id, p.kind, m.State, m.Tokens.Pending, ctx.Err())
		}
	}
}

// may lists how the mailing may end.
func (p *post) may(s push.State) bool {
	switch p.kind {
	case "cancelled":
		return s == push.Cancelled || s == push.Completed
	case "expiring":
		return s == push.Expired || s == push.Completed
	}
	return s == push.Completed
}
