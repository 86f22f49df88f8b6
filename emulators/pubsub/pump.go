package pubsub

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/proto"
)

const (
	leased     = 600             // seconds: the longest pstest gives
	renewEvery = 5 * time.Minute //
	idleEvery  = 5 * time.Millisecond
	defaultMin = 10 * time.Second // of a retry policy
	defaultMax = 10 * time.Minute
	noPolicy   = 100 * time.Millisecond // back-off of a subscription without one: at once, but not a busy loop
)

// A pump pushes one subscription. It takes a message from pstest once and keeps
// it leased until it is done, so that pstest's own redelivery never comes in
// between.
type pump struct {
	s     *Server
	name  string
	stop  context.CancelFunc
	slots chan struct{}
	busy  atomic.Int64 // messages taken and not done
}

func (p *pump) loop(ctx context.Context) {
	for ctx.Err() == nil {
		res, err := p.s.ps.GServer.Pull(ctx, &pb.PullRequest{Subscription: p.name, MaxMessages: 1000, ReturnImmediately: true})
		if err != nil || len(res.GetReceivedMessages()) == 0 {
			select {
			case <-ctx.Done():
			case <-time.After(idleEvery):
			}
			continue
		}
		p.busy.Add(int64(len(res.GetReceivedMessages())))
		for _, m := range res.GetReceivedMessages() {
			d := &delivery{pump: p, ack: m.GetAckId(), msg: m.GetMessage()}
			d.extend(ctx)
			p.s.wg.Go(func() { d.run(ctx) })
		}
	}
}

// A delivery is one message on its way to an endpoint.
type delivery struct {
	*pump
	ack     string
	msg     *pb.PubsubMessage
	attempt int
	waited  time.Duration
	renewed time.Time
}

func (d *delivery) extend(ctx context.Context) {
	d.renewed = time.Now()
	_, _ = d.s.ps.GServer.ModifyAckDeadline(ctx, &pb.ModifyAckDeadlineRequest{
		Subscription: d.name, AckIds: []string{d.ack}, AckDeadlineSeconds: leased})
}

// run pushes until the endpoint acknowledges, the attempts run out, or the
// subscription goes.
func (d *delivery) run(ctx context.Context) {
	defer d.busy.Add(-1)
	for ctx.Err() == nil {
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		sub, err := d.s.ps.GServer.GetSubscription(ctx, &pb.GetSubscriptionRequest{Subscription: d.name})
		if err != nil {
			<-d.slots
			return
		}
		d.attempt++
		out := d.push(ctx, sub)
		<-d.slots
		dead := !out.acked() && sub.GetDeadLetterPolicy().GetDeadLetterTopic() != "" && d.attempt >= attempts(sub)
		if dead {
			dead = d.bury(ctx, sub) == nil
		}
		out.DeadLettered = dead
		d.s.tell(out)
		if out.acked() || dead {
			_, _ = d.s.ps.GServer.Acknowledge(ctx, &pb.AcknowledgeRequest{Subscription: d.name, AckIds: []string{d.ack}})
			return
		}
		d.pause(ctx, sub)
	}
}

func attempts(sub *pb.Subscription) int {
	if n := int(sub.GetDeadLetterPolicy().GetMaxDeliveryAttempts()); n > 0 {
		return n
	}
	return 5
}

// pause backs off exponentially between the policy's bounds.
func (d *delivery) pause(ctx context.Context, sub *pb.Subscription) {
	low, high := noPolicy, noPolicy
	if r := sub.GetRetryPolicy(); r != nil {
		low, high = defaultMin, defaultMax
		if r.GetMinimumBackoff() != nil {
			low = r.GetMinimumBackoff().AsDuration()
		}
		if r.GetMaximumBackoff() != nil {
			high = r.GetMaximumBackoff().AsDuration()
		}
	}
	d.waited = min(max(low, 2*d.waited), max(low, high))
	t := time.NewTimer(time.Duration(float64(d.waited) * d.s.opt.TimeScale))
	defer t.Stop()
	renew := time.NewTicker(renewEvery)
	defer renew.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-renew.C:
			d.extend(ctx)
		case <-t.C:
			return
		}
	}
}

