// Package relay is a gRPC proxy that makes faults between a client and a server
// that has none to order, such as Google's emulators: requests that never reach
// the server, and answers that are lost after the server has done its work.
//
// It passes messages on as bytes, with their metadata, whatever the service.
// Only a fault has a request decoded, by its type in this process.
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

// maxMessage is how many bytes a message may have: more than any server behind
// it takes.
const maxMessage = 64 << 20

// A Fault decides whether a request, named by its short method name ("Commit"),
// fails. It may block, for latency.
type Fault = func(method string, req proto.Message) error

// A Relay is one proxy; safe for concurrent use.
type Relay struct {
	server        *grpc.Server
	target        *grpc.ClientConn
	addr          string
	before, after atomic.Pointer[Fault]
}

// Start listens on an address, with port 0 on any port, and passes requests on
// to the server at target, host:port.
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
	go func() { _ = r.server.Serve(ln) }() // ends with Close
	return r, nil
}

// Addr is host:port of the relay.
func (r *Relay) Addr() string { return r.addr }

// Close breaks off what is under way, and may be called again.
func (r *Relay) Close() {
	r.server.Stop()
	r.target.Close()
}

// SetFault installs f, or nothing when f is nil. It is called for each request
// before it is passed on; its error is the answer, and the server never gets
// the request.
func (r *Relay) SetFault(f Fault) { storeFault(&r.before, f) }

// SetFaultAfter is SetFault for after the server has answered well: its work is
// done, and f's error is what the client gets instead of the answer's end. It
// is called with the last request of the call.
func (r *Relay) SetFaultAfter(f Fault) { storeFault(&r.after, f) }

func storeFault(p *atomic.Pointer[Fault], f Fault) {
	if f == nil {
		p.Store(nil)
		return
	}
	p.Store(&f)
}

// relayCall carries one call, unary or of any kind of stream.
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
				return err // a fault, or the client is gone
			}
			requests = nil // every request is passed on
		case err := <-answers:
			client.SetTrailer(server.Trailer())
			if err != nil {
				return err
			}
			return r.callFault(&r.after, method, c.last.Load())
		}
	}
}

// A call is one call on its way.
type call struct {
	relay  *Relay
	method string
	client grpc.ServerStream
	server grpc.ClientStream
	last   atomic.Pointer[[]byte] // the last request
}

// forwardRequests passes requests on until the client has sent its last.
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
		if err := c.server.SendMsg(&m); err != nil && !errors.Is(err, io.EOF) { // EOF: answers knows why
			return err
		}
	}
}

// forwardAnswers passes answers back until the server has sent its last.
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

// callFault asks a fault, if there is one, what becomes of a request.
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
