package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test binary stand for the command itself: a process each,
// as it is used.
func TestMain(m *testing.M) {
	if os.Getenv("CARILLON_RUN_COMMAND") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// command is `go run ./emulators args…`.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = ".." // the repository's root
	cmd.Env = append(os.Environ(), "CARILLON_RUN_COMMAND=1")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// embedded skips what counts on servers of its own.
func embedded(t *testing.T) {
	t.Helper()
	for _, v := range []string{"FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"} {
		if os.Getenv(v) != "" {
			t.Skipf("%s is set: this test counts what the embedded server bills", v)
		}
	}
}

func TestDemoEndsWithEverySumRight(t *testing.T) {
	t.Parallel()
	out, err := command(t.Context(), "demo").CombinedOutput()
	if err != nil {
		t.Fatalf("the demo failed: %v\n%s", err, out)
	}
	for _, want := range []string{"1000 customers imported", "first mailing", "UNREGISTERED", "INVALID_ARGUMENT",
		"cannot be reached any more", "now belongs to customer newcomer alone", "second mailing", "passed", "422", "Every sum adds up."} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
}

func TestLoadReportsWhatItTook(t *testing.T) {
	t.Parallel()
	embedded(t)
	out, err := command(t.Context(), "load", "-customers", "3000", "-fcm-latency", "5ms").CombinedOutput()
	if err != nil {
		t.Fatalf("load failed: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var m measured
	dec := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("the last line is no report: %v\n%s", err, out)
	}
	if m.Customers != 3000 || m.Tokens < 3000 || m.FCM.Requests < m.Tokens || m.FCM.Duplicates != 0 || m.Firestore.Reads < 3000 {
		t.Errorf("reported %+v", m)
	}
}

func TestCommandsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"dance", `there is no command "dance"`},
		{"-only firebase", `there is no emulator "firebase"`},
		{"load -customers 0", "at least one customer"},
		{"import", "name one file"},
		{"import /does/not/exist", "no such file"},
	} {
		var out bytes.Buffer
		if err := run(t.Context(), strings.Fields(c.args), &out); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}

// A running command and the addresses it printed.
type running struct {
	addr map[string]string
	cmd  *exec.Cmd
}

func serveCommand(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	free := []string{"-api", "127.0.0.1:0", "-firestore", "127.0.0.1:0", "-pubsub", "127.0.0.1:0", "-fcm", "127.0.0.1:0", "-ui", "127.0.0.1:0", "-log", "error"}
	cmd := command(ctx, append(free, args...)...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_, _ = io.Copy(io.Discard, pipe)
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			t.Errorf("the command ended with %v: %s", err, errs.String())
		}
	})
	r := &running{addr: map[string]string{}, cmd: cmd}
	sc := bufio.NewScanner(pipe)
	for sc.Scan() {
		if sc.Text() == "ready" {
			return r
		}
		if f := strings.Fields(sc.Text()); len(f) == 2 {
			r.addr[f[0]] = f[1]
		}
	}
	t.Fatalf("it never got ready: %s", errs.String())
	return nil
}

func TestServed(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	t.Run("mailing", func(t *testing.T) { r.testMailing(t) })
	t.Run("faults", func(t *testing.T) { r.testFaults(t) })
	t.Run("import", func(t *testing.T) { r.testImport(t) })
	t.Run("openapi", func(t *testing.T) { r.testOpenAPI(t) })
}

func TestOnly(t *testing.T) {
	t.Parallel()
	r := serveCommand(t, "-only", "fcm")
	if r.addr["FCM"] == "" || r.addr["API"] != "" || r.addr["Firestore"] != os.Getenv("FIRESTORE_EMULATOR_HOST") {
		t.Errorf("it printed %v", r.addr)
	}
	resp, err := http.Get(r.addr["FCM"] + "/emulator/stats")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("FCM answers %s", resp.Status)
	}
}

