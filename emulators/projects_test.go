package main

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/client"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
)

// TestARetailerWithTwoFirebaseProjects runs the functions with a shop and a pharmacy,
// each in a Firebase project of its own, which refuses the tokens of the other. Carillon's
// own project is none of them, and would refuse the payload. A mailing and a message to
// one customer reach both apps.
func TestARetailerWithTwoFirebaseProjects(t *testing.T) {
	t.Setenv("FIREBASE_PROJECTS", "*=shop-prod,pharmacy=pharmacy-prod")
	t.Setenv("FIREBASE_QUOTAS", "pharmacy-prod=60000")
	r := serveCommand(t)
	phones := testcloud.At(t, r.addr["FCM"])
	testcloud.Decode[any](phones.Ask("PUT", "/emulator/outcomes", `[
		{"token": "shop-*", "project": "pharmacy-prod", "outcome": "SENDER_ID_MISMATCH"},
		{"token": "pharmacy-*", "project": "shop-prod", "outcome": "SENDER_ID_MISMATCH"},
		{"token": "/topics/carillon-proof", "outcome": "PAYLOAD_FIELD"},
		{"token": "/topics/carillon-proof", "project": "shop-prod", "outcome": "OK"}]`), 200)
	for _, app := range []string{"shop", "pharmacy"} {
		testcloud.Decode[any](r.ask(t, "POST", "/v1/customers/anna/tokens", `{"token": "`+app+`-phone-of-anna", "platform": "android", "app": "`+app+`"}`), 201)
	}
	want := map[string]string{"shop-phone-of-anna": "shop-prod", "pharmacy-phone-of-anna": "pharmacy-prod"}
	projects := func(of string) map[string]string {
		out := map[string]string{}
		type list struct{ Messages []fcm.Message }
		for _, m := range testcloud.Decode[list](phones.Ask("GET", "/emulator/messages?mailing="+of, ""), 200).Messages {
			out[m.Token] = m.Project
		}
		return out
	}

	c := client.New(r.addr["API"])
	id, err := c.SendMailing(t.Context(), json.RawMessage(`{"message":{"notification":{"title":"x"}},"audience":{"everyone":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	m, err := c.Follow(ctx, id, func(*client.Mailing) {})
	if err != nil {
		t.Fatal(err)
	}
	if m.Tokens.Accepted != 2 {
		t.Errorf("%+v, want that both tokens are accepted", m)
	}
	if diff := cmp.Diff(want, projects(id)); diff != "" {
		t.Errorf("projects of the mailing's messages (-want +got):\n%s", diff)
	}

	single := testcloud.Decode[struct{ ID string }](r.ask(t, "POST", "/v1/messages?wait=20s", `{"customer":"anna","message":{"notification":{"title":"x"}}}`), 200)
	if diff := cmp.Diff(want, projects(single.ID)); diff != "" {
		t.Errorf("projects of the message to one customer (-want +got):\n%s", diff)
	}
}
