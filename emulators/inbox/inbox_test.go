package inbox_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/inbox"
)

// harness is an FCM emulator, and an inbox that shows its messages.
type harness struct {
	fcm *fcm.Server
	url string
}

func newHarness(t *testing.T) harness {
	t.Helper()
	s, err := fcm.Start("127.0.0.1:0", fcm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	page := httptest.NewServer(inbox.Handler(inbox.Options{FCM: s.AdminHandler(), Address: s.URL(), Project: "demo"}))
	t.Cleanup(page.CloseClientConnections) // the stream of events never ends by itself
	return harness{s, page.URL}
}

// send sends a message that FCM accepts.
func (w harness) send(t *testing.T, message any) {
	t.Helper()
	if a := w.post(t, message); a.Code != http.StatusOK {
		t.Fatalf("sending a message: status %d, want 200: %s", a.Code, a.Body)
	}
}

// sendRefused sends a message that FCM refuses.
func (w harness) sendRefused(t *testing.T, message any) {
	t.Helper()
	if a := w.post(t, message); a.Code == http.StatusOK {
		t.Fatalf("FCM accepted the message, want a refusal: %s", a.Body)
	}
}

// post passes a message to FCM without a network.
func (w harness) post(t *testing.T, message any) *httptest.ResponseRecorder {
	t.Helper()
	b, err := json.Marshal(map[string]any{"message": message})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	w.fcm.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodPost, "/v1/projects/demo/messages:send", strings.NewReader(string(b))))
	return rec
}

type object = map[string]any

func request(t *testing.T, method, url string, head map[string]string, body string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range head {
		if k == "Host" {
			r.Host = v
		}
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func TestOnlyItsOwnPageGetsIn(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	port := w.url[strings.LastIndex(w.url, ":"):]
	for name, c := range map[string]struct {
		method, path string
		head         map[string]string
		want         int
	}{
		"the page":                          {"GET", "/", nil, 200},
		"by localhost":                      {"GET", "/", map[string]string{"Host": "localhost" + port}, 200},
		"by a name below localhost":         {"GET", "/", map[string]string{"Host": "inbox.localhost" + port}, 200},
		"by an IPv6 address":                {"GET", "/", map[string]string{"Host": "[::1]" + port}, 200},
		"by a name of another site":         {"GET", "/", map[string]string{"Host": "rebound.example" + port}, 421},
		"by a name without a port":          {"GET", "/emulator/messages", map[string]string{"Host": "rebound.example"}, 421},
		"by a name that looks like ours":    {"GET", "/", map[string]string{"Host": "localhost.example"}, 421},
		"by an empty name":                  {"GET", "/", map[string]string{"Host": ":80"}, 421},
		"a change by the page":              {"PUT", "/emulator/settings", map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		"a change by curl":                  {"PUT", "/emulator/settings", nil, 200},
		"a change by another site":          {"PUT", "/emulator/settings", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"a change by another port":          {"PUT", "/emulator/settings", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		"a change by another origin":        {"PUT", "/emulator/settings", map[string]string{"Origin": "http://shop.example"}, 403},
		"clearing by another site":          {"DELETE", "/emulator/messages", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"a mailing by a form of another":    {"POST", "/v1/mailings", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"functions where there are none":    {"GET", "/v1/mailings", nil, 404},
		"a file that is missing":            {"GET", "/nothing.js", nil, 404},
		"FCM itself is not behind the page": {"POST", "/v1/projects/p/messages:send", nil, 404},
		"an unknown path of an emulator":    {"GET", "/emulator/nothing", nil, 404},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := "{}"
			resp := request(t, c.method, w.url+c.path, c.head, body)
			if resp.StatusCode != c.want {
				t.Errorf("%s %s: %d, want %d", c.method, c.path, resp.StatusCode, c.want)
			}
			got, start := resp.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self';"
			if !strings.HasPrefix(got, start) {
				t.Errorf("the policy is %q, want it to start with %q", got, start)
			}
			if strings.Contains(got, "unsafe") {
				t.Errorf("the policy is %q, want it without unsafe", got)
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("Access-Control-Allow-Origin is %q, want none", resp.Header.Get("Access-Control-Allow-Origin"))
			}
		})
	}
}

func TestHostsOptionIsAccepted(t *testing.T) {
	t.Parallel()
	h := inbox.Handler(inbox.Options{FCM: http.NotFoundHandler(), Hosts: []string{"laptop.example"}})
	for host, want := range map[string]int{"laptop.example:4000": 200, "Laptop.Example": 200, "other.example": 421} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d, want %d", host, w.Code, want)
		}
	}
}

// TestPageLoadsNothingElsewhere checks that no file of the page loads from another origin, and
// that none writes HTML.
func TestPageLoadsNothingElsewhere(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	get := func(file string) string {
		resp := request(t, "GET", w.url+file, nil, "")
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("read %s: %v", file, err)
		}
		if resp.StatusCode != 200 {
			t.Fatalf("%s: status is %d, want 200", file, resp.StatusCode)
		}
		return string(b)
	}
	files := []string{"/", "/main.js", "/common/base.css", "/base.css", "/panes.css", "/preview.css", "/data.css"}
	for i := 0; i < len(files); i++ {
		f := files[i]
		text := get(f)
		for line := range strings.Lines(text) {
			_, from, ok := strings.Cut(line, `from "./`)
			if name := path.Join(path.Dir(f), strings.TrimRight(from, "\";\n")); ok && !slices.Contains(files, name) {
				files = append(files, name)
			}
		}
		text = glyphs.ReplaceAllString(text, "")
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "new Function", "@import", "url(", "src=\"http", "href=\"http", "style=\""} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %q, want it without", f, bad)
			}
		}
	}
	if len(files) < 20 {
		t.Errorf("found %d files, want at least 20: %v", len(files), files)
	}
}

