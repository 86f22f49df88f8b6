package devices

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cloudfs "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	google "carillon.example/emulators/auth"
	"carillon.example/emulators/firestore"
	"carillon.example/shared/auth"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const project = "shop-push"

// issuer stands in for Google's servers: the SDK fetches certificates from an
// address that nobody can name, through a copy of http.DefaultTransport.
var issuer *google.Server

func TestMain(m *testing.M) {
	var err error
	if issuer, err = google.Start("127.0.0.1:0", google.Options{Project: project}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	http.DefaultTransport = issuer.Transport()
	code := m.Run()
	issuer.Close()
	os.Exit(code)
}

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

// A board collects events; it may fail on demand.
type board struct {
	mu     sync.Mutex
	events []push.Event
	down   bool
}

func (b *board) Events(_ context.Context, e ...push.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return &push.Unavailable{Err: errors.New("no Pub/Sub")}
	}
	b.events = append(b.events, e...)
	return nil
}

func (b *board) fail(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// told is for which customers events were published, and what they say.
func (b *board) told() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		d, ok := e.Data.(push.AvailabilityData)
		out = append(out, fmt.Sprint(d.Customer, " ", d.PushAvailable, ok))
	}
	slices.Sort(out)
	return out
}

// A world is the function behind a real server, with a real store and the Admin
// SDK's verifier.
type world struct {
	*board
	t     *testing.T
	db    *cloudfs.Client
	store *store.Store
	url   string
	log   *bytes.Buffer
	sent  []string // what no log line and no answer may hold
}

// newWorld serves the function as change leaves its dependencies.
func newWorld(t *testing.T, change func(*Deps)) *world {
	t.Helper()
	host, err := server()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(host, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	db, err := cloudfs.NewClient(context.Background(), "test-"+strings.ToLower(rand.Text()), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	v, err := auth.New(t.Context(), project, auth.Options{Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, board: &board{}, store: store.New(db, store.Options{}), log: &bytes.Buffer{}}
	d := Deps{Store: w.store, Queue: w.board, Auth: v, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	if change != nil {
		change(&d)
	}
	srv := httptest.NewServer(New(d))
	w.url = srv.URL
	t.Cleanup(func() {
		srv.Close() // waits for what is under way: then nobody logs any more
		for _, secret := range w.sent {
			if strings.Contains(w.log.String(), secret) {
				t.Errorf("%.12s… stands in the log:\n%s", secret, w.log)
			}
		}
	})
	return w
}

// client is for this test's server: http.DefaultTransport leads elsewhere.
var client = &http.Client{Transport: &http.Transport{}, Timeout: time.Minute}

// An answer is what came back.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (a answer) String() string { return fmt.Sprintf("%d %v %s", a.code, a.header, a.body) }

// problem is the answer as problem+json.
func (a answer) problem(t *testing.T) (p struct {
	Title, Detail string
	Status        int
	Errors        []push.Fault
}) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.header.Get("Content-Type") != "application/problem+json" || p.Status != a.code || p.Title == "" {
		t.Errorf("no problem: %v (%v)", a, err)
	}
	return p
}

// ask sends a request with an ID token, "" for none, and further headers.
func (w *world) ask(method, path, idToken, body string, header ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if idToken != "" {
		r.Header.Set("Authorization", "Bearer "+idToken)
		w.sent = append(w.sent, idToken)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	a := answer{res.StatusCode, res.Header, string(b)}
	for _, secret := range w.sent {
		if strings.Contains(a.String(), secret) {
			w.t.Errorf("%.12s… is repeated in %v", secret, a)
		}
	}
	return a
}

// register reports a push token for whoever the ID token speaks for.
func (w *world) register(idToken, token string) answer {
	w.t.Helper()
	w.sent = append(w.sent, token)
	return w.ask("POST", "/v1/devices", idToken, fmt.Sprintf(`{"token":%q,"platform":"android","app":"shop"}`, token))
}

// person is an ID token for a user id.
func person(uid string) string { return issuer.Token(map[string]any{"sub": uid}) }

// tokens are the ids of a customer's tokens.
func (w *world) tokens(customer string) (out []string) {
	w.t.Helper()
	c, err := w.store.Customer(w.t.Context(), customer)
	if push.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	for _, t := range c.Tokens {
		out = append(out, t.ID)
	}
	return out
}

// owed is how many events are in the outbox.
func (w *world) owed() int {
	w.t.Helper()
	snaps, err := w.db.Collection("outbox").Documents(w.t.Context()).GetAll()
	if err != nil {
		w.t.Fatal(err)
	}
	return len(snaps)
}
