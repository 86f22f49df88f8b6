package store_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	cloudfs "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/firestore"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// server is the embedded Firestore all tests of the package share, or the one
// FIRESTORE_EMULATOR_HOST names. Each test has a project of its own.
var server = sync.OnceValues(func() (string, error) {
	if host := os.Getenv("FIRESTORE_EMULATOR_HOST"); host != "" {
		return host, nil
	}
	indexes, err := os.ReadFile("../../firestore.indexes.json")
	if err != nil {
		return "", err
	}
	s, err := firestore.Start("127.0.0.1:0", firestore.Options{RequireIndexes: indexes})
	if err != nil {
		return "", err
	}
	return s.Addr(), nil
})

// A clock is set by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// A world is a store over a database of its own.
type world struct {
	*store.Store
	db    *cloudfs.Client
	clock *clock
}

func newWorld(t testing.TB, more ...grpc.DialOption) *world {
	t.Helper()
	host, err := server()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(host, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithPerRPCCredentials(owner{}))...)
	if err != nil {
		t.Fatal(err)
	}
	db, err := cloudfs.NewClient(context.Background(), "test-"+strings.ToLower(rand.Text()), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	c := &clock{t: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	return &world{store.New(db, store.Options{Now: c.now}), db, c}
}

// owner passes the rules of Google's emulator.
type owner struct{}

func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}
func (owner) RequireTransportSecurity() bool { return false }

func (w *world) register(t *testing.T, customer, token string) store.Registered {
	t.Helper()
	r, err := w.Register(t.Context(), customer, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
