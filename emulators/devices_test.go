package main

import (
	"bytes"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

// TestDevices does what an app does: it gets an ID token from the emulator of Firebase
// Auth, registers a push token, and unregisters it.
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
		t.Errorf("without an ID token: %v, want 401", a)
	}
	token := testcloud.Decode[struct{ ID string }](devices.Ask("POST", "/v1/devices", registration, "Authorization", "Bearer "+issued.IDToken), 201)
	available := func(want string) {
		t.Helper()
		a := r.ask(t, "GET", "/v1/customers/anna-of-devices", "")
		if a.Code != 200 {
			t.Errorf("reading the customer: %v, want 200", a)
		}
		if !strings.Contains(a.Body, want) {
			t.Errorf("the customer is %s, want %s in it", a.Body, want)
		}
	}
	available(`"pushAvailable":true`)
	if a := r.ask(t, "POST", "/v1/devices", registration); a.Code != 404 {
		t.Errorf("the function at the address of the API: %v, want 404", a)
	}
	if token.ID == "" {
		t.Error("the registration has no id")
	}
	if a := devices.Ask("DELETE", "/v1/devices/"+token.ID, "", "Authorization", "Bearer "+issued.IDToken); a.Code != 204 {
		t.Errorf("unregistering %q: %v, want 204", token.ID, a)
	}
	available(`"pushAvailable":false`)
}

// TestDevicesIsOff checks that without its flag the function for apps is not served.
func TestDevicesIsOff(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	for _, server := range []string{"Devices", "Auth"} {
		if got := r.addr[server]; got != "" {
			t.Errorf("%s is served at %s, want it off", server, got)
		}
	}
	if a := r.ask(t, "POST", "/v1/devices", `{"token":"x","platform":"web"}`); a.Code != 404 {
		t.Errorf("registering at the API: %v, want 404", a)
	}
	var out bytes.Buffer
	err := runCommand(t.Context(), []string{"-only", "fcm", "-devices", "127.0.0.1:0"}, &out)
	check.Error(t, "-only with -devices", err, "-devices")
}
