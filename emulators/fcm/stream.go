package fcm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// heartbeat is how often a quiet event stream says that it lives.
const heartbeat = 15 * time.Second

// getEvents streams what happens as server-sent events: the event's name is
// its kind, the data the Event, the id a message's sequence. What is ready is
// written together, so that thousands of events a second stay few writes.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	if err := params(r); err != nil {
		return err
	}
	events, cancel := s.Subscribe()
	defer cancel()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	out := http.NewResponseController(w)
	_, _ = fmt.Fprint(w, "retry: 1000\n: listening\n\n")
	_ = out.Flush() // a broken stream ends the request's context
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	var buf bytes.Buffer
	for {
		buf.Reset()
		select {
		case e, ok := <-events:
			if !ok {
				return nil
			}
			writeEvent(&buf, e)
			gather(&buf, events)
		case <-tick.C:
			buf.WriteString(": still here\n\n")
		case <-r.Context().Done():
			return nil
		}
		if _, err := w.Write(buf.Bytes()); err != nil {
			return nil
		}
		_ = out.Flush()
	}
}

// maxGather is how many bytes of events are written at once.
const maxGather = 64 << 10

// gather adds the events that are ready now.
func gather(buf *bytes.Buffer, events <-chan Event) {
	for buf.Len() < maxGather {
		select {
		case e, ok := <-events:
			if !ok {
				return
			}
			writeEvent(buf, e)
		default:
			return
		}
	}
}

func writeEvent(buf *bytes.Buffer, e Event) {
	data, err := json.Marshal(e) // compact, so on one line
	if err != nil {
		return // the parts of an Event cannot fail
	}
	fmt.Fprintf(buf, "event: %s\n", e.Kind)
	if e.Kind == EventAccepted {
		fmt.Fprintf(buf, "id: %d\n", e.Message.Sequence)
	}
	fmt.Fprintf(buf, "data: %s\n\n", data)
}
