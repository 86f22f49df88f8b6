package firestore

import (
	"context"
	"path"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/firestore/engine"
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

// storeFault stores a fault, or nil without one, so that a call tests only for nil.
func storeFault(p *atomic.Pointer[Fault], f Fault) {
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

// interceptUnary records a unary RPC, and calls the faults before and after it.
func (s *Server) interceptUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	c := &call{began: time.Now(), method: path.Base(info.FullMethod)}
	resp, err := s.handleUnary(engine.WithBill(ctx, &c.bill), req, info, handle)
	s.end(c, subjectOf(req), err)
	return resp, err
}

func (s *Server) handleUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
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

// interceptStream records a streaming RPC when it ends, and calls its faults.
func (s *Server) interceptStream(srv any, st grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	c := &call{began: time.Now(), method: path.Base(info.FullMethod)}
	w := &faultStream{ServerStream: st, ctx: engine.WithBill(st.Context(), &c.bill), s: s, method: info.FullMethod}
	err := handle(srv, w)
	if err == nil {
		err = callFault(s.after.Load(), info.FullMethod, w.last)
	}
	s.end(c, w.subject, err)
	return err
}

// A faultStream is a stream whose requests are passed to the fault of the server. It remembers
// the last request, for the fault after the RPC, and the subject of the first, for the record.
type faultStream struct {
	grpc.ServerStream
	ctx      context.Context // that of the stream, with its bill
	s        *Server
	method   string
	subject  subject // of the first request
	received bool
	last     any
}

// Context returns the context of the stream, in which operations are billed.
func (w *faultStream) Context() context.Context { return w.ctx }

// RecvMsg receives the next request. It returns the error of the fault, if
// there is one.
func (w *faultStream) RecvMsg(m any) error {
	if err := w.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if !w.received {
		w.subject, w.received = subjectOf(m), true
	}
	w.last = m
	if err := checkSize(m); err != nil {
		return err
	}
	return callFault(w.s.before.Load(), w.method, m)
}
