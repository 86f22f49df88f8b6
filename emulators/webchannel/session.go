package webchannel

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/transcode"
)

const (
	maxHeld = 1 << 20   // a channel with so many bytes of messages takes no more; the last message may exceed it
	maxPart = 256 << 10 // bytes of messages in one part of a response, if they are several
)

// A session is one channel: a stream and what its client has not received yet.
type session struct {
	input        *input
	done         context.Context // of the stream
	cancelStream context.CancelFunc

	// mu guards the fields below.
	mu           sync.Mutex
	out          queue
	streamEnded  bool          // nothing is added to out any more, except noop messages
	sessionEnded bool          // it gets no back channel any more
	back         *backChannel  // that is open, or nil
	changed      chan struct{} // closed when a field has changed
	idle         *time.Timer   // ends the session; it is stopped while a back channel is open
}

// change wakes all goroutines that wait for a change: it closes the channel changed and makes
// a new one. The caller holds mu.
func (s *session) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// receive passes the messages of the service to the client until the stream, or its context,
// ends.
func (s *session) receive(response proto.Message) {
	for {
		proto.Reset(response)
		if err := s.input.stream.RecvMsg(response); err != nil {
			s.endStream(err)
			return
		}
		value, err := protojson.Marshal(response)
		if err != nil {
			s.endStream(status.Errorf(codes.Internal, "A response has no JSON form: %v", err))
			return
		}
		if !s.add(value) {
			return
		}
	}
}

// add adds a message for the client once there is room for it. It returns false if the
// session has ended meanwhile.
func (s *session) add(value []byte) bool {
	for {
		s.mu.Lock()
		if s.streamEnded {
			s.mu.Unlock()
			return false
		}
		if s.out.size < maxHeld {
			s.out.add(value)
			s.change()
			s.mu.Unlock()
			return true
		}
		changed := s.changed
		s.mu.Unlock()

		select {
		case <-changed:
		case <-s.done.Done():
			return false
		}
	}
}

// endStream ends the stream and says why: with an error, or, after io.EOF, that the service has
// closed it. The session stays until its client has received this and ends it.
func (s *session) endStream(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streamEnded {
		return
	}
	s.streamEnded = true
	if errors.Is(err, io.EOF) {
		s.out.add([]byte(`"close"`))
	} else {
		s.out.add(transcode.ErrorBody(err))
	}
	s.change()
	s.cancelStream()
}

// confirm notes that the client has the messages up to a number. It returns false if the
// session has sent no such message.
func (s *session) confirm(number int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.out.confirm(number) {
		return false
	}
	s.change()
	return true
}

// state returns what a client wants to know after it has sent messages: whether a back
// channel is open, the number of the last message for it, and the bytes of the messages that
// it has not confirmed.
func (s *session) state() (open bool, last int64, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back != nil, s.out.last, s.out.size
}

// touch records a request of the client. If no back channel is open, the session ends when no
// other request comes for the time idle.
func (s *session) touch(idle time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back == nil {
		s.idle.Reset(idle)
	}
}

// endSession ends the session, its stream and its back channel.
func (s *session) endSession() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streamEnded, s.sessionEnded = true, true
	s.back = nil
	s.idle.Stop()
	s.change()
	s.cancelStream()
}