// do sends a request and returns status and body.
func (r *running) do(t *testing.T, method, path, contentType, body string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.addr["API"]+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// testMailing is README's first mailing.
func (r *running) testMailing(t *testing.T) {
	const js = "application/json"
	if code, _, body := r.do(t, "POST", "/v1/customers/anna/tokens", js, `{"token":"anna-phone:APA91bExample","platform":"android","app":"shop"}`); code != http.StatusCreated {
		t.Fatalf("registering: %d %s", code, body)
	}
	code, head, body := r.do(t, "POST", "/v1/mailings", js, `{"message":{"notification":{"title":"Spring sale"}},"audience":{"customers":["anna","nobody"]}}`)
	if code != http.StatusAccepted || head.Get("Location") == "" {
		t.Fatalf("handing in: %d %s", code, body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := newClient(r.addr["API"])
	m, err := c.follow(ctx, filepath.Base(head.Get("Location")), func(*mailing) {})
	if err != nil {
		t.Fatal(err)
	}
	if m.State != "completed" || m.Tokens.Accepted != 1 || m.Customers.Excluded.Unknown != 1 {
		t.Errorf("%+v", m)
	}
	resp, err := http.Get(r.addr["FCM"] + "/emulator/messages?mailing=" + m.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for _, want := range []string{"anna-phone:APA91bExample", "Spring sale", `"customer_id"`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the phone did not get %s: %s", want, b)
		}
	}
}

// testFaults: bad input gets an answer that names every fault.
func (r *running) testFaults(t *testing.T) {
	const js = "application/json"
	for name, c := range map[string]struct {
		method, path, contentType, body string
		status                          int
		want                            []string
	}{
		"no audience":        {"POST", "/v1/mailings", js, `{"message":{"data":{"a":"b"}}}`, 422, []string{"audience"}},
		"unknown field":      {"POST", "/v1/mailings", js, `{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"colour":"red"}`, 422, []string{"colour"}},
		"oversized message":  {"POST", "/v1/mailings", js, `{"message":{"data":{"a":"` + strings.Repeat("x", 5000) + `"}},"audience":{"everyone":true}}`, 422, []string{"body.message"}},
		"no JSON":            {"POST", "/v1/mailings", js, `hello`, 400, nil},
		"long customer id":   {"POST", "/v1/mailings", js, `{"message":{"data":{"a":"b"}},"audience":{"customers":["` + strings.Repeat("x", 10_000) + `"]}}`, 422, []string{"body.audience.customers[0]", "10000 bytes"}},
		"two faults":         {"POST", "/v1/mailings", js, `{"message":{"token":"t"},"audience":{"everyone":true,"tokens":["t"]},"lifetime":"1s"}`, 422, []string{"body.message.token", "body.audience", "body.lifetime"}},
		"no such mailing":    {"GET", "/v1/mailings/nothing", "", ``, 404, nil},
		"no such customer":   {"GET", "/v1/customers/nothing", "", ``, 404, nil},
		"no content type":    {"POST", "/v1/mailings", "", `{}`, 415, nil},
		"no such path":       {"GET", "/v2/anything", "", ``, 404, nil},
		"wrong method":       {"DELETE", "/v1/mailings", "", ``, 405, nil},
		"token without name": {"POST", "/v1/customers/anna/tokens", js, `{"platform":"pager"}`, 422, []string{"platform"}},
		"long id in path":    {"GET", "/v1/customers/" + strings.Repeat("x", 10_000), "", ``, 422, nil},
	} {
		t.Run(name, func(t *testing.T) {
			code, head, body := r.do(t, c.method, c.path, c.contentType, c.body)
			if code != c.status {
				t.Errorf("%d, want %d: %s", code, c.status, body)
			}
			if got := head.Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("answered as %s: %s", got, body)
			}
			for _, want := range c.want {
				if !strings.Contains(body, want) {
					t.Errorf("%q is not named: %s", want, body)
				}
			}
			if len(body) > 20_000 {
				t.Errorf("the answer is %d bytes long", len(body))
			}
		})
	}
}

// testImport streams a file whose third line is bad, twice.
func (r *running) testImport(t *testing.T) {
	file := filepath.Join(t.TempDir(), "customers.ndjson")
	var b strings.Builder
	for i := range 2500 {
		if i == 2 {
			b.WriteString("{\"id\":\"\"}\n")
			continue
		}
		fmt.Fprintf(&b, "{\"id\":\"import-%d\",\"tokens\":[{\"token\":\"import-%d:token\",\"platform\":\"android\"}]}\n", i, i)
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		out, err := command(t.Context(), "import", "-to", r.addr["API"], file).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "2499 customers imported, 1 lines refused") || !strings.Contains(string(out), "line 3: ") {
			t.Errorf("%v: %s", err, out)
		}
	}
	code, _, body := r.do(t, "GET", "/v1/customers/import-2499", "", "")
	if code != http.StatusOK || !strings.Contains(body, `"pushAvailable":true`) {
		t.Errorf("the last customer: %d %s", code, body)
	}
}

func (r *running) testOpenAPI(t *testing.T) {
	for path, want := range map[string]string{"/mailings/openapi.json": "/v1/mailings/{id}", "/customers/openapi.json": "/v1/customers/{customer}"} {
		code, _, body := r.do(t, "GET", path, "", "")
		if code != http.StatusOK || !strings.Contains(body, want) || !strings.Contains(body, `"openapi":"3.1`) {
			t.Errorf("%s: %d %.300s", path, code, body)
		}
	}
}
