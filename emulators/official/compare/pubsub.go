package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	client "cloud.google.com/go/pubsub/v2"
	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	messages   = 10_000
	perRequest = 100
	pushed     = 2000
)

// A bench is one project on a server.
type bench struct {
	*client.Client
	project string
}

// measurePubSub measures a server through the Go client, whose work is in the
// figures. A first round, whose figures are dropped, warms the server.
func measurePubSub(ctx context.Context, addr string) (out []figure, err error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}

	for _, project := range []string{"demo-warm", "demo-compare"} {
		c, err := client.NewClient(ctx, project, option.WithGRPCConn(conn))
		if err != nil {
			return nil, err
		}
		b := &bench{c, project}
		out = nil
		for _, measure := range []func(context.Context) ([]figure, error){b.measurePulls, b.measurePushes} {
			f, err := measure(ctx)
			if err != nil {
				return nil, err
			}
			out = append(out, f...)
		}
	}

	return out, conn.Close()
}

// createSubscription creates a topic with a subscription. push is nil for pulls.
func (b *bench) createSubscription(ctx context.Context, id string, push *pb.PushConfig) (topic, subscription string, err error) {
	topic, subscription = "projects/"+b.project+"/topics/"+id, "projects/"+b.project+"/subscriptions/"+id
	if _, err = b.TopicAdminClient.CreateTopic(ctx, &pb.Topic{Name: topic}); err != nil {
		return "", "", err
	}
	_, err = b.SubscriptionAdminClient.CreateSubscription(ctx, &pb.Subscription{Name: subscription, Topic: topic, PushConfig: push, AckDeadlineSeconds: 60})
	return topic, subscription, err
}

func (b *bench) publishMessages(ctx context.Context, topic string, n int) error {
	for sent := 0; sent < n; sent += perRequest {
		r := &pb.PublishRequest{Topic: topic}
		for i := range perRequest {
			r.Messages = append(r.Messages, &pb.PubsubMessage{Data: fmt.Appendf(nil, `{"mailing":"m","batch":"%d"}`, sent+i)})
		}
		if _, err := b.TopicAdminClient.Publish(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) measurePulls(ctx context.Context) ([]figure, error) {
	topic, subscription, err := b.createSubscription(ctx, "pulled", nil)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := b.publishMessages(ctx, topic, messages); err != nil {
		return nil, err
	}
	published := newFigure("messages published a second, 100 a request", messages, began)

	began = time.Now()
	for got := 0; got < messages; {
		r, err := b.SubscriptionAdminClient.Pull(ctx, &pb.PullRequest{Subscription: subscription, MaxMessages: 1000})
		if err != nil {
			return nil, err
		}
		ack := &pb.AcknowledgeRequest{Subscription: subscription}
		for _, m := range r.GetReceivedMessages() {
			ack.AckIds = append(ack.AckIds, m.GetAckId())
		}
		if got += len(ack.AckIds); len(ack.AckIds) == 0 {
			continue
		}
		if err := b.SubscriptionAdminClient.Acknowledge(ctx, ack); err != nil {
			return nil, err
		}
	}
	return []figure{published, newFigure("messages pulled and acknowledged a second", messages, began)}, nil
}

func (b *bench) measurePushes(ctx context.Context) ([]figure, error) {
	var n atomic.Int32
	all := make(chan struct{})
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
		if n.Add(1) == pushed {
			close(all)
		}
	}))

	defer endpoint.Close()
	topic, _, err := b.createSubscription(ctx, "pushed", &pb.PushConfig{PushEndpoint: endpoint.URL})
	if err != nil {
		return nil, err
	}

	began := time.Now()
	if err := b.publishMessages(ctx, topic, pushed); err != nil {
		return nil, err
	}

	select {
	case <-all:
		return []figure{newFigure("messages pushed a second", pushed, began)}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(5 * time.Minute):
		return nil, fmt.Errorf("%d of %d messages were pushed within five minutes", n.Load(), pushed)
	}
}
