package fcm

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"carillon.example/emulators/loopback"
)

// A Server is a running emulator.
type Server struct {
	listener net.Listener
	http     *http.Server
	pool     *x509.CertPool // nil without TLS
	client   *http.Client
	life     context.Context // ends with Close
	end      context.CancelFunc

	policy    atomic.Pointer[policy]
	rules     rules
	phones    phones
	quotas    quotas
	memory    memory
	counts    counts
	readers   readers
	onRequest atomic.Pointer[func(RequestRecord)]
	topics    topics

	installations installations
	ids           uint64 // seed of message ids, so that two servers give different ids
}

// idleTimeout is the time after which FCM sends GOAWAY to an idle connection.
const idleTimeout = 4 * time.Minute

// Start listens on addr, host:port, and serves until Close. Port 0 is any free port.
func Start(addr string, o Options) (*Server, error) {
	settings := o.settings()
	if f := settings.check(); len(f) > 0 {
		return nil, fmt.Errorf("starting the FCM emulator: %w", f)
	}
	if o.MaxStreams < 0 {
		return nil, errors.New("starting the FCM emulator: MaxStreams must not be negative")
	}

	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the FCM emulator on %s: %w", addr, err)
	}

	s := &Server{listener: l, ids: mixBits(uint64(time.Now().UnixNano()))}
	s.life, s.end = context.WithCancel(context.Background())
	s.counts.reset()
	s.applySettings(settings)
	if err := s.startServing(o); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("starting the FCM emulator on %s: %w", addr, err)
	}

	return s, nil
}

// startServing creates the HTTP server and its client, and starts to serve.
func (s *Server) startServing(o Options) error {
	if o.MaxStreams == 0 {
		o.MaxStreams = DefaultMaxStreams
	}
	s.http = &http.Server{
		Handler: loopback.Protect(s.rootHandler()), IdleTimeout: idleTimeout, ReadHeaderTimeout: time.Minute,
		HTTP2:       &http.HTTP2Config{MaxConcurrentStreams: o.MaxStreams},
		Protocols:   &http.Protocols{},
		ConnContext: newConnection, ConnState: s.countConnection,
		ErrorLog: silent,
	}

	p := s.http.Protocols
	p.SetHTTP1(true)
	l := s.listener

	transport := &http.Transport{Protocols: &http.Protocols{}}
	if o.TLS {
		cert, pool, err := throwAwayCertificate(l.Addr())
		if err != nil {
			return err
		}
		p.SetHTTP2(true)
		s.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		s.pool = pool
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
		transport.Protocols.SetHTTP2(true)
		go func() { _ = s.http.ServeTLS(l, "", "") }() // ends with Close
	} else {
		p.SetUnencryptedHTTP2(true)
		transport.Protocols.SetUnencryptedHTTP2(true)
		go func() { _ = s.http.Serve(l) }()
	}

	s.client = &http.Client{Transport: transport}
	return nil
}

// Addr returns host:port of the server.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// URL returns http://host:port, with TLS https://host:port.
func (s *Server) URL() string {
	if s.pool != nil {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// Handler answers all paths of the server, to serve them on another listener or to call
// them without a network. Outcomes that break connections break the connection of that
// listener.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Client returns an HTTP/2 client that trusts the certificate of the server. Without TLS it
// uses HTTP/2 with prior knowledge.
func (s *Server) Client() *http.Client { return s.client }

// CertPool has the certificate of the server; nil without TLS.
func (s *Server) CertPool() *x509.CertPool { return s.pool }

// CertificatePEM returns the certificate of the server in PEM, for clients that read it
// from a file; nil without TLS.
func (s *Server) CertificatePEM() []byte {
	if s.pool == nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.TLSConfig.Certificates[0].Certificate[0]})
}

// Close stops the server at once. It breaks connections and ends requests and event
// streams. It may be called again.
func (s *Server) Close() {
	s.end()
	_ = s.http.Close() // the only error is that the listener was closed before
	s.client.CloseIdleConnections()
}

// SetOutcome sets the outcome of sends to a token, exact or a pattern with *. It panics on
// an unknown outcome, which is a mistake in the caller's code. SetOutcomes returns an error
// instead.
func (s *Server) SetOutcome(token, outcome string) {
	if err := s.SetOutcomes(Outcome{Token: token, Outcome: outcome}); err != nil {
		panic("fcm: " + err.Error())
	}
}

// SetOutcomes adds rules. If one of them has a fault, it adds none and returns every
// fault. If several rules match a token, the latest one applies. A rule that always
// applies replaces earlier ones for the same Token.
func (s *Server) SetOutcomes(rules ...Outcome) error {
	if err := checkAll("setting outcomes", rules); err != nil {
		return err
	}
	s.rules.set(rules)
	s.publishEvent(EventChanged, "", nil)
	return nil
}

// CurrentOutcomes returns the rules that still apply, in the order in which they were set,
// each with its remaining Times.
func (s *Server) CurrentOutcomes() []Outcome { return s.rules.list() }

// ClearOutcomes removes all rules.
func (s *Server) ClearOutcomes() {
	s.rules.clear()
	s.publishEvent(EventChanged, "", nil)
}

// Configure replaces all settings. After a change of the quota every project has its whole
// quota.
func (s *Server) Configure(settings Settings) error {
	if f := settings.check(); len(f) > 0 {
		return fmt.Errorf("configuring the FCM emulator: %w", f)
	}
	s.applySettings(settings)
	s.publishEvent(EventChanged, "", nil)
	return nil
}

func (s *Server) applySettings(settings Settings) {
	settings = settings.withDefaults()
	p := newPolicy(settings)
	if old := s.policy.Load(); old != nil {
		if old.QuotaPerMinute != p.QuotaPerMinute || old.QuotaShape != p.QuotaShape {
			s.quotas.reset()
		}
		if old.JumpEvery == p.JumpEvery && old.JumpFor == p.JumpFor {
			p.began = old.began // a change of other settings does not move the jumps
		}
	}

	s.memory.resize(settings.Keep)
	s.policy.Store(p)
}

// Settings returns the current settings with their defaults.
func (s *Server) Settings() Settings { return s.policy.Load().Settings }

// Messages returns the accepted messages that match a filter, oldest first. With a limit it
// returns the newest of them.
func (s *Server) Messages(f Filter) []Message {
	found := s.memory.find(f)
	out := make([]Message, len(found))
	for i, k := range found {
		out[i] = k.toMessage()
	}
	return out
}

// Stats returns the current counts. They include every request that was answered.
func (s *Server) Stats() Stats {
	stats := s.counts.snapshot()
	stats.Kept = s.memory.count()
	stats.DuplicatesExact = stats.DuplicatesExact && !s.Settings().IgnoreDuplicates
	return stats
}

// Clear deletes messages and counts. Outcomes, settings, phones, installations and topics
// stay.
func (s *Server) Clear() {
	s.memory.clear()
	s.counts.reset()
	s.publishEvent(EventCleared, "", nil)
}
