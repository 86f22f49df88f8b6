package firestore

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"

	"carillon.example/emulators/firestore/engine"
	"carillon.example/emulators/loopback"
)

// Options tune a Server; the zero value is ready to use.
type Options struct {
	// RequireIndexes is the content of a firestore.indexes.json. When it is
	// set, queries that the service would refuse for want of an index are
	// refused; nil: index requirements are not checked.
	RequireIndexes []byte
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// A Server serves Firestore's gRPC API and the admin HTTP door on one port.
type Server struct {
	engine *engine.Engine
	split  *connMux
	grpc   *grpc.Server
	http   *http.Server
	before atomic.Pointer[Fault]
	after  atomic.Pointer[Fault]
}

// Start listens on addr ("127.0.0.1:0" for any free port) and serves until Close.
func Start(addr string, o Options) (*Server, error) {
	eo := engine.Options{Now: o.Now}
	if o.RequireIndexes != nil {
		ix, err := engine.ParseIndexes(o.RequireIndexes)
		if err != nil {
			return nil, fmt.Errorf("firestore emulator: %w", err)
		}
		eo.IndexRules = ix
	}

	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("firestore emulator: listen on %s: %w", addr, err)
	}

	s := &Server{engine: engine.New(eo), split: newSplitter(lis)}
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(maxReceive), grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream),
	)
	pb.RegisterFirestoreServer(s.grpc, &service{engine: s.engine})
	s.http = &http.Server{Handler: loopback.Doors(s.adminHandler()), ReadHeaderTimeout: 10 * time.Second}
	// Both end with an error that only says that the listener was closed.
	go func() { _ = s.grpc.Serve(s.split.grpc) }()
	go func() { _ = s.http.Serve(s.split.http) }()
	go s.split.serve()
	return s, nil
}

// Addr is the host:port listened on, what FIRESTORE_EMULATOR_HOST wants.
func (s *Server) Addr() string { return s.split.Addr().String() }

// Close stops serving and drops every connection.
func (s *Server) Close() {
	s.split.Close()
	s.grpc.Stop()
	s.http.Close()
}

// Clear forgets every project and database.
func (s *Server) Clear() { s.engine.Clear("") }

// Usage is the number of billed operations since the start.
type Usage struct {
	Reads   int64 `json:"reads"`
	Writes  int64 `json:"writes"`
	Deletes int64 `json:"deletes"`
}

// Usage returns the operations billed so far, in all databases.
func (s *Server) Usage() Usage {
	reads, writes, deletes := s.engine.Usage()
	return Usage{reads, writes, deletes}
}
