package pubsub

import (
	"context"
	"slices"
	"strconv"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// subscriber is the gRPC service Subscriber. Methods that it lacks answer UNIMPLEMENTED.
type subscriber struct {
	pb.UnimplementedSubscriberServer
	s *Server
}

func (s *Server) findSubscription(name string) (*subscription, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b := s.subs[name]; b != nil {
		return b, nil
	}
	return nil, notFound(name)
}

func (r subscriber) CreateSubscription(_ context.Context, c *pb.Subscription) (*pb.Subscription, error) {
	c = withDefaults(c)
	if err := checkSubscription(c); err != nil {
		return nil, err
	}

	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.subs[c.GetName()] != nil {
		return nil, alreadyExists(c.GetName())
	}

	t := r.s.topics[c.GetTopic()]
	if t == nil {
		return nil, notFound(c.GetTopic())
	}
	if err := r.s.checkDeadLetter(c); err != nil {
		return nil, err
	}

	b, err := newSubscription(r.s, c)
	if err != nil {
		return nil, err
	}

	r.s.subs[b.name] = b
	r.s.changes.Add(1)
	t.subs = append(slices.Clone(t.subs), b)
	return c, nil
}

// checkDeadLetter returns an error if the dead letter topic does not exist. Server.mu must
// be held.
func (s *Server) checkDeadLetter(c *pb.Subscription) error {
	if name := c.GetDeadLetterPolicy().GetDeadLetterTopic(); name != "" && s.topics[name] == nil {
		return notFound(name)
	}
	return nil
}

func (r subscriber) GetSubscription(_ context.Context, q *pb.GetSubscriptionRequest) (*pb.Subscription, error) {
	b, err := r.s.findSubscription(q.GetSubscription())
	if err != nil {
		return nil, err
	}
	return b.config(), nil
}

func (r subscriber) UpdateSubscription(_ context.Context, q *pb.UpdateSubscriptionRequest) (*pb.Subscription, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	b := r.s.subs[q.GetSubscription().GetName()]
	if b == nil {
		return nil, notFound(q.GetSubscription().GetName())
	}

	c := proto.CloneOf(b.config())
	if err := mergeFields(c, q.GetSubscription(), q.GetUpdateMask(), "name", "topic", "filter", "enable_message_ordering", "state", "detached"); err != nil {
		return nil, err
	}

	c = withDefaults(c)
	if err := checkSubscription(c); err != nil {
		return nil, err
	}
	if err := r.s.checkDeadLetter(c); err != nil {
		return nil, err
	}

	return c, b.configure(c)
}

// ModifyPushConfig changes the endpoint of a subscription, or without one changes it to
// pull, at once. Pushes under way are finished.
func (r subscriber) ModifyPushConfig(_ context.Context, q *pb.ModifyPushConfigRequest) (*emptypb.Empty, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	b := r.s.subs[q.GetSubscription()]
	if b == nil {
		return nil, notFound(q.GetSubscription())
	}

	c := proto.CloneOf(b.config())
	c.PushConfig = q.GetPushConfig()
	c = withDefaults(c)
	if err := checkSubscription(c); err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, b.configure(c)
}

func (r subscriber) ListSubscriptions(_ context.Context, q *pb.ListSubscriptionsRequest) (*pb.ListSubscriptionsResponse, error) {
	r.s.mu.RLock()
	defer r.s.mu.RUnlock()
	names, next, err := pageOfNames(r.s.subs, q.GetProject()+"/subscriptions/", q.GetPageSize(), q.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &pb.ListSubscriptionsResponse{NextPageToken: next}
	for _, n := range names {
		out.Subscriptions = append(out.Subscriptions, r.s.subs[n].config())
	}
	return out, nil
}

// DeleteSubscription deletes a subscription with its messages. Pushes under way are
// finished and not repeated.
func (r subscriber) DeleteSubscription(_ context.Context, q *pb.DeleteSubscriptionRequest) (*emptypb.Empty, error) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	b := r.s.subs[q.GetSubscription()]
	if b == nil {
		return nil, notFound(q.GetSubscription())
	}
	r.s.detachLocked(b)
	delete(r.s.subs, q.GetSubscription())
	r.s.changes.Add(1)
	b.close()
	return &emptypb.Empty{}, nil
}

// pullWait is how long a pull waits for a first message. The service documents only that
// the time is limited.
const pullWait = time.Second

func (r subscriber) Pull(ctx context.Context, q *pb.PullRequest) (*pb.PullResponse, error) {
	if q.GetMaxMessages() <= 0 {
		return nil, status.Error(codes.InvalidArgument, "max_messages must be positive.")
	}
	b, err := r.s.findSubscription(q.GetSubscription())
	if err != nil {
		return nil, err
	}

	ctx, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	for {
		msgs, bell, err := b.leaseReady(int(q.GetMaxMessages()), nil)
		if err != nil {
			return nil, err
		}
		//lint:ignore SA1019 clients still send it
		if len(msgs) > 0 || q.GetReturnImmediately() {
			return &pb.PullResponse{ReceivedMessages: msgs}, nil
		}
		select {
		case <-bell:
		case <-ctx.Done():
			return &pb.PullResponse{}, nil
		}
	}
}

func (r subscriber) Acknowledge(_ context.Context, q *pb.AcknowledgeRequest) (*emptypb.Empty, error) {
	b, leases, err := r.findLeases(q.GetSubscription(), q.GetAckIds())
	if err != nil {
		return nil, err
	}
	b.acknowledge(leases)
	return &emptypb.Empty{}, nil
}

func (r subscriber) ModifyAckDeadline(_ context.Context, q *pb.ModifyAckDeadlineRequest) (*emptypb.Empty, error) {
	b, leases, err := r.findLeases(q.GetSubscription(), q.GetAckIds())
	if err != nil {
		return nil, err
	}
	if err := checkExtension(q.GetAckDeadlineSeconds()); err != nil {
		return nil, err
	}
	for _, id := range leases {
		b.extendLease(id, time.Duration(q.GetAckDeadlineSeconds())*time.Second)
	}
	return &emptypb.Empty{}, nil
}

func (r subscriber) findLeases(name string, ackIDs []string) (*subscription, []uint64, error) {
	b, err := r.s.findSubscription(name)
	if err != nil {
		return nil, nil, err
	}
	if len(ackIDs) == 0 {
		return nil, nil, status.Error(codes.InvalidArgument, "No ack ids specified.")
	}
	leases, err := parseLeases(ackIDs)
	return b, leases, err
}

// parseLeases reads ack ids. The id of a lease that has ended is not an error.
func parseLeases(ackIDs []string) ([]uint64, error) {
	out := make([]uint64, len(ackIDs))
	for i, a := range ackIDs {
		n, err := strconv.ParseUint(a, 36, 64)
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "You have passed an invalid ack ID to the service (ack_id=%.100s).", a)
		}
		out[i] = n
	}
	return out, nil
}

// Seek to a time drops the messages that were published before it.
func (r subscriber) Seek(_ context.Context, q *pb.SeekRequest) (*pb.SeekResponse, error) {
	if q.GetTime() == nil {
		return nil, status.Error(codes.Unimplemented, "seek to a snapshot is not implemented by this emulator")
	}
	b, err := r.s.findSubscription(q.GetSubscription())
	if err != nil {
		return nil, err
	}
	at := q.GetTime().AsTime()
	b.dropMatching(func(e *entry) bool { return e.msg.GetPublishTime().AsTime().Before(at) })
	return &pb.SeekResponse{}, nil
}
