package pubsub

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/snapshot"
)

const (
	snapshotName    = "pubsub"
	snapshotVersion = 1
)

// Contents says how much a snapshot has. Messages counts a message once for each subscription
// that has not acknowledged it.
type Contents struct{ Topics, Subscriptions, Messages int }

// A savedLine is a line of a snapshot. One of its fields is set.
type savedLine struct {
	Topic          json.RawMessage `json:"topic,omitempty"`        // google.pubsub.v1.Topic
	Subscription   json.RawMessage `json:"subscription,omitempty"` // google.pubsub.v1.Subscription
	Unacknowledged *savedMessage   `json:"unacknowledged,omitempty"`
}

// A savedMessage is a message that a subscription has not acknowledged.
type savedMessage struct {
	Subscription string          `json:"subscription"`
	Message      json.RawMessage `json:"message"`           // google.pubsub.v1.PubsubMessage
	Attempts     int             `json:"attempts"`          // deliveries so far
	BackOff      string          `json:"backOff,omitempty"` // how long it waited last, as Go writes durations
	Due          *time.Time      `json:"due,omitempty"`     // when it is delivered again, or its lease ends; absent: at once
	AckID        string          `json:"ackId,omitempty"`   // of the puller who has it until Due
}

// Save writes the topics, the subscriptions and the messages that are not acknowledged, as they
// are at one moment. Options.Snapshot reads this, in a new server. Save may be called while the
// server runs, and between Stop and Close. A push that is under way counts as not made: it is
// made again. What SetChaos adds, the messages of Messages, and the volume of Usage are not saved.
// It fails only if w fails; then the snapshot is not complete.
//
// The form is text, of which each line is one JSON object. The first line and the last one are
// those of package snapshot. Each line between has one field: topic, subscription, or
// unacknowledged. Of each subscription, the messages that wait for their time come first, and the
// others are in the order of their delivery.
func (s *Server) Save(w io.Writer) (Contents, error) {
	topics, subs := s.copyState()
	c := Contents{Topics: len(topics), Subscriptions: len(subs)}

	out := snapshot.NewWriter(w, snapshotName, snapshotVersion, s.opt.Now())
	for _, t := range topics {
		if err := writeMessage(out, t, func(b []byte) savedLine { return savedLine{Topic: b} }); err != nil {
			return c, err
		}
	}
	for _, b := range subs {
		if err := writeMessage(out, b.conf, func(b []byte) savedLine { return savedLine{Subscription: b} }); err != nil {
			return c, err
		}
	}
	for _, b := range subs {
		for _, e := range b.entries {
			if err := writeMessage(out, e.msg, func(m []byte) savedLine { return e.savedLine(b.conf.GetName(), m) }); err != nil {
				return c, err
			}
		}
		c.Messages += len(b.entries)
	}

	return c, out.End()
}

// writeMessage writes a line that contains a protocol buffer as JSON.
func writeMessage(out *snapshot.Writer, m proto.Message, line func([]byte) savedLine) error {
	b, err := protojson.Marshal(m)
	if err != nil {
		return fmt.Errorf("encoding %T: %w", m, err)
	}
	return out.Write(line(b))
}

// A savedSubscription is a subscription at the time of a snapshot. The entries are copies.
type savedSubscription struct {
	conf    *pb.Subscription
	entries []entry
}

// copyState copies everything that is saved, sorted by name. Nothing is published meanwhile: a
// message is in the copies of all subscriptions of its topic, or in none.
func (s *Server) copyState() (topics []*pb.Topic, subs []savedSubscription) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, name := range slices.Sorted(maps.Keys(s.topics)) {
		topics = append(topics, s.topics[name].conf)
	}
	for _, name := range slices.Sorted(maps.Keys(s.subs)) {
		subs = append(subs, s.subs[name].copyEntries())
	}
	return topics, subs
}

// copyEntries copies the configuration and the entries. Those that wait for their time come first,
// then those that are being pushed, those that are ready, and those behind another one of their
// ordering key.
func (b *subscription) copyEntries() savedSubscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := slices.SortedFunc(slices.Values(b.waiting), func(x, y *entry) int { // includes the leased ones
		return cmp.Or(x.due.Compare(y.due), compareIDs(x, y))
	})
	all = append(all, slices.SortedFunc(maps.Keys(b.hands), compareIDs)...)
	all = append(all, b.ready.list()...)
	for _, key := range slices.Sorted(maps.Keys(b.keys)) {
		all = append(all, b.keys[key]...)
	}

	out := savedSubscription{conf: b.conf}
	for _, e := range all {
		if e.dropped || e.twin {
			continue
		}
		c := *e
		if b.hands[e] {
			c.attempt-- // its result is not known
		}
		if e.at < 0 {
			c.due = time.Time{} // of a wait that is over
		}
		out.entries = append(out.entries, c)
	}
	return out
}

// compareIDs orders entries by the ids of their messages, which grow.
func compareIDs(x, y *entry) int {
	a, b := x.msg.GetMessageId(), y.msg.GetMessageId()
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// savedLine returns the line of an entry, whose message is encoded.
func (e *entry) savedLine(subscription string, message []byte) savedLine {
	m := &savedMessage{Subscription: subscription, Message: message, Attempts: e.attempt}
	if e.waited > 0 {
		m.BackOff = e.waited.String()
	}
	if !e.due.IsZero() {
		due := e.due.UTC()
		m.Due = &due
	}
	if e.lease != 0 {
		m.AckID = strconv.FormatUint(e.lease, 36)
	}
	return savedLine{Unacknowledged: m}
}

// Changes returns a number that grows with every change of what Save writes. It begins at 0 when
// the snapshot is loaded.
func (s *Server) Changes() uint64 { return s.changes.Load() }

// Loaded returns what Options.Snapshot had.
func (s *Server) Loaded() Contents { return s.loaded }
