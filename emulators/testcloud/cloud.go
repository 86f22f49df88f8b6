// Package testcloud is the test kit of shared/ and functions/. It gives each test its own
// database and topics on servers that all tests of a process share, an FCM, a clock that
// the test moves, and recorders of events, logs and responses. It imports
// neither shared/ nor functions/, which are under test.
package testcloud

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sdk "cloud.google.com/go/firestore"
	cloudps "cloud.google.com/go/pubsub/v2"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/pubsub"
)

// A Cloud is the project of one test. Its clients are made at their first use and
// closed with the test.
type Cloud struct {
	t       testing.TB
	project string
	db      func() *sdk.Client
	topics  func() *cloudps.Client
}

// New creates a project that no other test uses. The dial options are for the connection
// to its database.
func New(t testing.TB, database ...grpc.DialOption) *Cloud { return Named(t, "test", database...) }

// Named is New with a prefix of the project's name.
func Named(t testing.TB, prefix string, database ...grpc.DialOption) *Cloud {
	l := &Cloud{t: t, project: prefix + "-" + strings.ToLower(rand.Text())}
	l.db = sync.OnceValue(func() *sdk.Client {
		c, err := sdk.NewClient(context.Background(), l.project, option.WithGRPCConn(dialServer(t, firestoreHost, append(database, asOwner)...)))
		return closeAtEnd(t, c, err)
	})
	l.topics = sync.OnceValue(func() *cloudps.Client {
		c, err := cloudps.NewClient(context.Background(), l.project, option.WithGRPCConn(dialServer(t, pubsubHost)))
		return closeAtEnd(t, c, err)
	})
	return l
}

// DB returns a client of the project's database.
func (l *Cloud) DB() *sdk.Client { return l.db() }

// PubSub returns the project's client for topics.
func (l *Cloud) PubSub() *cloudps.Client { return l.topics() }

// Project returns the project's id.
func (l *Cloud) Project() string { return l.project }

// FirestoreAddr returns host:port of the Firestore that the tests of this process
// share, for clients that this package does not make.
func FirestoreAddr(t testing.TB) string {
	t.Helper()
	host, err := firestoreHost()
	if err != nil {
		t.Fatal(err)
	}
	return host
}

// AsOwner passes the rules of Google's Firestore emulator.
func AsOwner() grpc.DialOption { return asOwner }

// Count returns how many documents a collection has.
func (l *Cloud) Count(collection string) int {
	l.t.Helper()
	snaps, err := l.DB().Collection(collection).Documents(l.t.Context()).GetAll()
	if err != nil {
		l.t.Fatal(err)
	}
	return len(snaps)
}

// Phones starts an FCM emulator for this test alone.
func Phones(t testing.TB, o fcm.Options) *fcm.Server {
	t.Helper()
	s, err := fcm.Start("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// firestoreHost is the embedded Firestore that all tests of a process share, or the
// one in FIRESTORE_EMULATOR_HOST.
var firestoreHost = sync.OnceValues(func() (string, error) {
	if host := os.Getenv("FIRESTORE_EMULATOR_HOST"); host != "" {
		return host, nil
	}
	indexes, err := requiredIndexes()
	if err != nil {
		return "", err
	}
	s, err := firestore.Start("127.0.0.1:0", firestore.Options{RequireIndexes: indexes})
	if err != nil {
		return "", err
	}
	return s.Addr(), nil
})

// pubsubHost is the same for Pub/Sub and PUBSUB_EMULATOR_HOST.
var pubsubHost = sync.OnceValues(func() (string, error) {
	if host := os.Getenv("PUBSUB_EMULATOR_HOST"); host != "" {
		return host, nil
	}
	s, err := pubsub.Start("127.0.0.1:0", pubsub.Options{})
	if err != nil {
		return "", err
	}
	return s.Addr(), nil
})

// requiredIndexes returns the deployed indexes: firestore.indexes.json at the root of
// the module, above the package under test.
func requiredIndexes() ([]byte, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return os.ReadFile(filepath.Join(dir, "firestore.indexes.json"))
		}
		if dir == filepath.Dir(dir) {
			return nil, errors.New("lab: no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

func dialServer(t testing.TB, server func() (string, error), more ...grpc.DialOption) *grpc.ClientConn {
	host, err := server()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(host, append(more, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// closeAtEnd returns a client that is closed with the test, with its connection.
func closeAtEnd[C interface{ Close() error }](t testing.TB, c C, err error) C {
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // the test has ended, so an error does not matter
	return c
}

// asOwner passes the rules of Google's Firestore emulator.
var asOwner = grpc.WithPerRPCCredentials(owner{})

type owner struct{}

func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (owner) RequireTransportSecurity() bool { return false }
