package firestore_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	sdk "cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/firestore"
)

var projects atomic.Int64

// address returns the server under test: the server in FIRESTORE_EMULATOR_HOST, or
// a new embedded server.
func address(t testing.TB) string {
	t.Helper()
	if host := os.Getenv("FIRESTORE_EMULATOR_HOST"); host != "" {
		return host
	}
	return start(t, firestore.Options{}).Addr()
}

func start(t testing.TB, o firestore.Options) *firestore.Server {
	t.Helper()
	s, err := firestore.Start("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func dial(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(owner{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// owner is the credential that every server SDK sends to an emulator. Without
// it Google's emulator applies the security rules and refuses administration.
type owner struct{}

// GetRequestMetadata returns the header of each request.
func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

// RequireTransportSecurity returns false, because the credential is not a
// secret.
func (owner) RequireTransportSecurity() bool { return false }

// connect returns the Go SDK's client for a project that no other test uses.
func connect(t testing.TB, addr string) *sdk.Client {
	t.Helper()
	return connectTo(t, addr, fmt.Sprintf("demo-%d-%d", os.Getpid(), projects.Add(1)))
}

// connectTo returns a client, with a connection of its own, for a project.
func connectTo(t testing.TB, addr, project string) *sdk.Client {
	t.Helper()
	c, err := sdk.NewClient(context.Background(), project, option.WithGRPCConn(dial(t, addr)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// number returns the numeric result of an aggregation.
func number(t testing.TB, v any) float64 {
	t.Helper()
	p, ok := v.(*pb.Value)
	if !ok {
		t.Errorf("result %T, want a value", v)
		return 0
	}
	if i, ok := p.GetValueType().(*pb.Value_IntegerValue); ok {
		return float64(i.IntegerValue)
	}
	return p.GetDoubleValue()
}

func isNull(v any) bool {
	p, ok := v.(*pb.Value)
	if !ok {
		return false
	}
	_, ok = p.GetValueType().(*pb.Value_NullValue)
	return ok
}
