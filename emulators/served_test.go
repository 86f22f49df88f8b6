package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carillon.example/emulators/client"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/emulators/transfer"
)

// running is a running command, with the addresses that it printed.
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
	t.Fatalf("the command ended before it was ready: %s", errs.String())
	return nil
}

// ask sends a request to the API, with headers as pairs.
func (r *running) ask(t *testing.T, method, path, body string, header ...string) testcloud.Answer {
	t.Helper()
	return testcloud.At(t, r.addr["API"]).Ask(method, path, body, header...)
}

func TestServed(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	t.Run("mailing", func(t *testing.T) { r.testMailing(t) })
	t.Run("faults", func(t *testing.T) { r.testFaults(t) })
	t.Run("import", func(t *testing.T) { r.testImport(t) })
	t.Run("import of CSV", func(t *testing.T) { r.testImportOfCSV(t) })
	t.Run("openapi", func(t *testing.T) { r.testOpenAPI(t) })
}

func TestOnly(t *testing.T) {
	t.Parallel()
	r := serveCommand(t, "-only", "fcm")
	if r.addr["FCM"] == "" {
		t.Error("FCM is not served")
	}
	if got := r.addr["API"]; got != "" {
		t.Errorf("the API is served at %s, want it off", got)
	}
	if got, want := r.addr["Firestore"], os.Getenv("FIRESTORE_EMULATOR_HOST"); got != want {
		t.Errorf("Firestore is at %q, want %q", got, want)
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

// TestOnlyAuth signs up at Firebase Auth, which starts without anything else of Carillon.
func TestOnlyAuth(t *testing.T) {
	t.Parallel()
	r := serveCommand(t, "-only", "auth", "-auth", "127.0.0.1:0")
	for _, server := range []string{"API", "Devices", "FCM", "Inbox"} {
		check.Equal(t, r.addr[server], "", "address of %s", server)
	}
	account := testcloud.Decode[struct{ IDToken, LocalID string }](testcloud.At(t, "http://"+r.addr["Auth"]).Ask(
		"POST", "/identitytoolkit.googleapis.com/v1/accounts:signUp?key=any", `{"email":"ada@example.com","password":"secret-1"}`), http.StatusOK)
	if account.IDToken == "" || account.LocalID == "" {
		t.Errorf("the answer to a sign-up is %+v, want an ID token and a user id", account)
	}
}

// testMailing sends the first mailing of the README.
func (r *running) testMailing(t *testing.T) {
	if a := r.ask(t, "POST", "/v1/customers/anna/tokens", `{"token":"anna-phone:APA91bExample","platform":"android","app":"shop"}`); a.Code != http.StatusCreated {
		t.Fatalf("registering: %v", a)
	}
	created := r.ask(t, "POST", "/v1/mailings", `{"message":{"notification":{"title":"Spring sale"}},"audience":{"customers":["anna","nobody"]}}`)
	if created.Code != http.StatusAccepted {
		t.Fatalf("creating the mailing: status %d, want 202: %v", created.Code, created)
	}
	if created.Header.Get("Location") == "" {
		t.Fatalf("creating the mailing: no Location: %v", created)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	c := client.New(r.addr["API"])
	m, err := c.Follow(ctx, filepath.Base(created.Header.Get("Location")), func(*client.Mailing) {})
	if err != nil {
		t.Fatal(err)
	}
	if m.State != "completed" {
		t.Errorf("the mailing is %s, want completed", m.State)
	}
	if m.Tokens.Accepted != 1 {
		t.Errorf("%d tokens accepted, want 1", m.Tokens.Accepted)
	}
	if m.Customers.Excluded.Unknown != 1 {
		t.Errorf("%d customers unknown, want 1", m.Customers.Excluded.Unknown)
	}
	resp, err := http.Get(r.addr["FCM"] + "/emulator/messages?mailing=" + m.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for _, want := range []string{"anna-phone:APA91bExample", "Spring sale", `"customer_id"`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the messages of the phone lack %q: %s", want, b)
		}
	}
}

// testFaults checks that the answer to bad input names every fault.
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
			a := r.ask(t, c.method, c.path, c.body, "Content-Type", c.contentType)
			if a.Code != c.status {
				t.Errorf("%d, want %d: %s", a.Code, c.status, a.Body)
			}
			for _, want := range c.want {
				if !strings.Contains(a.Body, want) {
					t.Errorf("the answer does not name %q: %s", want, a.Body)
				}
			}
			if len(a.Body) > 20_000 {
				t.Errorf("the answer has %d bytes, want at most 20000", len(a.Body))
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
		if err == nil {
			t.Error("the import of a bad line exits with 0")
		}
		for _, want := range []string{"2499 customers imported, 1 lines refused", "line 3: "} {
			if !strings.Contains(string(out), want) {
				t.Errorf("the output is %s, want %q in it", out, want)
			}
		}
	}

	a := r.ask(t, "GET", "/v1/customers/import-2499", "")
	if a.Code != http.StatusOK {
		t.Errorf("the last customer: status %d, want 200", a.Code)
	}
	if want := `"pushAvailable":true`; !strings.Contains(a.Body, want) {
		t.Errorf("the last customer: %s, want %s in it", a.Body, want)
	}
}

// testImportOfCSV streams a file with a cell of two lines at the end of the first chunk, and
// with a bad row after it.
func (r *running) testImportOfCSV(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Customers.CSV")
	var b strings.Builder
	b.WriteString("\ufeffid,token,platform,attributes.note\r\n")
	for line := 2; line <= 2300; line++ {
		switch line {
		case transfer.MaxChunkLines + 1:
			fmt.Fprintf(&b, "csv-%d,csv-%d:token,ios,\"two\r\n", line, line)
		case transfer.MaxChunkLines + 2:
			b.WriteString("lines\"\r\n")
		case transfer.MaxChunkLines + 5:
			b.WriteString("csv-bad,csv-bad:token,tv,\r\n")
		default:
			fmt.Fprintf(&b, "csv-%d,csv-%d:token,android,\r\n", line, line)
		}
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := command(t.Context(), "import", "-to", r.addr["API"], file).CombinedOutput()
	if err == nil {
		t.Error("the import of a bad line exits with 0, want an error")
	}
	for _, want := range []string{"2297 rows imported, 1 lines refused", fmt.Sprintf("line %d: platform: ", transfer.MaxChunkLines+5)} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output is %s, want %q in it", out, want)
		}
	}
	if a := r.ask(t, "GET", fmt.Sprintf("/v1/customers/csv-%d", transfer.MaxChunkLines+1), ""); !strings.Contains(a.Body, `"two\nlines"`) {
		t.Errorf("the customer at the end of the first chunk: %v, want an attribute of two lines", a)
	}
}

// wantPage checks that a path is answered with 200 and a body that has all texts.
func (r *running) wantPage(t *testing.T, path string, texts ...string) {
	t.Helper()
	a := r.ask(t, "GET", path, "")
	if a.Code != http.StatusOK {
		t.Errorf("%s: status %d, want 200", path, a.Code)
	}
	for _, want := range texts {
		if !strings.Contains(a.Body, want) {
			t.Errorf("%s: %q is missing in %.300s", path, want, a.Body)
		}
	}
}

func (r *running) testOpenAPI(t *testing.T) {
	for path, want := range map[string]string{"/mailings/openapi.json": "/v1/mailings/{id}", "/customers/openapi.json": "/v1/customers/{customer}"} {
		r.wantPage(t, path, want, `"openapi":"3.1`)
		r.wantPage(t, strings.TrimSuffix(path, "openapi.json"), want)
	}
}
