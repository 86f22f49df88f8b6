// Package pubsub is Google Cloud Pub/Sub on a laptop: the in-memory server of
// its Go client (pstest), and what that lacks: a pump that pushes every
// subscription with a push endpoint to it, with the ack deadline, back-off and
// dead letter of the subscription.
//
// Differences from the service: an OIDC token asked for in the push
// configuration is an unsigned marker; subscriptions never expire; schemas are
// pstest's.
package pubsub

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
)

// Options are what a Server can be told; the zero value is the default.
type Options struct {
	InFlight  int              // pushes side by side per subscription; 0: 64
	Client    *http.Client     // of the pushes; nil: one that keeps InFlight connections
	Now       func() time.Time // nil: time.Now
	TimeScale float64          // back-offs are multiplied by it; 0: 1
}

// A Server is Pub/Sub, listening.
type Server struct {
	*watchers
	ps    *pstest.Server
	opt   Options
	stop  context.CancelFunc
	wg    sync.WaitGroup
	usage *meter

	mu    sync.Mutex
	pumps map[string]*pump
}

// Start listens on addr ("127.0.0.1:0" is any port) and pumps until Close.
func Start(addr string, o Options) (s *Server, err error) {
	// pstest panics where it cannot listen.
	defer func() {
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("listening on %s: %v", addr, r)
		}
	}()
	if o.InFlight <= 0 {
		o.InFlight = 64
	}
	if o.TimeScale <= 0 {
		o.TimeScale = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.InFlight, IdleConnTimeout: time.Minute}}
	}
	m := &meter{}
	ps := pstest.NewServerWithAddress(addr, pstest.ServerReactorOption{FuncName: "Publish", Reactor: m})
	ctx, stop := context.WithCancel(context.Background())
	s = &Server{watchers: &watchers{}, ps: ps, opt: o, stop: stop, usage: m, pumps: map[string]*pump{}}
	s.wg.Go(func() { s.watch(ctx) })
	return s, nil
}

// Addr is the address listened on: what PUBSUB_EMULATOR_HOST wants.
func (s *Server) Addr() string { return s.ps.Addr }

// Close ends the pushes and the server.
func (s *Server) Close() {
	s.stop()
	s.wg.Wait()
	s.ps.Close()
}

// watchEvery is how soon a new or changed subscription is noticed.
const watchEvery = 20 * time.Millisecond

// watch starts and ends pumps as subscriptions come, change and go.
func (s *Server) watch(ctx context.Context) {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		s.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

func (s *Server) look(ctx context.Context) {
	seen := map[string]bool{}
	for token := ""; ; {
		res, err := s.ps.GServer.ListSubscriptions(ctx, &pb.ListSubscriptionsRequest{PageToken: token, PageSize: 500})
		if err != nil {
			return
		}
		for _, sub := range res.GetSubscriptions() {
			if sub.GetPushConfig().GetPushEndpoint() != "" {
				seen[sub.GetName()] = true
				s.run(ctx, sub.GetName())
			}
		}
		if token = res.GetNextPageToken(); token == "" {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, p := range s.pumps {
		if !seen[name] {
			p.stop()
			delete(s.pumps, name)
		}
	}
}

func (s *Server) run(ctx context.Context, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pumps[name] != nil {
		return
	}
	pctx, stop := context.WithCancel(ctx)
	p := &pump{s: s, name: name, stop: stop, slots: make(chan struct{}, s.opt.InFlight)}
	s.pumps[name] = p
	s.wg.Go(func() { p.loop(pctx) })
}

// Idle reports whether no push subscription has anything to deliver.
func (s *Server) Idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pumps {
		if p.busy.Load() > 0 {
			return false
		}
	}
	return true
}

// A meter counts what was published, as billed: at least 1 kB a request.
type meter struct {
	mu sync.Mutex
	u  Usage
}

// Usage is what would be billed.
type Usage struct {
	Messages int64 `json:"messages"` // published
	Bytes    int64 `json:"bytes"`    // of publish requests, each at least 1,000
}

// React counts a publish request and leaves it to the server.
func (m *meter) React(req any) (bool, any, error) {
	r, ok := req.(*pb.PublishRequest)
	if !ok {
		return false, nil, nil
	}
	var n int64
	for _, x := range r.GetMessages() {
		n += int64(len(x.GetData()))
		for k, v := range x.GetAttributes() {
			n += int64(len(k) + len(v))
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.u.Messages += int64(len(r.GetMessages()))
	m.u.Bytes += max(n, 1000)
	return false, nil, nil
}

// Usage is what has been published so far.
func (s *Server) Usage() Usage {
	s.usage.mu.Lock()
	defer s.usage.mu.Unlock()
	return s.usage.u
}
