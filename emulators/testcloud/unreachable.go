package testcloud

import (
	"context"
	"errors"
	"net"
	"testing"

	sdk "cloud.google.com/go/firestore"
	cloudps "cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// An Outage is a way in which a server cannot be reached.
type Outage string

// The outages: a port that refuses connections, and one that accepts them and never
// answers.
const (
	Closed  Outage = "closed"
	Hanging Outage = "hanging"
)

// Outages returns all of them.
func Outages() []Outage { return []Outage{Closed, Hanging} }

// Firestore returns a client of a database that cannot be reached.
func (o Outage) Firestore(t testing.TB) *sdk.Client {
	c, err := sdk.NewClient(context.Background(), "out-of-reach", option.WithGRPCConn(o.dialOutage(t)))
	return closeAtEnd(t, c, err)
}

// PubSub returns a client of a Pub/Sub that cannot be reached.
func (o Outage) PubSub(t testing.TB) *cloudps.Client {
	c, err := cloudps.NewClient(context.Background(), "out-of-reach", option.WithGRPCConn(o.dialOutage(t)))
	return closeAtEnd(t, c, err)
}

func (o Outage) dialOutage(t testing.TB) *grpc.ClientConn {
	conn, err := grpc.NewClient("passthrough:///out-of-reach", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithContextDialer(o.newDialer(t)))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func (o Outage) newDialer(t testing.TB) func(context.Context, string) (net.Conn, error) {
	if o == Closed {
		return func(context.Context, string) (net.Conn, error) { return nil, errors.New("connection refused") }
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() }) // nothing is accepted: the kernel takes the connections
	return func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", ln.Addr().String())
	}
}
