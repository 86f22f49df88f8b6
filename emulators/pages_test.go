package main

import (
	"net/http"
	"strings"
	"testing"

	"carillon.example/emulators/auth"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/pubsub"
	"carillon.example/emulators/testcloud/check"
)

// TestPagesOfThisMachine checks which emulators a page on another port of this machine may
// use. It starts our servers even if the environment names others.
func TestPagesOfThisMachine(t *testing.T) {
	t.Parallel()
	documents, err := firestore.Start("127.0.0.1:0", firestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(documents.Close)
	messages, err := pubsub.Start("127.0.0.1:0", pubsub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(messages.Close)
	accounts, err := auth.Start("127.0.0.1:0", auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(accounts.Close)
	phones, err := fcm.Start("127.0.0.1:0", fcm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(phones.Close)

	for name, server := range map[string]struct {
		addr, method, path, body string
		shared                   bool // with the pages of this machine
	}{
		"Firestore": {documents.Addr(), "PATCH", "/v1/projects/p/databases/(default)/documents/shops/riga", `{"fields":{"open":{"booleanValue":true}}}`, true},
		"Pub/Sub":   {messages.Addr(), "PUT", "/v1/projects/p/topics/orders", `{}`, true},
		"Auth":      {accounts.Addr(), "POST", "/identitytoolkit.googleapis.com/v1/accounts:signUp?key=any", `{}`, true},
		"FCM":       {phones.Addr(), "DELETE", "/emulator/messages", ``, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, page := range []struct {
				name, origin string
				allowed      bool
			}{
				{"another site", "http://evil.example", false},
				{"a page of this machine", "http://localhost:3000", server.shared},
			} {
				status, readable := 403, ""
				if page.allowed {
					status, readable = 200, page.origin
				}
				url := "http://" + server.addr + server.path
				header := []string{"Origin", page.origin, "Sec-Fetch-Site", "cross-site"}
				_, allowed := request(t, http.MethodOptions, url, "", append(header, "Access-Control-Request-Method", server.method, "Access-Control-Request-Headers", "content-type")...)
				check.Equal(t, allowed, readable, "%s: origin that may send the request", page.name)
				code, allowed := request(t, server.method, url, server.body, header...)
				check.Equal(t, code, status, "%s: status", page.name)
				check.Equal(t, allowed, readable, "%s: origin that may read the answer", page.name)
			}

			// A program sends no Origin. The page of this machine has created the topic.
			code, allowed := request(t, server.method, "http://"+server.addr+server.path, server.body)
			check.Equal(t, code < 300 || code == http.StatusConflict, true, "that a program is served (status %d)", code)
			check.Equal(t, allowed, "", "a program: origin that may read the answer")
		})
	}
}

// request sends a request with headers as pairs. It returns the status, and the origin whose
// pages may read the answer.
func request(t *testing.T, method, url, body string, header ...string) (code int, origin string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode, res.Header.Get("Access-Control-Allow-Origin")
}
