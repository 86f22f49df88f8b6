package main

import (
	"net/http"
	"strings"
	"testing"

	"carillon.example/emulators/official"
	"carillon.example/emulators/testcloud"
)

// TestPagesOfOtherSitesGetInNowhere checks that every server refuses pages of other sites:
// under another host name, and with requests that change something. Programs are accepted,
// and so are pages of ALLOWED_ORIGINS at the function devices.
func TestPagesOfOtherSitesGetInNowhere(t *testing.T) {
	const page = "http://localhost:3000"
	t.Setenv("ALLOWED_ORIGINS", page)
	r := serveCommand(t, "-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0")
	ask := func(t *testing.T, url, method, path, body, host string, header ...string) testcloud.Answer {
		t.Helper()
		q, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		q.Host = host
		for i := 0; i < len(header); i += 2 {
			q.Header.Set(header[i], header[i+1])
		}
		return testcloud.At(t, url).Send(q)
	}

	type request struct {
		url, method, path, body string
		program                 int // status of the answer to a program
	}
	checkProtected := func(t *testing.T, c request) {
		t.Helper()
		if a := ask(t, c.url, c.method, c.path, c.body, "evil.example:80"); a.Code != 421 {
			t.Errorf("with the host name of another site: %v, want 421", a)
		}
		if a := ask(t, c.url, c.method, c.path, c.body, "localhost:80"); a.Code != c.program {
			t.Errorf("from a program: %v, want %d", a, c.program)
		}
		if c.url == r.addr["Devices"] { // it answers pages on purpose
			return
		}
		if a := ask(t, c.url, c.method, c.path, c.body, "", "Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"); a.Code != 403 {
			t.Errorf("from a page of another site: %v, want 403", a)
		}
	}

	for name, c := range map[string]request{
		"API":     {r.addr["API"], "POST", "/v1/mailings/none/cancel", "", 404},
		"Devices": {r.addr["Devices"], "GET", "/openapi.json", "", 401},
		"FCM":     {r.addr["FCM"], "DELETE", "/emulator/messages", "", 204},
		"Auth":    {"http://" + r.addr["Auth"], "POST", "/emulator/tokens", `{"sub":"anna"}`, 200},
	} {
		t.Run(name, func(t *testing.T) { checkProtected(t, c) })
	}
	t.Run("Firestore", func(t *testing.T) {
		official.Skip(t)
		checkProtected(t, request{"http://" + r.addr["Firestore"], "DELETE", "/emulator/v1/projects/p/databases/d/documents", "", 200})
	})

	issued := testcloud.Decode[struct{ IDToken string }](testcloud.At(t, "http://"+r.addr["Auth"]).Ask("POST", "/emulator/tokens", `{"sub":"page-of-devices"}`), 200)
	a := ask(t, r.addr["Devices"], "POST", "/v1/devices", `{"token":"page-phone:APA91b","platform":"web"}`, "",
		"Content-Type", "application/json", "Authorization", "Bearer "+issued.IDToken, "Origin", page, "Sec-Fetch-Site", "cross-site")
	if a.Code != 201 {
		t.Errorf("a page of ALLOWED_ORIGINS: %v, want 201", a)
	}
	if got := a.Header.Get("Access-Control-Allow-Origin"); got != page {
		t.Errorf("a page of ALLOWED_ORIGINS: Access-Control-Allow-Origin is %q, want %q", got, page)
	}
}
