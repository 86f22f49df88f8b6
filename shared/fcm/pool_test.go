package fcm

import (
	"testing"
	"time"

	emulated "carillon.example/emulators/fcm"
)

// TestAConnectionThatRefusesHidesNoOther: one that should have a free place, and keeps refusing,
// is asked once at a time. The others are asked, too.
func TestAConnectionThatRefusesHidesNoOther(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{MaxStreams: 10})
	s := newFastSender(t, Config{Endpoint: srv.URL()})
	open := func(inFlight int) *conn {
		t.Helper()
		cc, err := s.pool.dialer.NewClientConn(t.Context(), s.pool.scheme, s.pool.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cc.Close() })
		return &conn{cc: cc, limit: maxStreams, limitKnown: true, inFlight: inFlight}
	}

	refusing, other := open(1), open(2)
	for refusing.cc.Reserve() == nil { // until it has no place, without a request of ours
	}
	p := &pool{conns: []*conn{refusing, other}}
	now := time.Now()
	for i := range 3 {
		now = now.Add(refusingTime / 10)
		if c, soon := p.reserveConn(now); c != other {
			t.Errorf("round %d: the other connection was not asked (soon: %v)", i, soon)
		}
	}
}
