package pubsub

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"
)

// Options are what a Server is told at its start; the zero value is the default.
type Options struct {
	// InFlight is how many pushes of a subscription are under way side by
	// side; 0: 64.
	InFlight int
	// InFlightOf is the same for subscriptions by their id, instead of InFlight.
	InFlightOf map[string]int
	// Client makes the pushes; nil: one that keeps its connections. Redirects
	// are never followed.
	Client *http.Client
	// Now is the clock of publish times; nil: time.Now. Waits are real time.
	Now func() time.Time
	// TimeScale is what back-offs are multiplied by; 0: 1. With 0.01 they are
	// a hundred times shorter.
	TimeScale float64
	// DeadlineScale is what ack deadlines are multiplied by; 0: 1. The service
	// allows none under 10 s, and this is how a test sees one pass.
	DeadlineScale float64
	// Keep is how many messages of each topic Messages remembers; 0: 10,000,
	// negative: none.
	Keep int
}

func (o Options) withDefaults() Options {
	if o.InFlight <= 0 {
		o.InFlight = 64
	}
	if o.TimeScale <= 0 {
		o.TimeScale = 1
	}
	if o.DeadlineScale <= 0 {
		o.DeadlineScale = 1
	}
	if o.Keep == 0 {
		o.Keep = 10_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}

	return o
}

// inFlight returns how many pushes of a subscription are under way side by side.
func (o Options) inFlight(subscription string) int {
	if n := o.InFlightOf[subscription[strings.LastIndexByte(subscription, '/')+1:]]; n > 0 {
		return n
	}
	return o.InFlight
}

// A Server is Pub/Sub, listening.
type Server struct {
	opt      Options
	listener net.Listener
	grpc     *grpc.Server
	client   *http.Client
	ctx      context.Context // of the pushes; ends with Close
	stop     context.CancelFunc
	pushes   sync.WaitGroup
	watchers watchers
	owed     owed
	usage    meter
	chaos    atomic.Pointer[Chaos]
	ids      atomic.Uint64

	mu     sync.RWMutex
	topics map[string]*topic
	subs   map[string]*subscription
}

// requestLimit is above the service's limit of 10 MB a publish request, so that
// the server refuses a larger one in its own words.
const requestLimit = 16 << 20

// Start listens on addr, host:port, where port 0 is any free one, and serves
// and pushes until Close.
func Start(addr string, o Options) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the Pub/Sub emulator on %s: %w", addr, err)
	}

	s := &Server{opt: o.withDefaults(), listener: l, topics: map[string]*topic{}, subs: map[string]*subscription{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.client = pushClient(s.opt)
	s.chaos.Store(&Chaos{})
	s.ids.Store(uint64(time.Now().UnixMicro())) // sixteen digits, as the service's
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(requestLimit), grpc.WaitForHandlers(true))
	pb.RegisterPublisherServer(s.grpc, publisher{s: s})
	pb.RegisterSubscriberServer(s.grpc, subscriber{s: s})
	go func() { _ = s.grpc.Serve(l) }() // ends with Close
	return s, nil
}

// pushClient never follows a redirect: to Pub/Sub it is an answer like any
// other that does not acknowledge.
func pushClient(o Options) *http.Client {
	c := &http.Client{}
	if o.Client != nil {
		*c = *o.Client
	} else {
		// Several subscriptions often push to one host.
		c.Transport = &http.Transport{MaxIdleConnsPerHost: 4 * o.InFlight, IdleConnTimeout: time.Minute, DisableCompression: true}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// Addr is host:port the server listens on: what PUBSUB_EMULATOR_HOST wants.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close ends the server at once: calls and pushes under way are broken off,
// and nothing is pushed once it has returned. It may be called again.
func (s *Server) Close() {
	s.stop()
	s.grpc.Stop()
	s.mu.RLock()
	for _, b := range s.subs {
		b.close()
	}
	s.mu.RUnlock()
	s.pushes.Wait()
	s.watchers.close()
	if s.opt.Client == nil {
		s.client.CloseIdleConnections()
	}
}

// Idle reports whether push subscriptions owe nothing: no message is
// undelivered, on its way, or waiting for its next attempt.
func (s *Server) Idle() bool { return s.owed.none() }

// WaitIdle returns when Idle would report true, or with an error that says how
// much is still owed when ctx ends first.
func (s *Server) WaitIdle(ctx context.Context) error { return s.owed.wait(ctx) }
