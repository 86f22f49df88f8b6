// Package relay is a gRPC proxy that injects faults between a client and a server that
// cannot inject them itself, such as Google's emulators. A request fails before it
// reaches the server, or its response is lost after the server has done its work.
//
// The relay forwards messages of any service as bytes, with their metadata. It decodes a
// request only for a fault, with the type that this process has registered.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// maxMessage is the largest message in bytes. It is above the limit of every server
// behind the relay.
const maxMessage = 64 << 20

// A Fault decides whether a request, named by its short method name ("Commit"),
// fails. It may block, for latency.
type Fault = func(method string, req proto.Message) error

// A Relay is one proxy. It is safe for concurrent use.
type Relay struct {
	server        *grpc.Server
	target        *grpc.ClientConn
	addr          string
	before, after atomic.Pointer[Fault]
}

// Start listens on an address until Close, and forwards requests to the server at target,
// host:port. Port 0 selects a free port.
func Start(addr, target string) (*Relay, error) {
	conn, err := grpc.NewClient("passthrough:///"+target, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return nil, fmt.Errorf("relay to %s: %w", target, err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("relay on %s: %w", addr, err)
	}

	r := &Relay{target: conn, addr: ln.Addr().String()}
	r.server = grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(r.relayCall), grpc.MaxRecvMsgSize(maxMessage))
	go func() { _ = r.server.Serve(ln) }() // returns after Close
	return r, nil
}

// Addr returns host:port of the relay.
func (r *Relay) Addr() string { return r.addr }

// Close stops the relay and breaks off the calls in progress. It can be called again.
func (r *Relay) Close() {
	r.server.Stop()
	r.target.Close()
}

// SetFault makes the relay call f for each request before it forwards the request. If f
// returns an error, the client gets the error, and the server never gets the request. A
// nil f removes the fault.
func (r *Relay) SetFault(f Fault) { storeFault(&r.before, f) }

// SetFaultAfter makes the relay call f, with the last request of the call, after the
// server has answered without an error. The server has done its work, and the client gets
// f's error instead of the status OK. A nil f removes the fault.
func (r *Relay) SetFaultAfter(f Fault) { storeFault(&r.after, f) }

func storeFault(p *atomic.Pointer[Fault], f Fault) {
	if f == nil {
		p.Store(nil)
		return
	}
	p.Store(&f)
}

// relayCall forwards one call, unary or streaming.
func (r *Relay) relayCall(_ any, client grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(client)
	if !ok {
		return status.Error(codes.Internal, "relay: a call without a method")
	}
	ctx, cancel := context.WithCancel(client.Context())
	defer cancel()
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, md.Copy())
	}
	server, err := r.target.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		return err
	}

	c := &call{relay: r, method: method, client: client, server: server}
	requests := make(chan error, 1)
	go func() { requests <- c.forwardRequests() }()
	answers := make(chan error, 1)
	go func() { answers <- c.forwardAnswers() }()
	for {
		select {
		case err := <-requests:
			if err != nil {
				return err // of a fault, or because the client has gone
			}
			requests = nil // all requests are forwarded
		case err := <-answers:
			client.SetTrailer(server.Trailer())
			if err != nil {
				return err
			}
			return r.callFault(&r.after, method, c.last.Load())
		}
	}
}

// A call is one call in progress.
type call struct {
	relay  *Relay
	method string
	client grpc.ServerStream
	server grpc.ClientStream
	last   atomic.Pointer[[]byte] // the last request
}

// forwardRequests forwards requests until the client has sent its last one.
func (c *call) forwardRequests() error {
	for {
		var m []byte
		err := c.client.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return c.server.CloseSend()
		}
		if err != nil {
			return err
		}
		c.last.Store(&m)
		if err := c.relay.callFault(&c.relay.before, c.method, &m); err != nil {
			return err
		}
		if err := c.server.SendMsg(&m); err != nil && !errors.Is(err, io.EOF) { // io.EOF: forwardAnswers gets the reason
			return err
		}
	}
}

// forwardAnswers forwards responses until the server has sent its last one.
func (c *call) forwardAnswers() error {
	header, err := c.server.Header()
	if err == nil && header != nil {
		err = c.client.SendHeader(header)
	}
	if err != nil {
		return err
	}

	for {
		var m []byte
		err := c.server.RecvMsg(&m)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := c.client.SendMsg(&m); err != nil {
			return err
		}
	}
}

// callFault calls a fault, if there is one, with the decoded request, and returns its
// error.
func (r *Relay) callFault(p *atomic.Pointer[Fault], method string, req *[]byte) error {
	f := p.Load()
	if f == nil || req == nil {
		return nil
	}
	m, err := decodeRequest(method, *req)
	if err != nil {
		return status.Errorf(codes.Internal, "relay: %s: %v", method, err)
	}
	return (*f)(path.Base(method), m)
}
