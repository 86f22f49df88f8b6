package functions_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/functions/dispatch"
	"carillon.example/functions/tick"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A rateHarness is dispatch and tick as they are deployed, over one database and one
// clock that moves when tick sleeps, and a deliver that may crash.
type rateHarness struct {
	*store.Store
	t        *testing.T
	clock    *testcloud.Clock
	dispatch http.Handler
	tick     http.Handler
	wakes    []string

	mu   sync.Mutex
	sent []sentBatch
	n    int // batches delivered
}

// A sentBatch is when a batch was sent, and to how many tokens.
type sentBatch struct {
	at     time.Time
	tokens int
}

func newRateHarness(t *testing.T) *rateHarness {
	t.Helper()
	p := &rateHarness{t: t, clock: testcloud.Noon()}
	p.Store = store.New(testcloud.New(t).DB(), store.Options{Now: p.clock.Now})
	quiet := slog.New(slog.DiscardHandler)
	p.dispatch = dispatch.New(dispatch.Deps{Store: p.Store, Queue: p, Log: quiet, CallTimeout: time.Minute, Now: p.clock.Now})
	p.tick = tick.New(tick.Deps{Store: p.Store, Queue: p, Log: quiet, Now: p.clock.Now, Sleep: p.clock.Sleep})
	return p
}

// post is a push of Pub/Sub.
func (p *rateHarness) post(h http.Handler, data any) {
	p.t.Helper()
	b, err := json.Marshal(data)
	if err != nil {
		p.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"message": map[string]any{"data": b, "messageId": "1"}})
	if err != nil {
		p.t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(string(body))))
	if w.Code != http.StatusNoContent {
		p.t.Errorf("%s was answered %d", body, w.Code)
	}
}

func (p *rateHarness) PublishEvents(context.Context, ...push.Event) error { return nil }

func (p *rateHarness) PublishWake(_ context.Context, mailings ...string) error {
	p.wakes = append(p.wakes, mailings...)
	return nil
}

func (p *rateHarness) PublishDispatch(_ context.Context, messages ...push.DispatchMessage) error {
	for _, o := range messages {
		p.post(p.dispatch, o)
	}
	return nil
}

// PublishMessages is not called: there are no messages to one customer.
func (p *rateHarness) PublishMessages(context.Context, ...push.MessageRef) error {
	return errors.New("there are no messages")
}

// PublishBatches sends batches; each tenth time the instance is killed half way.
func (p *rateHarness) PublishBatches(ctx context.Context, _ push.Lane, refs ...push.BatchRef) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ref := range refs {
		b, err := p.ReadBatch(ctx, ref)
		if err != nil {
			return err
		}
		if b.Settled || b.Lease.Until.After(p.clock.Now()) {
			continue
		}
		if err := p.LeaseBatch(ctx, b, push.Lease{Owner: "x", Until: p.clock.Now().Add(135 * time.Second)}); err != nil {
			return err
		}
		p.n++
		killed, tokens := p.n%10 == 0, 0
		for _, i := range b.PendingTargets() {
			if killed && i%2 == 0 {
				continue
			}
			b.Results[i] = push.ResultAccepted
			tokens++
		}
		if b.Settled = len(b.PendingTargets()) == 0; b.Settled {
			b.Lease = push.Lease{}
		}
		if err := p.SaveBatch(ctx, b); err != nil {
			return err
		}
		p.sent = append(p.sent, sentBatch{p.clock.Now(), tokens})
	}
	return nil
}

func (p *rateHarness) seed(customers, tokens int) {
	p.t.Helper()
	lines := make([]store.ImportLine, customers)
	for i := range lines {
		lines[i].Customer = fmt.Sprint("c", i)
		for k := range tokens {
			lines[i].Tokens = append(lines[i].Tokens, push.Registration{Kind: push.KindToken, Value: fmt.Sprint("t", i, "-", k), Platform: push.Android})
		}
	}
	refused, _, err := p.ImportCustomers(p.t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		p.t.Fatal(err)
	}
}

// TestARateIsExact over any five minutes, from the message that starts the
// mailing on, with rounds of tick that come as late as they may, and an instance
// of deliver that is killed with each tenth batch.
func TestARateIsExact(t *testing.T) {
	t.Parallel()
	const rate, window = 600, 5 * time.Minute
	p := newRateHarness(t)
	p.seed(700, 8)
	n := rate
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: push.Audience{Everyone: true}, RatePerMinute: &n}
	if _, _, err := p.CreateMailing(t.Context(), push.NewMailing("m", "m", d, p.clock.Now())); err != nil {
		t.Fatal(err)
	}

	began := p.clock.Now()
	p.post(p.dispatch, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
	for range 20 {
		for len(p.wakes) > 0 {
			id := p.wakes[0]
			p.wakes = p.wakes[1:]
			p.post(p.tick, push.WakeMessage{Mailing: id})
		}
		p.post(p.tick, map[string]string{"clock": "each minute"})
		if m, err := p.ReadMailingHeader(t.Context(), "m"); err != nil || m.State == push.Completed {
			break
		}
	}

	total := 0
	for _, s := range p.sent {
		total += s.tokens
	}
	if total != 5600 {
		t.Fatalf("%d messages were sent, want 5600, each once", total)
	}
	end := began.Add(time.Duration(total) * time.Minute / rate)
	for from := began; !from.Add(window).After(end); from = from.Add(time.Second) {
		n := 0
		for _, s := range p.sent {
			if !s.at.Before(from) && s.at.Before(from.Add(window)) {
				n += s.tokens
			}
		}
		want := rate * int(window/time.Minute)
		check.Between(t, n, want*95/100, want*105/100, "number of messages in the five minutes from %s", from.Sub(began))
	}
}