// envelope is the body of a push request. The service sends both spellings.
type envelope struct {
	Message         envelopeMessage `json:"message"`
	Subscription    string          `json:"subscription"`
	DeliveryAttempt int             `json:"deliveryAttempt,omitempty"`
}

type envelopeMessage struct {
	Data         []byte            `json:"data,omitempty"`
	Attributes   map[string]string `json:"attributes,omitempty"`
	MessageID    string            `json:"messageId"`
	MessageID2   string            `json:"message_id"`
	PublishTime  string            `json:"publishTime"`
	PublishTime2 string            `json:"publish_time"`
	OrderingKey  string            `json:"orderingKey,omitempty"`
}

func (d *delivery) body(sub *pb.Subscription) ([]byte, error) {
	at := d.msg.GetPublishTime().AsTime().Format(time.RFC3339Nano)
	e := envelope{Subscription: d.name, Message: envelopeMessage{
		Data: d.msg.GetData(), Attributes: d.msg.GetAttributes(), MessageID: d.msg.GetMessageId(), MessageID2: d.msg.GetMessageId(),
		PublishTime: at, PublishTime2: at, OrderingKey: d.msg.GetOrderingKey()}}
	if sub.GetDeadLetterPolicy() != nil {
		e.DeliveryAttempt = d.attempt
	}
	return json.Marshal(e)
}

// push posts the message once and waits for the answer as long as the ack
// deadline allows.
func (d *delivery) push(ctx context.Context, sub *pb.Subscription) (out Delivery) {
	out = Delivery{Subscription: d.name, MessageID: d.msg.GetMessageId(), Attempt: d.attempt}
	began := time.Now()
	defer func() { out.Took = time.Since(began) }()
	body, err := d.body(sub)
	if err != nil {
		out.Err = err
		return out
	}
	deadline := time.Duration(max(10, sub.GetAckDeadlineSeconds())) * time.Second
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.GetPushConfig().GetPushEndpoint(), bytes.NewReader(body))
	if err != nil {
		out.Err = err
		return out
	}
	req.Header.Set("Content-Type", "application/json")
	if email := sub.GetPushConfig().GetOidcToken().GetServiceAccountEmail(); email != "" {
		req.Header.Set("Authorization", "Bearer emulated-"+email)
	}
	resp, err := d.s.opt.Client.Do(req)
	if err != nil {
		out.Err = err
		return out
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	out.Status = resp.StatusCode
	return out
}

// bury publishes the message to the dead letter topic.
func (d *delivery) bury(ctx context.Context, sub *pb.Subscription) error {
	m := proto.Clone(d.msg).(*pb.PubsubMessage)
	attrs := map[string]string{}
	maps.Copy(attrs, m.GetAttributes())
	parts := strings.Split(d.name, "/")
	attrs["CloudPubSubDeadLetterSourceDeliveryCount"] = strconv.Itoa(d.attempt)
	attrs["CloudPubSubDeadLetterSourceSubscription"] = parts[len(parts)-1]
	attrs["CloudPubSubDeadLetterSourceSubscriptionProject"] = parts[1]
	attrs["CloudPubSubDeadLetterSourceTopicPublishTime"] = m.GetPublishTime().AsTime().Format(time.RFC3339Nano)
	_, err := d.s.ps.GServer.Publish(ctx, &pb.PublishRequest{Topic: sub.GetDeadLetterPolicy().GetDeadLetterTopic(),
		Messages: []*pb.PubsubMessage{{Data: m.GetData(), Attributes: attrs, OrderingKey: m.GetOrderingKey()}}})
	return err
}
