package fcm

import (
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// Message is a message that the server has accepted.
type Message struct {
	Sequence     uint64    `json:"sequence"` // counts accepted messages from 1
	ID           string    `json:"id"`       // projects/P/messages/M, as in the answer to the sender
	Project      string    `json:"project"`
	Token        string    `json:"token,omitempty"`
	FID          string    `json:"fid,omitempty"`
	Topic        string    `json:"topic,omitempty"` // without /topics/
	Condition    string    `json:"condition,omitempty"`
	MailingID    string    `json:"mailingId,omitempty"`  // data.mailing_id
	CustomerID   string    `json:"customerId,omitempty"` // data.customer_id
	ReceivedAt   time.Time `json:"receivedAt"`
	ValidateOnly bool      `json:"validateOnly,omitempty"` // set only in events: messages with validate_only are not stored
	// NotificationsOff says that the phone does not show notifications: the message
	// was accepted and not shown.
	NotificationsOff bool            `json:"notificationsOff,omitempty"`
	Raw              json.RawMessage `json:"message"` // the message object as it was sent
}

// Filter selects messages; an empty field selects all.
type Filter struct {
	// Token is a token or installation id, exact or with *.
	Token string
	// Mailing and Customer are data.mailing_id and data.customer_id.
	Mailing, Customer string
	// Text is searched for in the names and values of the message, ignoring case.
	Text string
	// Before selects messages with a smaller Sequence, to read the next page of older
	// messages; 0: no limit.
	Before uint64
	// Limit is the largest number of messages to return, the newest ones; 0: no limit.
	Limit int
}

// A storedMessage is a message in memory. Its strings share the memory of the
// request's text. After add it does not change.
type storedMessage struct {
	sequence          uint64
	at                time.Time
	project, id       string
	target, address   string
	mailing, customer string
	raw               string
	hidden            bool // the phone has notifications off
}

func (k *storedMessage) toMessage() Message {
	m := Message{
		Sequence: k.sequence, ID: k.id, Project: k.project, MailingID: k.mailing, CustomerID: k.customer,
		ReceivedAt: k.at, NotificationsOff: k.hidden,
	}
	if k.raw != "" {
		m.Raw = json.RawMessage(k.raw)
	}

	switch k.target {
	case "token":
		m.Token = k.address
	case "fid":
		m.FID = k.address
	case "topic":
		m.Topic = strings.TrimPrefix(k.address, "/topics/")
	case "condition":
		m.Condition = k.address
	}

	return m
}

// memory has the newest messages, in a ring that grows up to its size.
type memory struct {
	mu    sync.Mutex // guards all fields
	ring  []*storedMessage
	next  int    // index of the oldest message, which the next one replaces; 0 until the ring is full
	size  int    // how many messages the ring holds
	total uint64 // the last sequence number; clear keeps it, so that none is used twice
}

// add stores a message and sets its sequence number.
func (m *memory) add(k *storedMessage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.total++
	k.sequence = m.total
	if len(m.ring) < m.size {
		m.ring = append(m.ring, k)
		return
	}
	m.ring[m.next] = k
	m.next = (m.next + 1) % m.size
}

// resize changes the number of messages that are stored. The newest ones stay.
func (m *memory) resize(size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if size == m.size {
		return
	}
	all := m.inOrderLocked()
	m.ring, m.next, m.size = append([]*storedMessage(nil), all[max(0, len(all)-size):]...), 0, size
}

func (m *memory) clear() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ring, m.next = nil, 0
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.ring)
}

// inOrderLocked returns a copy of the ring, oldest first.
func (m *memory) inOrderLocked() []*storedMessage {
	out := make([]*storedMessage, 0, len(m.ring))
	return append(append(out, m.ring[m.next:]...), m.ring[:m.next]...)
}

// find returns the messages that match a filter, oldest first.
func (m *memory) find(f Filter) []*storedMessage {
	m.mu.Lock() // only for the copy: stored messages do not change
	all := m.inOrderLocked()
	m.mu.Unlock()
	f.Text = strings.ToLower(f.Text)
	start := len(all) // all[start:] holds the messages that match so far
	for i := len(all) - 1; i >= 0; i-- {
		if f.Limit > 0 && len(all)-start == f.Limit {
			break
		}
		if f.selects(all[i]) {
			start--
			all[start] = all[i]
		}
	}

	return all[start:]
}

func (f *Filter) selects(k *storedMessage) bool {
	return (f.Before == 0 || k.sequence < f.Before) &&
		(f.Token == "" || (k.target == "token" || k.target == "fid") && matchesPattern(f.Token, k.address)) &&
		(f.Mailing == "" || f.Mailing == k.mailing) &&
		(f.Customer == "" || f.Customer == k.customer) &&
		(f.Text == "" || strings.Contains(strings.ToLower(resolveEscapes(k.raw)), f.Text))
}

// resolveEscapes decodes the escapes in a JSON text, so that a search finds a text whether
// or not the sender escaped its characters.
func resolveEscapes(raw string) string {
	if !strings.Contains(raw, `\`) {
		return raw
	}
	var b strings.Builder
	s := scanner{text: raw}
	for s.pos < len(raw) && s.err == nil {
		if raw[s.pos] == '\\' {
			s.takeEscape(&b)
			continue
		}
		b.WriteByte(raw[s.pos])
		s.pos++
	}

	return b.String()
}
