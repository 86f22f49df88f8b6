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
	"google.golang.org/protobuf/types/known/timestamppb"
)

// publisher is the gRPC service Publisher. Methods that it lacks answer UNIMPLEMENTED.
type publisher struct {
	pb.UnimplementedPublisherServer
	s *Server
}

// A topic passes messages to its subscriptions and does not keep them.
type topic struct {
	conf   *pb.Topic       // replaced as a whole and never changed; guarded by Server.mu
	subs   []*subscription // the same
	memory memory
}

// deletedTopic is the topic name of a subscription whose topic was deleted.
const deletedTopic = "_deleted-topic_"

func (s *Server) findTopic(name string) (*topic, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if t := s.topics[name]; t != nil {
		return t, nil
	}
	return nil, notFound(name)
}

func notFound(name string) error {
	return status.Errorf(codes.NotFound, "Resource not found (resource=%s).", name)
}

func alreadyExists(name string) error {
	return status.Errorf(codes.AlreadyExists, "Resource already exists in the project (resource=%s).", name)
}

func (p publisher) CreateTopic(_ context.Context, t *pb.Topic) (*pb.Topic, error) {
	if err := checkTopic(t); err != nil {
		return nil, err
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	t.State = pb.Topic_ACTIVE
	return t, p.s.addTopic(t)
}

// addTopic adds a topic that does not exist. s.mu must be held, unless the server is not in use
// yet.
func (s *Server) addTopic(t *pb.Topic) error {
	if s.topics[t.GetName()] != nil {
		return alreadyExists(t.GetName())
	}
	s.topics[t.GetName()] = &topic{conf: t, memory: memory{keep: s.opt.Keep}}
	s.changes.Add(1)
	return nil
}

func (p publisher) UpdateTopic(_ context.Context, r *pb.UpdateTopicRequest) (*pb.Topic, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	t := p.s.topics[r.GetTopic().GetName()]
	if t == nil {
		return nil, notFound(r.GetTopic().GetName())
	}

	conf := proto.CloneOf(t.conf)
	if err := mergeFields(conf, r.GetTopic(), r.GetUpdateMask(), "name", "state"); err != nil {
		return nil, err
	}
	if err := checkTopic(conf); err != nil {
		return nil, err
	}

	t.conf = conf
	p.s.changes.Add(1)
	return conf, nil
}

func (p publisher) GetTopic(_ context.Context, r *pb.GetTopicRequest) (*pb.Topic, error) {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	if t := p.s.topics[r.GetTopic()]; t != nil {
		return t.conf, nil
	}
	return nil, notFound(r.GetTopic())
}

func (p publisher) ListTopics(_ context.Context, r *pb.ListTopicsRequest) (*pb.ListTopicsResponse, error) {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	names, next, err := pageOfNames(p.s.topics, r.GetProject()+"/topics/", r.GetPageSize(), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	out := &pb.ListTopicsResponse{NextPageToken: next}
	for _, n := range names {
		out.Topics = append(out.Topics, p.s.topics[n].conf)
	}
	return out, nil
}

func (p publisher) ListTopicSubscriptions(_ context.Context, r *pb.ListTopicSubscriptionsRequest) (*pb.ListTopicSubscriptionsResponse, error) {
	p.s.mu.RLock()
	defer p.s.mu.RUnlock()
	t := p.s.topics[r.GetTopic()]
	if t == nil {
		return nil, notFound(r.GetTopic())
	}

	of := map[string]*subscription{}
	for _, b := range t.subs {
		of[b.name] = b
	}

	names, next, err := pageOfNames(of, "", r.GetPageSize(), r.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &pb.ListTopicSubscriptionsResponse{Subscriptions: names, NextPageToken: next}, nil
}

// DeleteTopic deletes a topic. Its subscriptions keep their messages.
func (p publisher) DeleteTopic(_ context.Context, r *pb.DeleteTopicRequest) (*emptypb.Empty, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	t := p.s.topics[r.GetTopic()]
	if t == nil {
		return nil, notFound(r.GetTopic())
	}
	delete(p.s.topics, r.GetTopic())
	p.s.changes.Add(1)
	for _, b := range t.subs {
		b.updateConfig(func(c *pb.Subscription) { c.Topic = deletedTopic })
	}
	return &emptypb.Empty{}, nil
}

// DetachSubscription detaches a subscription from its topic and drops its messages.
func (p publisher) DetachSubscription(_ context.Context, r *pb.DetachSubscriptionRequest) (*pb.DetachSubscriptionResponse, error) {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	b := p.s.subs[r.GetSubscription()]
	if b == nil {
		return nil, notFound(r.GetSubscription())
	}
	p.s.detachLocked(b)
	b.updateConfig(func(c *pb.Subscription) { c.Detached = true })
	b.dropAll()
	return &pb.DetachSubscriptionResponse{}, nil
}

// detachLocked removes a subscription from its topic. s.mu must be held.
func (s *Server) detachLocked(b *subscription) {
	if t := s.topics[b.config().GetTopic()]; t != nil {
		t.subs = slices.DeleteFunc(slices.Clone(t.subs), func(x *subscription) bool { return x == b })
	}
}

func (p publisher) Publish(_ context.Context, r *pb.PublishRequest) (*pb.PublishResponse, error) {
	if err := checkPublish(r); err != nil {
		return nil, err
	}
	if err := p.s.publishMessages(r.GetTopic(), r.GetMessages()); err != nil {
		return nil, err
	}
	out := &pb.PublishResponse{MessageIds: make([]string, len(r.GetMessages()))}
	for i, m := range r.GetMessages() {
		out.MessageIds[i] = m.GetMessageId()
	}
	return out, nil
}

// publishMessages gives the messages their ids and the time, and passes them to the
// subscriptions, which share them. They must not be changed afterwards.
func (s *Server) publishMessages(topic string, msgs []*pb.PubsubMessage) error {
	s.mu.RLock()
	t := s.topics[topic]
	if t == nil {
		s.mu.RUnlock()
		return notFound(topic)
	}

	subs := t.subs
	s.mu.RUnlock()
	at := timestamppb.New(s.opt.Now().Truncate(time.Millisecond)) // the precision of the service
	bytes := 0
	for _, m := range msgs {
		m.MessageId = strconv.FormatUint(s.ids.Add(1), 10)
		m.PublishTime = at
		bytes += billedBytes(m)
	}

	s.usage.countPublished(len(msgs), bytes)
	t.memory.add(msgs)
	s.owed.add(1) // so that the server is not idle between two subscriptions
	defer s.owed.add(-1)
	s.publishing.RLock()
	defer s.publishing.RUnlock()
	for _, b := range subs {
		b.enqueue(msgs)
	}

	return nil
}
