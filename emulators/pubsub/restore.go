package pubsub

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"carillon.example/emulators/snapshot"
)

// loadSnapshot reads a snapshot into a server that nobody uses yet; nil is an empty one. Nothing
// is delivered before resumeLoaded. If it fails, the server has a part of the snapshot and must
// not be used.
func (s *Server) loadSnapshot(r io.Reader) error {
	if r == nil {
		return nil
	}
	in, err := snapshot.NewReader(r, snapshotName, snapshotVersion)
	if err != nil {
		return err
	}

	err = in.Each(func(line []byte) error {
		if err := s.loadLine(line); err != nil {
			return errors.New(status.Convert(err).Message())
		}
		return nil
	})
	if err != nil {
		return err
	}

	s.loaded.Topics, s.loaded.Subscriptions = len(s.topics), len(s.subs)
	s.changes.Store(0)
	return nil
}

// loadLine loads a topic, a subscription or a message.
func (s *Server) loadLine(text []byte) error {
	var l savedLine
	if err := snapshot.Decode(text, &l); err != nil {
		return err
	}
	switch {
	case l.Topic != nil:
		return s.loadTopic(l.Topic)
	case l.Subscription != nil:
		return s.loadSubscription(l.Subscription)
	case l.Unacknowledged != nil:
		s.loaded.Messages++
		return s.loadMessage(l.Unacknowledged)
	}
	return errors.New("it is no topic, no subscription and no message")
}

func (s *Server) loadTopic(text []byte) error {
	t := &pb.Topic{}
	if err := protojson.Unmarshal(text, t); err != nil {
		return err
	}
	if err := checkTopic(t); err != nil {
		return err
	}
	return s.addTopic(t)
}

func (s *Server) loadSubscription(text []byte) error {
	c := &pb.Subscription{}
	if err := protojson.Unmarshal(text, c); err != nil {
		return err
	}
	c = withDefaults(c)
	if err := checkSubscription(c); err != nil {
		return err
	}

	if s.subs[c.GetName()] != nil {
		return alreadyExists(c.GetName())
	}
	t := s.topics[c.GetTopic()]
	if t == nil && c.GetTopic() != deletedTopic {
		return notFound(c.GetTopic())
	}
	b, err := newSubscription(s, c)
	if err != nil {
		return err
	}

	s.subs[b.name] = b
	if t != nil && !c.GetDetached() {
		t.subs = append(slices.Clone(t.subs), b)
	}
	return nil
}

// loadMessage adds a message to the entries of its subscription.
func (s *Server) loadMessage(m *savedMessage) error {
	b := s.subs[m.Subscription]
	if b == nil {
		return notFound(m.Subscription)
	}
	e, err := newEntry(m)
	if err != nil {
		return err
	}
	if id, err := strconv.ParseUint(e.msg.GetMessageId(), 10, 64); err == nil && id > s.ids.Load() {
		s.ids.Store(id) // the clock, from which ids start, may have gone back
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	if e.lease != 0 && (b.endpoint != nil || b.leased[e.lease] != nil) {
		return fmt.Errorf("the ack id %s is not possible here", m.AckID)
	}
	b.addCountLocked(1)
	if !b.queueBehindLocked(e) {
		b.placeLocked(e)
	}
	return nil
}

// newEntry returns the entry that a line describes.
func newEntry(m *savedMessage) (e *entry, err error) {
	e = &entry{msg: &pb.PubsubMessage{}, attempt: m.Attempts, at: -1}
	if err := protojson.Unmarshal(m.Message, e.msg); err != nil {
		return nil, err
	}
	if m.BackOff != "" {
		if e.waited, err = time.ParseDuration(m.BackOff); err != nil {
			return nil, fmt.Errorf("backOff: %w", err)
		}
	}
	if m.Due != nil {
		e.due = *m.Due
	}
	if m.AckID == "" {
		return e, nil
	}

	if m.Due == nil {
		return nil, errors.New("a message with an ackId has no due")
	}
	if e.lease, err = strconv.ParseUint(m.AckID, 36, 64); err != nil || e.lease == 0 {
		return nil, fmt.Errorf("the ack id %q is not valid", m.AckID)
	}
	return e, nil
}

// placeLocked makes an entry of a snapshot ready, or lets it wait for its time, without the
// timer.
func (b *subscription) placeLocked(e *entry) {
	if e.due.IsZero() {
		b.ready.push(e)
		return
	}
	heap.Push(&b.waiting, e)
	if e.lease != 0 {
		b.leased[e.lease] = e
	}
}

// resumeLoaded lets the loaded subscriptions deliver their messages. All of them must be there: a
// dead letter must find every subscription of its topic.
func (s *Server) resumeLoaded() {
	for _, b := range s.subs {
		b.mu.Lock()
		for id := range b.leased {
			b.lease = max(b.lease, id)
		}
		b.setTimerLocked()
		b.wakeLocked()
		b.mu.Unlock()
	}
}

// StartPushes begins to push if Options.HoldPushes holds pushes back.
func (s *Server) StartPushes() {
	s.held.Store(false)
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, b := range s.subs {
		b.mu.Lock()
		b.wakeLocked()
		b.mu.Unlock()
	}
}
