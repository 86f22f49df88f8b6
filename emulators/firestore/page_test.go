package firestore_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdk "cloud.google.com/go/firestore"

	"carillon.example/emulators/auth"
	"carillon.example/emulators/inbox/browser"
	"carillon.example/emulators/testcloud/check"
)

// jsSDK is the folder of the JS SDK. "npm ci" in emulators/auth/node installs it.
const jsSDK = "../auth/node/node_modules/firebase"

// servePage serves the page of page/ and the modules of the JS SDK. It skips the test if the
// SDK is not installed.
func servePage(t *testing.T) string {
	t.Helper()
	about, err := os.ReadFile(filepath.Join(jsSDK, "package.json"))
	if err != nil {
		t.Skip(`the JS SDK is not installed ("npm ci" in emulators/auth/node), so its page cannot run`)
	}
	var sdk struct{ Version string }
	if err := json.Unmarshal(about, &sdk); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("page/index.html")
	if err != nil {
		t.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, strings.ReplaceAll(string(page), "VERSION", sdk.Version))
	})
	mux.Handle("GET /", http.FileServer(http.Dir("page")))
	mux.Handle("GET /firebase/", http.StripPrefix("/firebase", http.FileServer(http.Dir(jsSDK))))
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

// A pageRound is a page with the SDK, and a server's client of the same project.
type pageRound struct {
	*testing.T
	*browser.Page
	other *sdk.Client
}

// set writes the number of people of a city, as another client does.
func (r *pageRound) set(city string, people int) {
	r.Helper()
	if _, err := r.other.Doc("cities/"+city).Set(r.Context(), map[string]any{"people": people}); err != nil {
		r.Fatal(err)
	}
}

// sees waits until the last state that the listener of the page was told is want.
func (r *pageRound) sees(want string) {
	r.Helper()
	text, err := json.Marshal(want)
	if err != nil {
		r.Fatal(err)
	}
	r.Until(`round.errors.length > 0 || round.seen.at(-1) === ` + string(text))
	check.MustEqual(r, browser.Eval[string](r.Page, `round.errors.join()`), "", "errors of the listener")
}

// TestSDKInAPage runs the JS SDK of web apps in a browser: listeners and the stream of writes
// use WebChannel there. It runs on Google's emulator, too.
func TestSDKInAPage(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the page of the JS SDK is left out of short runs")
	}
	for name, polling := range map[string]bool{"streams": false, "long polling": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site := servePage(t)
			p := browser.Open(t, 800, 600)
			addr := address(t)
			project := fmt.Sprintf("demo-page-%d-%d", os.Getpid(), projects.Add(1))
			r := &pageRound{t, p, connectTo(t, addr, project)}

			about := url.Values{"firestore": {addr}, "project": {project}}
			if polling {
				about.Set("polling", "1")
			}
			if os.Getenv("FIRESTORE_EMULATOR_HOST") == "" { // Google's would apply security rules to a user
				about.Set("auth", startAuth(t))
			}
			p.Go(site + "/?" + about.Encode())
			r.documents()
			r.listeners()
			if about.Has("auth") {
				uid := browser.Eval[string](p, `round.signUp()`)
				if _, err := r.other.Doc("people/" + uid).Get(t.Context()); err != nil {
					t.Errorf("the document that was written after the sign-in: %v", err)
				}
				r.set("valka", 16)
				r.sees("ogre=15 valka=16 riga=21")
				r.set("valka", 1)
				r.sees("ogre=15 riga=21")
			}
			r.outages()
			for _, fault := range p.Faults() { // besides those of the requests that fail on purpose
				if strings.HasPrefix(fault, "exception:") || strings.Contains(fault, "CORS") || strings.Contains(fault, "unsafe") {
					t.Errorf("the console has %q, want no exception, and nothing that the browser refused", fault)
				}
			}
		})
	}
}

// startAuth returns the address of an Auth emulator.
func startAuth(t *testing.T) string {
	t.Helper()
	s, err := auth.Start("127.0.0.1:0", auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return "http://" + s.Addr()
}

// documents checks what needs no listener.
func (r *pageRound) documents() {
	r.Helper()
	check.Equal(r, browser.Eval[[]string](r.Page, `round.types()`), []string{}, "fields that came back as another value")
	check.Equal(r, browser.Eval[int](r.Page, `round.count(3)`), 3, "the counter after three transactions at once")
	check.Equal(r, browser.Eval[string](r.Page, `round.calls()`), "b,c of 3", "what the query and the count found")
	check.Equal(r, browser.Eval[int](r.Page, `round.large(13, 100_000)`), 1_300_000, "bytes that the listener got")
}

// listeners checks that a listener of the page sees the writes of another client, of the
// stream of writes, and of transactions.
func (r *pageRound) listeners() {
	r.Helper()
	r.set("riga", 11)
	browser.Eval[bool](r.Page, `round.follow()`)
	r.sees("riga=11")
	r.set("ogre", 14)
	r.sees("riga=11 ogre=14")
	r.set("riga", 30)
	r.sees("ogre=14 riga=30")
	if _, err := r.other.Doc("cities/ogre").Delete(r.Context()); err != nil {
		r.Fatal(err)
	}
	r.sees("riga=30")

	browser.Eval[bool](r.Page, `round.write()`)
	r.sees("ogre=15 riga=21")
	check.Equal(r, browser.Eval[string](r.Page, `round.refused()`), "not-found", "code of the write that was refused")
}

// outages checks what happens when the page has no network: by the SDK's own switch, and when
// the browser loses its connections.
func (r *pageRound) outages() {
	r.Helper()
	browser.Eval[bool](r.Page, `round.offline()`)
	r.set("valka", 16)
	browser.Eval[bool](r.Page, `round.online()`)
	r.sees("cesis=12 ogre=15 valka=16 riga=21")

	r.Offline(true)
	browser.Eval[bool](r.Page, `round.later("limbazi", 13)`)
	r.set("valka", 17)
	r.Offline(false)
	browser.Eval[bool](r.Page, `round.written`)
	r.sees("cesis=12 limbazi=13 ogre=15 valka=17 riga=21")
}
