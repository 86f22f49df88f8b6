package main

import (
	"bytes"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
)

// TestDevices is an app's way on the laptop: an ID token of the Firebase Auth
// that is served there, a registration, a push, and the way back.
func TestDevices(t *testing.T) {
	t.Parallel()
	r := serveCommand(t, "-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0")
	for _, server := range []string{"Devices", "Auth"} {
		if r.addr[server] == "" {
			t.Fatalf("%s is not served: %v", server, r.addr)
		}
	}
	devices := testcloud.At(t, r.addr["Devices"])
	issued := testcloud.Decode[struct{ IDToken string }](testcloud.At(t, "http://"+r.addr["Auth"]).Ask("POST", "/emulator/tokens", `{"sub":"anna-of-devices"}`), 200)
	const registration = `{"token":"anna-own-phone:APA91b","platform":"android","app":"shop"}`
	if a := devices.Ask("POST", "/v1/devices", registration); a.Code != 401 {
		t.Errorf("without an ID token: %v", a)
	}
	token := testcloud.Decode[struct{ ID string }](devices.Ask("POST", "/v1/devices", registration, "Authorization", "Bearer "+issued.IDToken), 201)
	available := func(want string) {
		t.Helper()
		if a := r.ask(t, "GET", "/v1/customers/anna-of-devices", ""); a.Code != 200 || !strings.Contains(a.Body, want) {
			t.Errorf("%v; want %s", a, want)
		}
	}
	available(`"pushAvailable":true`)
	if a := r.ask(t, "POST", "/v1/devices", registration); a.Code != 404 {
		t.Errorf("the backend's API serves it, too: %v", a)
	}
	if a := devices.Ask("DELETE", "/v1/devices/"+token.ID, "", "Authorization", "Bearer "+issued.IDToken); token.ID == "" || a.Code != 204 {
		t.Errorf("unregistering %q: %v", token.ID, a)
	}
	available(`"pushAvailable":false`)
}

// TestDevicesIsOff: without its flag, the function for apps is not served.
func TestDevicesIsOff(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	for _, server := range []string{"Devices", "Auth"} {
		if got := r.addr[server]; got != "" {
			t.Errorf("%s is served at %s, want it off", server, got)
		}
	}
	if a := r.ask(t, "POST", "/v1/devices", `{"token":"x","platform":"web"}`); a.Code != 404 {
		t.Errorf("answered %v", a)
	}
	var out bytes.Buffer
	if err := runCommand(t.Context(), []string{"-only", "fcm", "-devices", "127.0.0.1:0"}, &out); err == nil || !strings.Contains(err.Error(), "-devices") {
		t.Errorf("-only with -devices: %v", err)
	}
}
