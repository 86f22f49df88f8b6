package chaos

import (
	"strings"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

// A sendLog records what the servers saw, outside of the functions: the batches that
// were committed, FCM's requests by token, and the writes of batches that failed or
// whose answers were lost.
type sendLog struct {
	mu       sync.Mutex             // guards the fields below
	mailings map[string]*mailingLog // by mailing
	closed   map[string]bool        // mailings that were checked: no request may follow
	late     []string               // requests that followed nevertheless
}

// A mailingLog is the part of the sendLog for one mailing or message.
type mailingLog struct {
	batches map[string]*committedBatch
	tokens  map[tokenKey]*tokenLog
}

// A tokenKey is a token of a customer. A token that moves to another customer during
// a mailing may get the message for both.
type tokenKey struct{ customer, token string }

// A committedBatch is a batch as dispatch committed it.
type committedBatch struct {
	createdAt time.Time
	targets   []push.Target
	faults    []time.Time // injected: writes to it that failed or whose answer was lost
}

// A tokenLog is what FCM saw of one token of one customer in one mailing.
type tokenLog struct {
	accepted     []acceptedSend
	validated    int
	unregistered int // UNREGISTERED answers
}

// An acceptedSend is a message that FCM accepted.
type acceptedSend struct {
	at           time.Time
	answerLostAt time.Time // when deliver could no longer get the answer; zero: it got the answer
}

func newSendLog() *sendLog {
	return &sendLog{mailings: map[string]*mailingLog{}, closed: map[string]bool{}}
}

// mailingOf returns the log of a mailing, and makes it if it does not exist. The
// caller holds l.mu.
func (l *sendLog) mailingOf(mailing string) *mailingLog {
	b := l.mailings[mailing]
	if b == nil {
		b = &mailingLog{batches: map[string]*committedBatch{}, tokens: map[tokenKey]*tokenLog{}}
		l.mailings[mailing] = b
	}
	return b
}

// recordRequest records a request that FCM has answered or broken off.
func (l *sendLog) recordRequest(x fcm.RequestRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed[x.Mailing] {
		l.late = append(l.late, "mailing "+x.Mailing+": "+x.Outcome+" for customer "+x.Customer+" after its end")
		return
	}

	b, k := l.mailingOf(x.Mailing), tokenKey{x.Customer, x.Token}
	s := b.tokens[k]
	if s == nil {
		s = &tokenLog{}
		b.tokens[k] = s
	}

	switch {
	case x.Delivered:
		s.accepted = append(s.accepted, acceptedSend{at: x.At, answerLostAt: lostAt(x)})
	case x.Validated:
		s.validated++
	case x.Outcome == push.CodeUnregistered:
		s.unregistered++
	}
}

// lostAt returns the time from which deliver cannot get the answer, zero if the
// answer was not lost. FCM reports a request when the request has ended, so this is
// now.
func lostAt(x fcm.RequestRecord) time.Time {
	if !x.Lost {
		return time.Time{}
	}
	return time.Now()
}

// recordBatches records the batches that a commit created.
func (l *sendLog) recordBatches(req proto.Message) {
	c, ok := req.(*pb.CommitRequest)
	if !ok {
		return
	}

	for _, w := range c.GetWrites() {
		ref, ok := parseBatchName(w.GetUpdate().GetName())
		if !ok || w.GetCurrentDocument().GetConditionType() == nil || w.GetUpdateMask() != nil {
			continue
		}
		if e, ok := w.GetCurrentDocument().GetConditionType().(*pb.Precondition_Exists); !ok || e.Exists {
			continue
		}
		f := w.GetUpdate().GetFields()
		if ref.Batch == messageBatch {
			l.mu.Lock()
			l.mailingOf(ref.Mailing).batches[ref.Batch] = &committedBatch{createdAt: time.Now()}
			l.mu.Unlock()
			continue
		}
		targets, err := push.DecodeTargets(f["targets"].GetBytesValue())
		if err != nil {
			continue // the check of the batch reports the missing targets
		}
		l.mu.Lock()
		l.mailingOf(ref.Mailing).batches[ref.Batch] = &committedBatch{createdAt: f["createdAt"].GetTimestampValue().AsTime().Truncate(time.Microsecond), targets: targets}
		l.mu.Unlock()
	}
}

// recordFault records a fault that was injected into a commit that writes batches.
func (l *sendLog) recordFault(req proto.Message) {
	c, ok := req.(*pb.CommitRequest)
	if !ok {
		return
	}

	for _, w := range c.GetWrites() {
		ref, ok := parseBatchName(w.GetUpdate().GetName())
		if !ok {
			continue
		}
		l.mu.Lock()
		if b := l.mailingOf(ref.Mailing).batches[ref.Batch]; b != nil {
			b.faults = append(b.faults, time.Now())
		}
		l.mu.Unlock()
	}
}

// parseBatchName reads .../documents/mailings/{id}/batches/{id}. It reads
// .../documents/messages/{id} as the only batch of a message.
func parseBatchName(name string) (push.BatchRef, bool) {
	if _, id, ok := strings.Cut(name, "/documents/messages/"); ok {
		return push.BatchRef{Mailing: id, Batch: messageBatch}, true
	}
	_, path, ok := strings.Cut(name, "/documents/mailings/")
	parts := strings.Split(path, "/")
	if !ok || len(parts) != 3 || parts[1] != "batches" {
		return push.BatchRef{}, false
	}
	return push.BatchRef{Mailing: parts[0], Batch: parts[2]}, true
}

// closeMailing removes the log of a mailing and returns it. From then on every
// request for the mailing is unexpected.
func (l *sendLog) closeMailing(mailing string) *mailingLog {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.mailingOf(mailing)
	delete(l.mailings, mailing)
	l.closed[mailing] = true
	return b
}

// unexpectedRequests describes requests after the end of a mailing, and requests for
// mailings that the run did not submit.
func (l *sendLog) unexpectedRequests() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := l.late
	for id, b := range l.mailings {
		if len(b.tokens) > 0 {
			out = append(out, "FCM was asked for mailing "+id+", which the run did not submit")
		}
	}
	return out
}
