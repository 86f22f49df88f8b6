package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/oauth2"

	"carillon.example/emulators/local"
	"carillon.example/functions/console"
)

const (
	looker = "anna@shop.example"
	sender = "boss@shop.example"
)

// theCloud is one cloud for all tests: its functions read the environment of the process.
var theCloud = sync.OnceValues(func() (*local.Cloud, error) {
	o := local.Defaults().OnFreePorts()
	o.UIAddr, o.ConsoleAddr, o.LogLevel, o.Indexes = "", "127.0.0.1:0", "error", "../../firestore.indexes.json"
	return local.Start(context.Background(), o)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if l, err := theCloud(); err == nil {
		l.Close()
	}
	os.Exit(code)
}

// A harness is the cloud with a console for each role.
type harness struct {
	t     *testing.T
	cloud *local.Cloud
	url   map[string]string // address of the console by person

	mu       sync.Mutex // guards statuses
	statuses []int      // of the answers with recipients
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	l, err := theCloud()
	if err != nil {
		t.Fatal(err)
	}
	w := &harness{t: t, cloud: l, url: map[string]string{}}
	api, err := url.Parse(l.APIURL)
	if err != nil {
		t.Fatal(err)
	}
	s := console.Service{URL: api, Tokens: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "none"})}
	for _, who := range []string{looker, sender} {
		server := httptest.NewServer(w.watched(console.New(console.Deps{
			Identity: console.Fixed(who), Roles: console.Roles{Look: []string{looker}, Send: []string{sender}},
			Mailings: s, Customers: s, Project: "demo", Log: slog.New(slog.DiscardHandler),
		})))
		t.Cleanup(server.Close)
		w.url[who] = server.URL
	}
	return w
}

// watched notes the status of each answer with recipients, which a browser saves as a file
// that the page does not see.
func (w *harness) watched(next http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/recipients") {
			next.ServeHTTP(out, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		w.mu.Lock()
		w.statuses = append(w.statuses, rec.Code)
		w.mu.Unlock()
		out.WriteHeader(http.StatusNoContent) // the browser stays where it is, and saves nothing
	})
}

// saved waits for the next answer with recipients, and returns its status.
func (w *harness) saved() int {
	w.t.Helper()
	for {
		w.mu.Lock()
		n := len(w.statuses)
		w.mu.Unlock()
		if n > 0 {
			return w.statuses[n-1]
		}
		select {
		case <-w.t.Context().Done():
			w.t.Fatal("nobody asked for the recipients")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// call sends a request to the API itself, and returns the decoded answer.
func (w *harness) call(method, path string, body any) map[string]any {
	w.t.Helper()
	status, answer := w.try(w.cloud.APIURL, method, path, body)
	if status/100 != 2 {
		w.t.Fatalf("%s %s answered %d %v", method, path, status, answer)
	}
	return answer
}

// try sends a request with headers of the page, and returns status and answer.
func (w *harness) try(base, method, path string, body any) (int, map[string]any) {
	w.t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		w.t.Fatal(err)
	}
	kind := "application/json"
	if text, ok := body.(string); ok {
		b, kind = []byte(text), "application/x-ndjson"
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, base+path, bytes.NewReader(b))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header = http.Header{"Content-Type": {kind}, "Sec-Fetch-Site": {"same-origin"}, "X-Carillon-Console": {"1"}}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.Body.Close()
	raw, _ := io.ReadAll(a.Body)
	var out map[string]any
	_ = json.Unmarshal(raw, &out) // an empty answer is nil
	return a.StatusCode, out
}

// seed imports customers with a prefix: every tenth has no phone, every twelfth is opted
// out, every seventh has a token that FCM calls unregistered.
func (w *harness) seed(prefix string, n int) {
	w.t.Helper()
	var lines strings.Builder
	for i := range n {
		line := map[string]any{"id": fmt.Sprintf("%s%04d", prefix, i), "segments": []string{prefix, []string{"riga", "vilnius"}[i%2]}, "attributes": map[string]any{"first_name": fmt.Sprintf("Name%d", i)}}
		if i%10 != 9 {
			fate := "fine"
			if i%7 == 6 {
				fate = "gone"
			}
			line["tokens"] = []map[string]any{{"token": fmt.Sprintf("%s-%s-%04d:APA91b%s", fate, prefix, i, strings.Repeat("x", 40)), "platform": []string{"android", "ios", "web"}[i%3], "app": "shop"}}
		}
		line["optedOut"] = i%12 == 5
		b, err := json.Marshal(line)
		if err != nil {
			w.t.Fatal(err)
		}
		lines.Write(append(b, '\n'))
	}
	w.cloud.Phones.SetOutcome("gone-*", "UNREGISTERED")
	w.call("POST", "/v1/imports", lines.String())
}

// send creates a mailing and returns its id.
func (w *harness) send(draft map[string]any) string {
	w.t.Helper()
	id, _ := w.call("POST", "/v1/mailings", draft)["id"].(string)
	return id
}

// await waits until a mailing is in a state.
func (w *harness) await(id, state string) {
	w.t.Helper()
	for {
		m := w.call("GET", "/v1/mailings/"+id, nil)
		if m["state"] == state && (state == "paused" || m["completedAt"] != nil) {
			return
		}
		select {
		case <-w.t.Context().Done():
			w.t.Fatalf("mailing %s is %v, want %s", id, m["state"], state)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ninetyDays stores statistics of the last 90 days.
func (w *harness) ninetyDays() {
	w.t.Helper()
	db, err := firestore.NewClient(w.t.Context(), w.cloud.Project)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	for i := 1; i < 90; i++ {
		at := time.Now().UTC().AddDate(0, 0, -i)
		reachable := 81_000 - 40*int64(i) + int64(i*i%37)*60
		_, err := db.Doc("stats/"+at.Format(time.DateOnly)).Set(w.t.Context(), map[string]any{
			"countedAt": at, "customers": 100_000 - 50*int64(i), "reachable": reachable, "optedOut": 2100, "platforms": map[string]any{"android": reachable / 2, "ios": reachable / 3, "web": reachable / 6},
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// at returns the address of a view. Each call returns another query, so that the browser
// loads the page anew: with the same one it would only change the view.
func at(base, place string) string {
	return fmt.Sprintf("%s/?%d%s", base, visits.Add(1), place)
}

var visits atomic.Int64

func message(title string) map[string]any {
	return map[string]any{"notification": map[string]any{"title": title, "body": "20 % off everything until Sunday. Come and see, and bring a friend."}}
}
