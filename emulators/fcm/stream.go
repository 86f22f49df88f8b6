package fcm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// heartbeat is the time after which an event stream without events sends a comment, so
// that the connection stays open.
const heartbeat = 15 * time.Second

// getEvents sends events as server-sent events. The event name is the kind, the data is
// the Event, the id is the sequence of the message. Events that are ready are written
// together, so that thousands of events a second need few writes.
func (s *Server) getEvents(w http.ResponseWriter, r *http.Request) error {
	if err := checkParams(r); err != nil {
		return err
	}
	events, cancel := s.Subscribe()
	defer cancel()

	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")

	out := http.NewResponseController(w)
	_, _ = fmt.Fprint(w, "retry: 1000\n: listening\n\n")
	_ = out.Flush() // an error of the connection ends the context of the request

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
			appendReady(&buf, events)
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

// maxGather is the size of one write of events, in bytes.
const maxGather = 64 << 10

// appendReady appends the events that are ready now.
func appendReady(buf *bytes.Buffer, events <-chan Event) {
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
	data, err := json.Marshal(e) // one line, as the format requires
	if err != nil {
		return // cannot happen: an Event always marshals
	}
	fmt.Fprintf(buf, "event: %s\n", e.Kind)
	if e.Kind == EventAccepted {
		fmt.Fprintf(buf, "id: %d\n", e.Message.Sequence)
	}
	fmt.Fprintf(buf, "data: %s\n\n", data)
}
