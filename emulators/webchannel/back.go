package webchannel

import (
	"context"
	"net/http"
	"time"
)

// maxBack is the number of bytes after which a back channel ends. The next one confirms what
// the client has, which frees the memory of both sides.
const maxBack = maxHeld

// A backChannel is one response with messages to the client.
type backChannel struct {
	sent int64 // the number of the last message that was written
	size int   // bytes that were written
}

// serveBack serves a back channel: what the client has not confirmed, and then what comes.
func (h *Handler) serveBack(w http.ResponseWriter, r *http.Request, s *session) {
	q := r.URL.Query()
	received, err := confirm(s, q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	longest, err := numberOf(q, "TO", maxNumber)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}

	once := q.Get("CI") == "1"
	silence := h.options.KeepAlive
	if once && longest > 0 && longest < silence.Milliseconds() {
		silence = time.Duration(longest) * time.Millisecond
	}
	b := &backChannel{sent: received}
	if !s.attach(b) {
		unknownChannel(w)
		return
	}
	defer s.detach(b, h.options.Idle)
	if !once {
		s.greet(b)
	}

	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for b.size < maxBack {
		part := s.wait(r.Context(), b, silence)
		if part == nil || !h.writePart(w, part) || once {
			return
		}
	}
}

// writePart writes a part of a back channel. It returns false if the client has gone, or does
// not read.
func (h *Handler) writePart(w http.ResponseWriter, part []byte) bool {
	out := http.NewResponseController(w)
	// The errors say that the writer has no deadlines, or cannot flush. Those of a server can.
	_ = out.SetWriteDeadline(time.Now().Add(h.options.KeepAlive))
	if !write(w, part) {
		return false
	}
	_ = out.Flush()
	return true
}

// attach makes b the back channel. The one before it ends: its client has given it up. It
// returns false if the session has ended.
func (s *session) attach(b *backChannel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessionEnded {
		return false
	}
	s.back = b
	s.idle.Stop()
	s.change()
	return true
}

// detach notes that a back channel has ended. The channel ends if its client opens no other
// one for the time idle.
func (s *session) detach(b *backChannel, idle time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back == b {
		s.back = nil
		s.idle.Reset(idle)
	}
}

// greet adds a noop message if nothing else is to be sent on b: from the first bytes a client
// sees that nothing between it and the server holds a response back until its end.
func (s *session) greet(b *backChannel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.sent == s.out.last {
		s.out.add([]byte(`"noop"`))
	}
}

// wait returns the next part for b; after the time silence this is a noop message. It returns
// nil if b is not the back channel any more, or ctx is done.
func (s *session) wait(ctx context.Context, b *backChannel, silence time.Duration) []byte {
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	for {
		part, changed, open := s.take(b)
		if part != nil || !open {
			return part
		}
		select {
		case <-changed:
		case <-quiet.C:
			s.greet(b)
		case <-ctx.Done():
			return nil
		}
	}
}

// take returns the next part for b, or nil and what to wait for. It returns open = false if b
// is not the back channel any more.
func (s *session) take(b *backChannel) (part []byte, changed <-chan struct{}, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back != b {
		return nil, nil, false
	}
	part, b.sent = s.out.after(b.sent, maxPart)
	b.size += len(part)
	return part, s.changed, true
}
