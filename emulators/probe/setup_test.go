package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	sdk "cloud.google.com/go/firestore"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
)

const testProject = "retailer-prod-7"

// A sentRequest is one that reached the stand-in of FCM.
type sentRequest struct {
	path, authorization, quotaProject string
	body                              []byte
}

// A fakeFCM is our emulator in the place of the service, behind a handler that records the
// requests and may answer itself.
type fakeFCM struct {
	*fcm.Server
	url    string
	change func(r sentRequest, w http.ResponseWriter) bool // reports whether it has answered; nil: never

	mu   sync.Mutex // guards sent
	sent []sentRequest
}

// serveFCM starts a stand-in of the service.
func serveFCM(t *testing.T, change func(sentRequest, http.ResponseWriter) bool) *fakeFCM {
	t.Helper()
	server, err := fcm.Start("127.0.0.1:0", fcm.Options{RequireAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	f := &fakeFCM{Server: server, change: change}
	front := httptest.NewServer(f)
	t.Cleanup(front.Close)
	f.url = front.URL
	return f
}

// ServeHTTP records the request, and passes it on.
func (f *fakeFCM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	one := sentRequest{r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("X-Goog-User-Project"), body}
	f.mu.Lock()
	f.sent = append(f.sent, one)
	f.mu.Unlock()

	if f.change != nil && f.change(one, w) {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.Handler().ServeHTTP(w, r)
}

// requests returns what has arrived.
func (f *fakeFCM) requests() []sentRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent
}

// serveFirestore starts our emulator in the place of the service.
func serveFirestore(t *testing.T, o firestore.Options) *firestore.Server {
	t.Helper()
	o.RequireIndexes = []byte(noIndexes)
	server, err := firestore.Start("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// A testRun is a probe with what it has printed and written.
type testRun struct {
	*probe
	out bytes.Buffer
}

// newRun returns a probe of the stand-ins. Without db it leaves Firestore out.
func newRun(t *testing.T, service *fakeFCM, db *firestore.Server) *testRun {
	t.Helper()
	r := &testRun{}
	r.probe = newProbe(&r.out)
	r.project, r.fcmEndpoint, r.database = testProject, service.url, sdk.DefaultDatabaseID
	r.limits.lateWrite = 0
	r.file = filepath.Join(t.TempDir(), "probe.json")
	if db != nil {
		r.firestore, r.firestoreHost = true, db.Addr()
	}
	return r
}

// readFile returns the text of the file.
func (r *testRun) readFile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(r.file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A writtenCase is a case in the file.
type writtenCase struct {
	Case              string
	Service, Emulator struct {
		Facts map[string]string
		Text  string
	}
	Differs []string
}

// A writtenRecord is the file.
type writtenRecord struct {
	FCM, Firestore struct{ Cases []writtenCase }
	Faults         []string
}

// readRecord returns the content of the file.
func (r *testRun) readRecord(t *testing.T) writtenRecord {
	t.Helper()
	var out writtenRecord
	if err := json.Unmarshal([]byte(r.readFile(t)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// differences returns a line for each case that differs.
func differences(cases []writtenCase) (out []string) {
	for _, c := range cases {
		if len(c.Differs) > 0 {
			out = append(out, c.Case+": "+strings.Join(c.Differs, ", "))
		}
	}
	return out
}

// collections returns the collections of a database.
func collections(t *testing.T, db *firestore.Server) (ids []string) {
	t.Helper()
	client, err := dialFirestore(context.Background(), db.Addr(), testProject, sdk.DefaultDatabaseID)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	found, err := client.Collections(context.Background()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range found {
		ids = append(ids, c.ID)
	}
	return ids
}
