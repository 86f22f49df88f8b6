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

// A faultyFirestore fails on request: it is the embedded server, or a relay before an
// external one.
type faultyFirestore interface {
	SetFault(func(method string, req proto.Message) error)
	SetFaultAfter(func(method string, req proto.Message) error)
}

// A faultyPubSub repeats and delays messages: it is the embedded server, or
// pushFaults before the workers of an external one.
type faultyPubSub interface {
	SetChaos(pubsub.Chaos)
	WaitIdle(context.Context) error
	Messages(topic string) []pubsub.Message
}

// connectFaults finds the servers that inject faults, and puts a relay or pushFaults
// before those that do not. It runs before the environment of the functions is set,
// because it changes the address of Firestore.
func (c *chaosRun) connectFaults(ctx context.Context) error {
	l := c.cloud
	if c.firestore, c.pubsub = l.Firestore, l.PubSub; l.Firestore != nil && l.PubSub != nil {
		return nil
	}
	if l.Firestore == nil {
		r, err := relay.Start("127.0.0.1:0", l.FirestoreHost)
		if err != nil {
			return err
		}
		l.OnClose(r.Close)
		l.FirestoreHost, c.firestore = r.Addr(), r
	}
	if l.PubSub == nil {
		c.pushFaults = &pushFaults{ctx: ctx, deadLetters: map[string]bool{}}
		c.pubsub = c.pushFaults
	}

	return nil
}

// wrapWorkers returns the handlers of the workers, behind pushFaults if Pub/Sub does
// not inject faults itself.
func (c *chaosRun) wrapWorkers(of func(fn string) http.Handler) func(fn string) http.Handler {
	return func(fn string) http.Handler {
		if c.pushFaults == nil || fn == "mailings" || fn == "customers" {
			return of(fn)
		}
		return c.pushFaults.wrap(fn, of(fn))
	}
}

// wrapEvents returns the handler of the events, behind pushFaults if Pub/Sub does not
// inject faults itself.
func (c *chaosRun) wrapEvents() http.Handler {
	if c.pushFaults == nil {
		return c.events
	}
	return c.pushFaults.wrap("events", c.events)
}

// pushFaults stands between an external Pub/Sub and the workers. It repeats and
// delays pushes, and knows when no more pushes come. It is safe for concurrent use.
type pushFaults struct {
	ctx          context.Context // of the run: repeated pushes end with it
	mu           sync.Mutex      // guards the fields below
	chaos        pubsub.Chaos
	rng          *rand.Rand
	inFlight     int             // pushes in progress, with repeated ones
	lastAt       time.Time       // when the last push began or ended
	lastFunction string          // the function that got the last push
	deadLetters  map[string]bool // ids of the messages from deliver-dead
}

// pushIdleTime is how long an external Pub/Sub must send no push to count as idle. It
// is longer than the longest back-off in a chaos run, which is 12 s.
const pushIdleTime = 20 * time.Second

// SetChaos sets how pushes are repeated and delayed from now on. Delays change the
// order; there is no other reordering.
func (p *pushFaults) SetChaos(c pubsub.Chaos) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chaos, p.rng = c, rand.New(rand.NewPCG(c.Seed, 2))
}

// Messages returns one empty message for each dead letter that was pushed to deliver,
// whatever the topic is: other topics are not recorded.
func (p *pushFaults) Messages(string) []pubsub.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return make([]pubsub.Message, len(p.deadLetters))
}

// WaitIdle waits until no push is in progress and none has come for pushIdleTime.
// Ticks do not count, because they never stop.
func (p *pushFaults) WaitIdle(ctx context.Context) error {
	for {
		p.mu.Lock()
		under, rest, to := p.inFlight, pushIdleTime-time.Since(p.lastAt), p.lastFunction
		p.mu.Unlock()
		if under == 0 && rest <= 0 {
			return nil
		}
		if !sleep(ctx, max(rest, 100*time.Millisecond)) {
			return fmt.Errorf("%d pushes are in progress, the last one began or ended %v ago at %s: %w", under, pushIdleTime-rest, to, ctx.Err())
		}
	}
}

// wrap returns the handler of a worker behind the faults.
func (p *pushFaults) wrap(fn string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "the push was cut off", http.StatusBadRequest)
			return
		}
		defer p.countPush(fn, body)()

		delay, repeat := p.drawFaults()
		sleep(r.Context(), delay)
		next.ServeHTTP(w, withBody(r, body))
		if repeat {
			go p.repeatPush(fn, next, withBody(r, body), body)
		}
	})
}

// repeatPush makes a push a second time and drops the response. It uses the context
// of the run, because that of the first push ends with its response.
func (p *pushFaults) repeatPush(fn string, next http.Handler, r *http.Request, body []byte) {
	defer p.countPush(fn, body)()
	next.ServeHTTP(&discardedResponse{header: http.Header{}}, r.WithContext(p.ctx))
}

// countPush counts a push. The caller calls the returned function at the end of the
// push.
func (p *pushFaults) countPush(fn string, body []byte) func() {
	var push struct {
		Subscription string
		Message      struct{ MessageID string }
	}
	_ = json.Unmarshal(body, &push) // a body that is not a push request counts, too
	step := func(n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if fn != "tick" {
			p.inFlight, p.lastAt, p.lastFunction = p.inFlight+n, time.Now(), fn
		}
		if fn == "deliver" && strings.HasSuffix(push.Subscription, "/deliver-dead") {
			p.deadLetters[push.Message.MessageID] = true
		}
	}

	step(1)
	return func() { step(-1) }
}

// drawFaults draws the delay of a push, and whether it is repeated.
func (p *pushFaults) drawFaults() (delay time.Duration, repeat bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rng == nil || p.chaos.Duplicate == 0 {
		return 0, false
	}
	return time.Duration(p.rng.Float64() * float64(p.chaos.Delay)), p.rng.Float64() < p.chaos.Duplicate
}

func withBody(r *http.Request, body []byte) *http.Request {
	r = r.Clone(r.Context())
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return r
}

// A discardedResponse drops what is written to it.
type discardedResponse struct{ header http.Header }

// Header returns the header, which is not read.
func (d *discardedResponse) Header() http.Header { return d.header }

// Write drops b.
func (d *discardedResponse) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader drops the status.
func (d *discardedResponse) WriteHeader(int) {}