// glyphs finds the only pictures of the style sheets, which are the page's own.
var glyphs = regexp.MustCompile(`url\(glyphs/[a-z]+\.svg\)`)

// exported finds what a script defines for others, defined also what it defines for itself,
// and valued the variables of a style sheet with their values.
var (
	exported = regexp.MustCompile(`(?m)^export (?:async )?(?:const|let|function|class) ([$\w]+)`)
	defined  = regexp.MustCompile(`(?m)^(?:export )?(?:async )?(?:const|let|function|class) ([$\w]+)`)
	valued   = regexp.MustCompile(`(--[a-z-]+: [^;]+);`)
)

// TestCommonCodeIsWrittenOnce checks that neither page defines again what shared/page has
// for both, nor sets a colour to the common value again.
func TestCommonCodeIsWrittenOnce(t *testing.T) {
	t.Parallel()
	const console = "../../shared/page/files"
	for ext, finds := range map[string]struct{ common, again *regexp.Regexp }{"js": {exported, defined}, "css": {valued, valued}} {
		t.Run(ext, func(t *testing.T) {
			t.Parallel()
			common := map[string]string{} // the file by what it defines
			eachDefinition(t, filepath.Join(console, "common", "*."+ext), finds.common, func(file, name string) { common[name] = file })
			if len(common) == 0 {
				t.Fatalf("the files *.%s in %s/common define nothing", ext, console)
			}

			for _, dir := range []string{"page", console} {
				eachDefinition(t, filepath.Join(dir, "*."+ext), finds.again, func(file, name string) {
					if common[name] != "" {
						t.Errorf("%s defines %s again, which is in %s", file, name, common[name])
					}
				})
			}
		})
	}
}

// eachDefinition passes what finds finds in the files of a pattern to do, with its file.
func eachDefinition(t *testing.T, pattern string, finds *regexp.Regexp, do func(file, name string)) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatalf("listing %s: %v", pattern, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		for _, found := range finds.FindAllStringSubmatch(string(text), -1) {
			do(file, found[1])
		}
	}
}

// TestToAnotherProcess checks that To forwards streams without buffering, and that it removes
// cookies and the origin.
func TestToAnotherProcess(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	target, err := url.Parse(w.fcm.URL())
	if err != nil {
		t.Fatal(err)
	}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s cookie=%q origin=%q", r.Method, r.URL.Path, r.Header.Get("Cookie"), r.Header.Get("Origin"))
	})
	behind := httptest.NewServer(api)
	t.Cleanup(behind.Close)
	apiURL, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	page := httptest.NewServer(inbox.Handler(inbox.Options{FCM: inbox.To(target), API: inbox.To(apiURL)}))
	t.Cleanup(page.CloseClientConnections)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", page.URL+"/emulator/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && lines.Text() != ": listening" {
	}
	w.send(t, object{"token": "streamed-phone:1", "notification": object{"title": "x"}})
	for lines.Scan() && !strings.Contains(lines.Text(), "streamed-phone:1") {
	}
	if lines.Err() != nil {
		t.Errorf("reading the stream of events: %v", lines.Err())
	}
	got := request(t, "POST", page.URL+"/v1/mailings", map[string]string{"Cookie": "session=secret", "Origin": page.URL}, "{}")
	b, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(b), `POST /v1/mailings cookie="" origin=""`; got != want {
		t.Errorf("the proxied request is %s, want %s", got, want)
	}
}
