package pubsub

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"sync/atomic"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// startWorkersLocked starts workers for ready messages, up to the limit of concurrent
// pushes. A worker ends when nothing is ready, so an idle subscription has none.
func (b *subscription) startWorkersLocked() {
	for b.workers < b.s.opt.inFlight(b.name) && !b.stopped && !b.s.held.Load() && b.s.ctx.Err() == nil {
		e := b.takeReadyLocked()
		if e == nil {
			return
		}
		b.workers++
		b.hands[e] = true
		p, c := b.endpoint, b.conf
		b.s.pushes.Go(func() { b.pushUntilEmpty(p, c, e) })
	}
}

// pushUntilEmpty is a worker: it pushes an entry, and then further ready entries until
// there are none. It holds no lock during a push.
func (b *subscription) pushUntilEmpty(p *endpoint, c *pb.Subscription, e *entry) {
	for e != nil {
		d := b.pushOnce(p, c, e)
		if b.s.ctx.Err() != nil {
			return
		}
		if !d.acknowledged() && !e.twin && attemptsOver(c, e.attempt) {
			d.DeadLettered = b.publishDeadLetter(c, e) == nil
		}
		b.s.watchers.notifyAll(d)
		p, c, e = b.settlePush(e, d)
	}
}

// settlePush records the result of a push and returns the next entry, nil if none is
// ready.
func (b *subscription) settlePush(e *entry, d Delivery) (*endpoint, *pb.Subscription, *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.hands, e)
	if d.acknowledged() || d.DeadLettered {
		b.removeSettledLocked(e)
	} else {
		b.scheduleRetryLocked(e)
	}

	if b.endpoint != nil && !b.stopped {
		if e := b.takeReadyLocked(); e != nil {
			b.hands[e] = true
			return b.endpoint, b.conf, e
		}
	}

	b.workers--
	b.wakeLocked() // in case the subscription was changed to pull meanwhile
	return nil, nil, nil
}

// pushOnce posts a message once, and waits for the answer until the ack deadline.
func (b *subscription) pushOnce(p *endpoint, c *pb.Subscription, e *entry) Delivery {
	d := Delivery{Subscription: b.name, MessageID: e.msg.GetMessageId(), Attempt: e.attempt}
	began := time.Now()

	ctx, cancel := context.WithTimeout(b.s.ctx, b.scaleDeadline(time.Duration(c.GetAckDeadlineSeconds())*time.Second))
	defer cancel()

	b.s.usage.countDelivered(1, billedBytes(e.msg))
	d.Status, d.Err = p.post(ctx, b.s.client, pushBody(c, e.msg, e.attempt))
	if d.Err != nil {
		d.Err = fmt.Errorf("pushing message %s of %s: %w", d.MessageID, b.name, d.Err)
	}
	d.Took = time.Since(began)
	return d
}

// An endpoint is the address that a push subscription posts to.
type endpoint struct {
	url   string
	token string // value of the header Authorization; "": none
}

func newEndpoint(c *pb.Subscription) (*endpoint, error) {
	p := c.GetPushConfig()
	if p.GetPushEndpoint() == "" {
		return nil, nil
	}

	u, err := url.Parse(p.GetPushEndpoint())
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, status.Errorf(codes.InvalidArgument, "Invalid push endpoint given (endpoint=%s).", p.GetPushEndpoint())
	}

	e := &endpoint{url: p.GetPushEndpoint()}
	if t := p.GetOidcToken(); t.GetServiceAccountEmail() != "" {
		e.token = "Bearer " + unsignedToken(t.GetServiceAccountEmail(), t.GetAudience(), e.url)
	}
	return e, nil
}

// unsignedToken returns a token with the claims that the service would send. Without an
// audience in the configuration the audience is the endpoint.
func unsignedToken(email, audience, endpoint string) string {
	if audience == "" {
		audience = endpoint
	}
	claims, err := json.Marshal(map[string]any{"iss": "https://accounts.google.com", "aud": audience, "email": email, "email_verified": true})
	if err != nil {
		panic(err) // cannot happen: strings always marshal
	}
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + enc.EncodeToString(claims) + "."
}

// post sends a body and returns the status. The status 102 acknowledges as soon as it
// comes; a later status does not change that.
func (p *endpoint) post(ctx context.Context, client *http.Client, body []byte) (int, error) {
	var processing atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		if code == http.StatusProcessing {
			processing.Store(true)
		}
		return nil
	}})

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}

	req.Header.Set("Content-Type", "application/json")
	if p.token != "" {
		req.Header.Set("Authorization", p.token)
	}

	resp, err := client.Do(req)
	if processing.Load() {
		if err == nil {
			drainBody(resp)
		}
		return http.StatusProcessing, nil
	}
	if err != nil {
		return 0, err
	}

	drainBody(resp)
	return resp.StatusCode, nil
}

// drainBody reads an answer to its end so that the connection can be used again. It does
// not read the rest of a long answer.
func drainBody(resp *http.Response) {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // the body has no meaning
	resp.Body.Close()
}
