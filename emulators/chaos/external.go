package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/pubsub"
	"carillon.example/emulators/relay"
)

// A faulty Firestore is one that fails on order: the embedded server, or a relay
// before an external one.
type faulty interface {
	SetFault(func(method string, req proto.Message) error)
	SetFaultAfter(func(method string, req proto.Message) error)
}

// A shaky Pub/Sub is what a chaos run needs of it: the embedded server, or
// pushes before the workers of an external one.
type shaky interface {
	SetChaos(pubsub.Chaos)
	WaitIdle(context.Context) error
	Messages(topic string) []pubsub.Message
}

// rough finds the servers that make the faults, and puts something before those
// that make none. The functions are to be told where by environment after it.
func (c *chaos) rough(ctx context.Context) error {
	l := c.laptop
	if c.faults, c.pubsub = l.Firestore, l.PubSub; l.Firestore != nil && l.PubSub != nil {
		return nil
	}
	if l.Firestore == nil {
		r, err := relay.Start("127.0.0.1:0", l.FirestoreHost)
		if err != nil {
			return err
		}
		l.OnClose(r.Close)
		l.FirestoreHost, c.faults = r.Addr(), r
	}
	if l.PubSub == nil {
		c.pushes = &pushes{ctx: ctx, dead: map[string]bool{}}
		c.pubsub = c.pushes
	}

	return nil
}

// workers are the workers' handlers, behind the faults of pushes where Pub/Sub
// makes none itself.
func (c *chaos) workers(of func(fn string) http.Handler) func(fn string) http.Handler {
	return func(fn string) http.Handler {
		if c.pushes == nil || fn == "mailings" || fn == "customers" {
			return of(fn)
		}
		return c.pushes.before(fn, of(fn))
	}
}

// listener is the events' handler, likewise.
func (c *chaos) listener() http.Handler {
	if c.pushes == nil {
		return c.events
	}
	return c.pushes.before("events", c.events)
}

// pushes stands between an external Pub/Sub and the workers. It repeats and
// delays pushes, and sees when no more of them come. Safe for concurrent use.
type pushes struct {
	ctx   context.Context // of the run: no push is repeated after it
	mu    sync.Mutex
	chaos pubsub.Chaos
	dice  *rand.Rand
	under int             // pushes under way, repeated ones too
	last  time.Time       // when the last one came or ended
	to    string          // the function that the last one went to
	dead  map[string]bool // ids of messages that came out of deliver-dead
}

// atRest is how long no push may come before an external Pub/Sub counts as
// idle: longer than its longest back-off in a chaos run, which is 12 s.
const atRest = 20 * time.Second

// SetChaos sets how pushes are repeated and delayed from now on. Their order is
// left to the delays.
func (p *pushes) SetChaos(c pubsub.Chaos) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chaos, p.dice = c, rand.New(rand.NewPCG(c.Seed, 2))
}

// Messages answers the dead letters that were pushed to deliver; of other
// topics it knows nothing.
func (p *pushes) Messages(string) []pubsub.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return make([]pubsub.Message, len(p.dead))
}

// WaitIdle waits until no push is under way and none has come for atRest; ticks
// come for ever and do not count.
func (p *pushes) WaitIdle(ctx context.Context) error {
	for {
		p.mu.Lock()
		under, rest, to := p.under, atRest-time.Since(p.last), p.to
		p.mu.Unlock()
		if under == 0 && rest <= 0 {
			return nil
		}
		if !wait(ctx, max(rest, 100*time.Millisecond)) {
			return fmt.Errorf("%d pushes are under way, the last came or ended %v ago at %s: %w", under, atRest-rest, to, ctx.Err())
		}
	}
}

// before is a worker's handler behind the faults.
func (p *pushes) before(fn string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "the push broke off", http.StatusBadRequest)
			return
		}
		defer p.note(fn, body)()

		delay, repeat := p.draw()
		wait(r.Context(), delay)
		next.ServeHTTP(w, withBody(r, body))
		if repeat {
			go p.again(fn, next, withBody(r, body), body)
		}
	})
}

// again makes a push once more, and drops the answer.
func (p *pushes) again(fn string, next http.Handler, r *http.Request, body []byte) {
	defer p.note(fn, body)()
	next.ServeHTTP(&dropped{header: http.Header{}}, r.WithContext(p.ctx))
}

// note counts a push; call what it answers at the push's end.
func (p *pushes) note(fn string, body []byte) func() {
	var push struct {
		Subscription string
		Message      struct{ MessageID string }
	}
	_ = json.Unmarshal(body, &push) // what is no push counts all the same
	step := func(n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if fn != "tick" {
			p.under, p.last, p.to = p.under+n, time.Now(), fn
		}
		if fn == "deliver" && strings.HasSuffix(push.Subscription, "/deliver-dead") {
			p.dead[push.Message.MessageID] = true
		}
	}

	step(1)
	return func() { step(-1) }
}

func (p *pushes) draw() (delay time.Duration, repeat bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dice == nil || p.chaos.Duplicate == 0 {
		return 0, false
	}
	return time.Duration(p.dice.Float64() * float64(p.chaos.Delay)), p.dice.Float64() < p.chaos.Duplicate
}

func withBody(r *http.Request, body []byte) *http.Request {
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return r
}

// dropped is an answer that nobody reads.
type dropped struct{ header http.Header }

// Header is written to and never read.
func (d *dropped) Header() http.Header { return d.header }

// Write drops b.
func (d *dropped) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader drops the status.
func (d *dropped) WriteHeader(int) {}
