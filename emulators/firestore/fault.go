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
	maxReceive = 16 << 20 // what the connection takes, so that the limit below has words of its own
	maxRequest = 10 << 20 // the service's limit for a request
)

// A Fault decides whether an RPC, named by its short method name ("Commit"),
// fails. It may block, for latency.
type Fault = func(method string, req proto.Message) error

// SetFault installs f, or nothing when f is nil. It is called before an RPC is
// carried out; when it returns an error, that is the answer and nothing is done.
// On a bidirectional stream it is called for every request.
func (s *Server) SetFault(f func(method string, req proto.Message) error) { set(&s.before, f) }

// SetFaultAfter is SetFault for after an RPC was carried out: its effect stands
// and the answer is lost. On a bidirectional stream f is called once the stream
// has ended well, with its last request.
func (s *Server) SetFaultAfter(f func(method string, req proto.Message) error) { set(&s.after, f) }

type pointer interface{ Store(*Fault) }

func set(p pointer, f Fault) {
	if f == nil {
		p.Store(nil)
		return
	}
	p.Store(&f)
}

func call(f *Fault, method string, req any) error {
	m, ok := req.(proto.Message)
	if f == nil || !ok {
		return nil
	}
	return (*f)(path.Base(method), m)
}

func checkSize(req any) error {
	m, ok := req.(proto.Message)
	if ok && proto.Size(m) > maxRequest {
		return status.Errorf(codes.InvalidArgument, "Request payload size exceeds the limit: %d bytes.", maxRequest)
	}
	return nil
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if err := checkSize(req); err != nil {
		return nil, err
	}
	if err := call(s.before.Load(), info.FullMethod, req); err != nil {
		return nil, err
	}

	resp, err := handle(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := call(s.after.Load(), info.FullMethod, req); err != nil {
		return nil, err
	}

	return resp, nil
}

func (s *Server) stream(srv any, st grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
	w := &watched{ServerStream: st, s: s, method: info.FullMethod}
	if err := handle(srv, w); err != nil {
		return err
	}
	return call(s.after.Load(), info.FullMethod, w.last)
}

// A watched stream shows each request it receives to the server's fault.
type watched struct {
	grpc.ServerStream
	s      *Server
	method string
	last   any
}

// RecvMsg receives the next request, or the fault made of it.
func (w *watched) RecvMsg(m any) error {
	if err := w.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	w.last = m
	if err := checkSize(m); err != nil {
		return err
	}
	return call(w.s.before.Load(), w.method, m)
}
