package fcm

import (
	"net/http"
	"time"
)

// A RequestRecord is one request for a device and its outcome. Unlike a Message it also exists
// for refused requests, and says whether the sender can know the outcome.
type RequestRecord struct {
	At                       time.Time // of the decision
	Mailing, Customer, Token string    // data.mailing_id, data.customer_id; token or installation id
	Outcome                  string    // as in Stats.Outcomes
	Delivered                bool      // the message was delivered to the device
	Validated                bool      // validate_only, and the message is valid
	// Lost says that the sender of a delivered message does not know it: the answer
	// was an error, was lost with the connection, or came after the sender had
	// disconnected. Then the sender has to send the message again.
	Lost bool
}

// OnRequest makes the server call f at the end of every request for a device that could be
// decoded, from many goroutines. nil ends that. Requests under way call the function that is
// set when they end.
func (s *Server) OnRequest(f func(RequestRecord)) {
	if f == nil {
		s.onRequest.Store(nil)
		return
	}
	s.onRequest.Store(&f)
}

// reportRequest calls the function of OnRequest. It is deferred, so that it also runs
// when the handler panics to break a connection.
func (c *sendCall) reportRequest(r *http.Request) {
	f := c.server.onRequest.Load()
	m := c.message
	if f == nil || m == nil || !m.toDevice() {
		return
	}

	x := c.record
	if x.At.IsZero() {
		x.At = time.Now()
	}
	x.Mailing, x.Customer, x.Token = m.mailing, m.customer, m.address()
	x.Lost = x.Delivered && (!c.answered || r.Context().Err() != nil)
	(*f)(x)
}
