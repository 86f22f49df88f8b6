package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestDevices is an app's way on the laptop: an ID token of the Firebase Auth
// that is served there, a registration, a push, and the way back.
func TestDevices(t *testing.T) {
	t.Parallel()
	const js = "application/json"
	r := serveCommand(t, "-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0")
	if r.addr["Devices"] == "" || r.addr["Auth"] == "" {
		t.Fatalf("it printed %v", r.addr)
	}
	var issued struct{ IDToken string }
	if code, body := ask(t, "POST", "http://"+r.addr["Auth"]+"/emulator/tokens", "", `{"sub":"anna-of-devices"}`); code != 200 || json.Unmarshal([]byte(body), &issued) != nil {
		t.Fatalf("%d %s", code, body)
	}
	const registration = `{"token":"anna-own-phone:APA91b","platform":"android","app":"shop"}`
	if code, body := ask(t, "POST", r.addr["Devices"]+"/v1/devices", "", registration); code != 401 {
		t.Errorf("without an ID token: %d %s", code, body)
	}
	code, body := ask(t, "POST", r.addr["Devices"]+"/v1/devices", issued.IDToken, registration)
	var token struct{ ID string }
	if code != 201 || json.Unmarshal([]byte(body), &token) != nil || token.ID == "" {
		t.Fatalf("registering: %d %s", code, body)
	}
	available := func(want string) {
		t.Helper()
		if code, _, body := r.do(t, "GET", "/v1/customers/anna-of-devices", js, ""); code != 200 || !strings.Contains(body, want) {
			t.Errorf("%d %s; want %s", code, body, want)
		}
	}
	available(`"pushAvailable":true`)
	if code, _, body := r.do(t, "POST", "/v1/devices", js, registration); code != 404 {
		t.Errorf("the backend's API serves it, too: %d %s", code, body)
	}
	if code, body := ask(t, "DELETE", r.addr["Devices"]+"/v1/devices/"+token.ID, issued.IDToken, ""); code != 204 {
		t.Errorf("unregistering: %d %s", code, body)
	}
	available(`"pushAvailable":false`)
}

// TestDevicesIsOff: nobody gets the public function who did not ask for it.
func TestDevicesIsOff(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	if r.addr["Devices"] != "" || r.addr["Auth"] != "" {
		t.Errorf("it printed %v", r.addr)
	}
	if code, _, _ := r.do(t, "POST", "/v1/devices", "application/json", `{"token":"x","platform":"web"}`); code != 404 {
		t.Errorf("answered %d", code)
	}
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-only", "fcm", "-devices", "127.0.0.1:0"}, &out); err == nil || !strings.Contains(err.Error(), "-devices") {
		t.Errorf("-only with -devices: %v", err)
	}
}

// ask sends JSON with an ID token, "" for none.
func ask(t *testing.T, method, url, idToken, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if idToken != "" {
		req.Header.Set("Authorization", "Bearer "+idToken)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b.String()
}
