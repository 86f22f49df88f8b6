package pubsub

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"

	"carillon.example/emulators/connmux"
	"carillon.example/emulators/loopback"
	"carillon.example/emulators/transcode"
)

// Options configure a Server; the zero value is the default.
type Options struct {
	// InFlight is the number of concurrent pushes of a subscription; 0: 64.
	InFlight int
	// InFlightOf is the same for subscriptions by their id, instead of InFlight.
	InFlightOf map[string]int
	// Client sends the pushes; nil: one that reuses connections. Redirects are
	// never followed.
	Client *http.Client
	// Now is the clock of publish times; nil: time.Now. Waits use real time.
	Now func() time.Time
	// TimeScale multiplies back-offs; 0: 1. With 0.01 they are a hundred times
	// shorter.
	TimeScale float64
	// DeadlineScale multiplies ack deadlines; 0: 1. The service allows no deadline
	// below 10 s, so tests that wait for one need a scale.
	DeadlineScale float64
	// Keep is the number of messages of each topic that Messages returns; 0:
	// 10,000, negative: none.
	Keep int
	// Snapshot is what Save of another server wrote: the server starts with these topics,
	// subscriptions and messages. nil: it starts empty.
	Snapshot io.Reader
	// HoldPushes holds all pushes back until StartPushes, because the endpoints of a
	// snapshot may have moved.
	HoldPushes bool
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

// inFlight returns the number of concurrent pushes of a subscription.
func (o Options) inFlight(subscription string) int {
	if n := o.InFlightOf[subscription[strings.LastIndexByte(subscription, '/')+1:]]; n > 0 {
		return n
	}
	return o.InFlight
}

// A Server is a running Pub/Sub.
type Server struct {
	opt      Options
	listener *connmux.Mux
	grpc     *grpc.Server
	http     *http.Server
	rest     *grpc.ClientConn // to this server, for requests in the REST form
	client   *http.Client
	ctx      context.Context // context of the pushes; it ends with Close
	stop     context.CancelFunc
	pushes   sync.WaitGroup
	watchers watchers
	owed     pushBacklog
	usage    meter
	chaos    atomic.Pointer[Chaos]
	ids      atomic.Uint64
	changes  atomic.Uint64
	held     atomic.Bool // pushes wait for StartPushes
	loaded   Contents    // what Options.Snapshot had

	// publishing is read-locked by each publish, and locked while a snapshot copies the
	// messages.
	publishing sync.RWMutex

	mu     sync.RWMutex // guards topics and subs, and conf and subs of each topic
	topics map[string]*topic
	subs   map[string]*subscription
}

// requestLimit is above the limit of 10 MB for a publish request, so that the server
// refuses a larger request with the error of the service.
const requestLimit = 16 << 20

// Start listens on addr, host:port, and serves and pushes until Close. Port 0 is any free
// port. It fails when addr is in use, or when Snapshot is not complete.
func Start(addr string, o Options) (*Server, error) {
	s := newServer(o)
	if err := s.loadSnapshot(o.Snapshot); err != nil {
		return nil, fmt.Errorf("starting the Pub/Sub emulator: %w", err)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the Pub/Sub emulator on %s: %w", addr, err)
	}

	s.listener = connmux.New(l)
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(requestLimit), grpc.WaitForHandlers(true))
	pb.RegisterPublisherServer(s.grpc, publisher{s: s})
	pb.RegisterSubscriberServer(s.grpc, subscriber{s: s})
	if err := s.serveREST(); err != nil {
		l.Close()
		return nil, fmt.Errorf("starting the Pub/Sub emulator: %w", err)
	}
	s.resumeLoaded()
	// Both return after Close.
	go func() { _ = s.grpc.Serve(s.listener.GRPC) }()
	go func() { _ = s.http.Serve(s.listener.HTTP) }()
	go s.listener.AcceptConns()
	return s, nil
}

// newServer returns a server without a listener.
func newServer(o Options) *Server {
	s := &Server{opt: o.withDefaults(), topics: map[string]*topic{}, subs: map[string]*subscription{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.client = pushClient(s.opt)
	s.chaos.Store(&Chaos{})
	s.held.Store(o.HoldPushes)
	s.ids.Store(uint64(time.Now().UnixMicro())) // 16 digits, as in the service
	return s
}

// serveREST makes the HTTP server of the REST form of both services.
func (s *Server) serveREST() (err error) {
	if s.rest, err = transcode.Dial(s.Addr()); err != nil {
		return err
	}
	services := pb.File_google_pubsub_v1_pubsub_proto.Services()
	api, err := transcode.New(s.rest, requestLimit, services.ByName("Publisher"), services.ByName("Subscriber"))
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Ok") })
	mux.Handle("/v1/", api)
	s.http = &http.Server{Handler: loopback.ShareWithLocalPages(mux), ReadHeaderTimeout: 10 * time.Second}
	return nil
}

// pushClient returns a client that follows no redirect: for Pub/Sub a redirect is an answer
// that does not acknowledge.
func pushClient(o Options) *http.Client {
	c := &http.Client{}
	if o.Client != nil {
		*c = *o.Client
	} else {
		// Several subscriptions may push to the same host.
		c.Transport = &http.Transport{MaxIdleConnsPerHost: 4 * o.InFlight, IdleConnTimeout: time.Minute, DisableCompression: true}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// Addr returns host:port of the server, the value for PUBSUB_EMULATOR_HOST.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close stops the server at once, as Stop does, and drops all messages. It may be called again.
func (s *Server) Close() {
	s.Stop()
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, b := range s.subs {
		b.dropAll()
	}
}

// Stop stops the server at once. Calls and pushes under way are cancelled, and nothing is pushed
// after Stop has returned. The messages stay, so that Save can write them. It may be called
// again.
func (s *Server) Stop() {
	s.stop()
	s.listener.Close()
	s.rest.Close()
	s.http.Close()
	s.grpc.Stop()

	s.mu.RLock()
	for _, b := range s.subs {
		b.stop()
	}
	s.mu.RUnlock()

	s.pushes.Wait()
	s.watchers.close()
	if s.opt.Client == nil {
		s.client.CloseIdleConnections()
	}
}

// Idle reports whether push subscriptions have settled every message: none is undelivered,
// under way, or waiting for its next attempt.
func (s *Server) Idle() bool { return s.owed.none() }

// WaitIdle waits until Idle would report true. If ctx ends first, the error says how many
// messages are not settled.
func (s *Server) WaitIdle(ctx context.Context) error { return s.owed.wait(ctx) }
