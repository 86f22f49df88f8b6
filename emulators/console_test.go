package main

import (
	"bytes"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
)

// ofThePage are the headers with which the console's page changes something.
var ofThePage = []string{"Sec-Fetch-Site", "same-origin", "X-Carillon-Console", "1", "Content-Type", "application/json"}

// TestConsole sends a mailing through the console on the laptop, and checks that the
// mailing names the person and not the console.
func TestConsole(t *testing.T) {
	t.Parallel()
	r := serveCommand(t, "-console", "127.0.0.1:0")
	console := testcloud.At(t, r.addr["Console"])
	if a := console.Ask("GET", "/", ""); a.Code != 200 || !strings.Contains(a.Body, "Carillon") {
		t.Errorf("the page: %v", a)
	}
	if a := console.Ask("GET", "/console.json", ""); !strings.Contains(a.Body, `"email":"you@laptop","project":"demo`) || !strings.Contains(a.Body, `"role":"send"`) {
		t.Errorf("who is there: %v", a)
	}

	draft := `{"message":{"notification":{"title":"From the console"}},"audience":{"everyone":true},"dryRun":true}`
	if a := console.Ask("POST", "/v1/mailings", draft); a.Code != 403 {
		t.Errorf("a request that the page did not send: %v", a)
	}
	sent := testcloud.Decode[struct{ ID string }](console.Ask("POST", "/v1/mailings", draft, ofThePage...), 202)
	got := testcloud.Decode[struct{ CreatedBy string }](r.ask(t, "GET", "/v1/mailings/"+sent.ID, ""), 200)
	if got.CreatedBy != "you@laptop" {
		t.Errorf("the mailing was created by %q, want you@laptop", got.CreatedBy)
	}
	if a := console.Ask("GET", "/v1/settings", "", ofThePage...); a.Code != 200 || !strings.Contains(a.Body, `"devices"`) {
		t.Errorf("the settings: %v", a)
	}
}

// TestConsoleIsOff: without its flag, the console is not served.
func TestConsoleIsOff(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	if got := r.addr["Console"]; got != "" {
		t.Errorf("the console is served at %s, want it off", got)
	}
	for name, args := range map[string][]string{"-console does not go with -only": {"-only", "fcm", "-console", "127.0.0.1:0"}, "-api is empty": {"-api", "", "-console", "127.0.0.1:0"}} {
		var out bytes.Buffer
		if err := runCommand(t.Context(), args, &out); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v ends with %v, want %s", args, err, name)
		}
	}
}
