package firestore

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"

	"carillon.example/emulators/connmux"
	"carillon.example/emulators/firestore/engine"
	"carillon.example/emulators/loopback"
	"carillon.example/emulators/transcode"
	"carillon.example/emulators/webchannel"
)

// Options configure a Server. The zero value is valid.
type Options struct {
	// RequireIndexes is the content of a firestore.indexes.json. When it is
	// set, queries fail that the service would refuse because of a missing
	// index. When it is nil, index requirements are not checked.
	RequireIndexes []byte
	// IndexesFile is the name of the file that RequireIndexes is from. Errors name it, because
	// the missing index has to be declared there. "": firestore.indexes.json.
	IndexesFile string
	// Optimistic has the ids of databases in the concurrency mode OPTIMISTIC: their
	// transactions take no locks unless they ask for them. The others are PESSIMISTIC, the
	// default of the Standard edition.
	Optimistic []string
	// Snapshot is what Save of another server wrote: the server starts with these documents.
	// nil: it starts empty.
	Snapshot io.Reader
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// A Server serves Firestore's gRPC API and the admin HTTP interface on one
// port.
type Server struct {
	engine *engine.Engine
	mux    *connmux.Mux
	grpc   *grpc.Server
	http   *http.Server
	rest   *grpc.ClientConn // to this server, for requests in the REST form and channels
	pages  *webchannel.Handler
	loaded Contents // what Options.Snapshot had
	before atomic.Pointer[Fault]
	after  atomic.Pointer[Fault]

	requests requestLog
	handler  http.Handler // of HTTP, without protection against web pages
}

// Start listens on addr ("127.0.0.1:0" for any free port) and serves until
// Close. It fails when addr is in use, when RequireIndexes has faults, or when Snapshot is not
// complete.
func Start(addr string, o Options) (*Server, error) {
	eo := engine.Options{Now: o.Now, Optimistic: o.Optimistic}
	if o.RequireIndexes != nil {
		ix, err := engine.ParseIndexes(cmp.Or(o.IndexesFile, "firestore.indexes.json"), o.RequireIndexes)
		if err != nil {
			return nil, fmt.Errorf("firestore emulator: %w", err)
		}
		eo.IndexRules = ix
	}

	s := &Server{engine: engine.New(eo)}
	if err := s.loadSnapshot(o.Snapshot); err != nil {
		return nil, fmt.Errorf("firestore emulator: %w", err)
	}

	lis, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("firestore emulator: listen on %s: %w", addr, err)
	}

	s.mux = connmux.New(lis)
	s.grpc = grpc.NewServer(
		grpc.ForceServerCodecV2(newCodec()),
		grpc.MaxRecvMsgSize(maxReceive), grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.UnaryInterceptor(s.interceptUnary), grpc.StreamInterceptor(s.interceptStream),
	)
	pb.RegisterFirestoreServer(s.grpc, &service{engine: s.engine})
	if s.rest, err = transcode.Dial(s.Addr()); err != nil {
		lis.Close()
		return nil, fmt.Errorf("firestore emulator: %w", err)
	}
	if s.handler, err = s.httpHandler(); err != nil {
		lis.Close()
		return nil, fmt.Errorf("firestore emulator: %w", err)
	}
	s.http = &http.Server{Handler: loopback.ShareWithLocalPages(s.handler), ReadHeaderTimeout: 10 * time.Second}
	// Both goroutines end with Close. Their errors only say that the listener was closed.
	go func() { _ = s.grpc.Serve(s.mux.GRPC) }()
	go func() { _ = s.http.Serve(s.mux.HTTP) }()
	go s.mux.AcceptConns()
	return s, nil
}

// Addr returns the host:port of the server, the value for
// FIRESTORE_EMULATOR_HOST.
func (s *Server) Addr() string { return s.mux.Addr().String() }

// HTTPHandler returns the handler of the documents in the REST form, of the channels of web
// pages and of the paths below /emulator/. It can also be served on another port. It does not refuse requests of web
// pages: whoever serves it has to.
func (s *Server) HTTPHandler() http.Handler { return s.handler }

// Close stops serving and drops every connection.
func (s *Server) Close() {
	s.mux.Close()
	s.pages.Close()
	s.rest.Close()
	s.grpc.Stop()
	s.http.Close()
}

// Clear removes all documents of every project and database.
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
