package fcm

import (
	"net/http"
	"time"
)

// A Sighting is one request for a device and what came of it: unlike a Message
// it is there for refused ones, too, and says whether the sender can know.
type Sighting struct {
	At                       time.Time // of the decision
	Mailing, Customer, Token string    // data.mailing_id, data.customer_id; token or installation id
	Outcome                  string    // as in Stats.Outcomes
	Delivered                bool      // the device got the message
	Validated                bool      // it was only to be validated, and is good
	// Lost says of a delivered message that its sender was not told: the answer
	// was another one, or was lost with the connection, or came after the
	// sender had left. Who sends it again then has no better choice.
	Lost bool
}

// SetWitness has f told of every request for a device that could be read, at
// its end, from many goroutines; nil ends it. Requests under way tell the
// witness of the moment they end.
func (s *Server) SetWitness(f func(Sighting)) {
	if f == nil {
		s.witness.Store(nil)
		return
	}
	s.witness.Store(&f)
}

// testify is deferred, so that broken connections are told as well.
func (c *sendCall) testify(r *http.Request) {
	f := c.server.witness.Load()
	m := c.message
	if f == nil || m == nil || !m.toDevice() {
		return
	}
	x := c.seen
	if x.At.IsZero() {
		x.At = time.Now()
	}
	x.Mailing, x.Customer, x.Token = m.mailing, m.customer, m.address()
	x.Lost = x.Delivered && (!c.told || r.Context().Err() != nil)
	(*f)(x)
}
