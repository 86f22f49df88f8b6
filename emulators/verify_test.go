package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/emulators/verify"
)

// verifyAt runs the command verify for a running API.
func verifyAt(t *testing.T, url string, args ...string) (out string, err error) {
	t.Helper()
	var b bytes.Buffer
	err = verify.Run(t.Context(), append([]string{"-mailings", url, "-timeout", patient.String()}, args...), &b)
	return b.String(), err
}

// The command verify goes the whole way of a mailing, and leaves no customer behind.
func TestVerify(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	phones := testcloud.At(t, r.addr["FCM"])
	for _, c := range []struct {
		name    string
		args    []string
		outcome string   // of FCM for the token; "": it accepts
		want    []string // parts of the output
		fails   string   // part of the error; "": none
	}{
		// FCM has accepted no token before, so that it is believed.
		{name: "an invented token that FCM refuses", outcome: "INVALID_TOKEN", want: []string{"the invented token is invalid (INVALID_ARGUMENT)", "the customer is unreachable (INVALID_ARGUMENT)", "deleted again"}},
		{name: "an invented token that FCM accepts", want: []string{"FCM: accepts the message", "the customer is reachable", "lists what the customer got", "deleted again"}},
		{name: "an invented token like one that FCM accepted", outcome: "INVALID_TOKEN", want: []string{"waits for evidence", "the customer is reachable", "deleted again"}},
		{name: "a phone", args: []string{"-push-token", "my-phone:APA91b"}, want: []string{"FCM: accepts the message", "deleted again"}},
		{name: "a phone without the app", args: []string{"-push-token", "gone-phone:APA91b"}, outcome: "UNREGISTERED", want: []string{"deleted again"}, fails: "FCM answers UNREGISTERED"},
		{name: "credentials that FCM refuses", args: []string{"-push-token", "no-role:APA91b"}, outcome: "PERMISSION_DENIED", want: []string{"deleted again"}, fails: "docs/runbooks/mailing-paused.md"},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := "carillon-verify:*"
			if len(c.args) > 0 {
				token = c.args[1]
			}
			if c.outcome == "" {
				c.outcome = "OK"
			}
			if a := phones.Ask("PUT", "/emulator/outcomes", `[{"token": "`+token+`", "outcome": "`+c.outcome+`"}]`); a.Code/100 != 2 {
				t.Fatalf("setting the outcome of %s: %v", token, a)
			}

			out, err := verifyAt(t, r.addr["API"], c.args...)
			for _, part := range c.want {
				check.Contains(t, out, part, "the output")
			}
			switch {
			case c.fails == "" && err != nil:
				t.Errorf("the command fails: %v\n%s", err, out)
			case c.fails != "" && err == nil:
				t.Errorf("the command passes, want an error with %q:\n%s", c.fails, out)
			case c.fails != "":
				check.Contains(t, err.Error(), c.fails, "the error")
			}

			_, rest, _ := strings.Cut(out, "the new customer ")
			customer, _, _ := strings.Cut(rest, "\n")
			if a := r.ask(t, "GET", "/v1/customers/"+customer, ""); a.Code != http.StatusNotFound {
				t.Errorf("the customer %q is left behind: %v", customer, a)
			}
		})
	}
}

// A wrong address is explained.
func TestVerifySaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	for name, c := range map[string]struct{ url, want string }{
		"nothing there":   {"http://127.0.0.1:1", "does not answer"},
		"another service": {r.addr["FCM"], "two addresses in the cloud"},
		"no URL":          {"carillon", "not a URL"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := verifyAt(t, c.url)
			if err == nil {
				t.Fatalf("the command passes:\n%s", out)
			}
			check.Contains(t, err.Error(), c.want, "the error")
		})
	}
}

// A deployment may refuse mailings without an Idempotency-Key.
func TestVerifySendsAKey(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	api, err := url.Parse(r.addr["API"])
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(api)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/v1/mailings" && r.Header.Get("Idempotency-Key") == "" {
			http.Error(w, "a mailing needs an Idempotency-Key", http.StatusBadRequest)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)

	out, err := verifyAt(t, s.URL)
	if err != nil {
		t.Fatalf("the command fails where a key is required: %v\n%s", err, out)
	}
	check.Contains(t, out, "deleted again", "the output")
}

// An ID token of a service account is valid for one function, so each has its own.
func TestVerifyWithATokenForEachFunction(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	api, err := url.Parse(r.addr["API"])
	if err != nil {
		t.Fatal(err)
	}
	forward := httputil.NewSingleHostReverseProxy(api)
	serveWithToken := func(token string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != "Bearer "+token {
				http.Error(w, "this token is for another function", http.StatusUnauthorized)
				return
			}
			forward.ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	mailings, customers := serveWithToken("for-mailings"), serveWithToken("for-customers")

	out, err := verifyAt(t, mailings, "-token", "for-mailings", "-customers", customers, "-customers-token", "for-customers")
	if err != nil {
		t.Fatalf("the command fails with a token for each function: %v\n%s", err, out)
	}
	check.Contains(t, out, "deleted again", "the output")

	_, err = verifyAt(t, mailings, "-token", "for-mailings", "-customers", customers)
	check.Error(t, "with one token for both", err, "401")
}
