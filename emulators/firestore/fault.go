package firestore

import (
	"context"
	"path"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

const (
	maxReceive = 16 << 20 // bytes; the limit of the connection, above maxRequest so that our own error text is returned
	maxRequest = 10 << 20 // bytes; the limit of the service for a request
)

// A Fault decides whether an RPC fails. method is the short method name
// ("Commit"). It may block, to simulate latency.
type Fault = func(method string, req proto.Message) error

// SetFault installs f, which is called before each RPC. When f returns an
// error, the RPC returns that error and has no effect. On a bidirectional
// stream f is called for every request. A nil f removes the fault.
func (s *Server) SetFault(f func(method string, req proto.Message) error) { storeFault(&s.before, f) }

// SetFaultAfter installs f, which is called after each RPC. When f returns an
// error, the RPC has had its effect, but its response is lost. On a
// bidirectional stream f is called with the last request, once the stream has
// ended without an error. A nil f removes the fault.
func (s *Server) SetFaultAfter(f func(method string, req proto.Message) error) {
	storeFault(&s.after, f)
}

type pointer interface{ Store(*Fault) }

// storeFault stores a fault, or nil without one, so that a call tests only for nil.
func storeFault(p pointer, f Fault) {
	if f == nil {
		p.Store(nil)
		return
	}
	p.Store(&f)
}

// callFault calls a fault, if there is one.
func callFault(f *Fault, method string, req any) error {
	m, ok := req.(proto.Message)
	if f == nil || !ok {
		return nil
	}
	return (*f)(path.Base(method), m)
}

// checkSize returns an error for a request above the limit of the service.
func checkSize(req any) error {
	m, ok := req.(proto.Message)
	if ok && proto.Size(m) > maxRequest {
		return status.Errorf(codes.InvalidArgument, "Request payload size exceeds the limit: %d bytes.", maxRequest)
	}
	return nil
}

// interceptUnary calls the faults before and after a unary RPC.
func (s *Server) interceptUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := checkSize(req); err != nil {
		return nil, err
	}
	if err := callFault(s.before.Load(), info.FullMethod, req); err != nil {
		return nil, err
	}

	resp, err := handle(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := callFault(s.after.Load(), info.FullMethod, req); err != nil {
		return nil, err
	}

	return resp, nil
}

// interceptStream calls the faults of a streaming RPC.
func (s *Server) interceptStream(srv any, st grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	w := &watched{ServerStream: st, s: s, method: info.FullMethod}
	if err := handle(srv, w); err != nil {
		return err
	}
	return callFault(s.after.Load(), info.FullMethod, w.last)
}

// A watched stream passes each request to the fault of the server.
type watched struct {
	grpc.ServerStream
	s      *Server
	method string
	last   any
}

// RecvMsg receives the next request. It returns the error of the fault, if
// there is one.
func (w *watched) RecvMsg(m any) error {
	if err := w.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	w.last = m
	if err := checkSize(m); err != nil {
		return err
	}
	return callFault(w.s.before.Load(), w.method, m)
}
