package devices

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/auth"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestRegisterAndUnregister goes one device's whole way.
func TestRegisterAndUnregister(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	ada, id := person("ada"), push.TokenID("token-of-ada-1")
	want := map[string]any{"id": id, "kind": "token", "platform": "android", "app": "shop", "valid": true}
	for i, code := range []int{201, 200, 200} {
		a := w.register(ada, "token-of-ada-1")
		var got map[string]any
		err := json.Unmarshal([]byte(a.Body), &got)
		if err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
		if a.Code != code {
			t.Fatalf("%s was answered %v, want %d", a.Request, a, code)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("call %d: %s", i, d)
		}
	}
	a := w.ask("POST", "/v1/devices", ada, `{"fid":"an-installation-of-ada","platform":"ios"}`)
	testcloud.CheckCode(t, a, 201)
	check.Contains(t, a.Body, `"kind":"fid"`, "an installation: body")
	c, err := w.store.ReadCustomer(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Tokens) != 2 {
		t.Fatalf("number of Tokens is %v, want 2: %+v", len(c.Tokens), c.Tokens)
	}
	if !c.HasValidToken() {
		t.Fatal("Reachable() is false, want true")
	}
	for _, x := range []struct {
		token string
		code  int
	}{{id, 204}, {id, 404}, {push.TokenID("an-installation-of-ada"), 204}, {strings.Repeat("0", 32), 404}, {"nothing", 422}, {"a%2Fb", 422}} {
		a := w.ask("DELETE", "/v1/devices/"+x.token, ada, "")
		testcloud.CheckCode(t, a, x.code)
		if x.code == 204 && a.Body != "" {
			t.Errorf("DELETE %s: %v, want %d", x.token, a, x.code)
		}
	}
	if got := w.tokens("ada"); len(got) != 0 {
		t.Errorf("ada still has %v", got)
	}
	if got, want := w.publishedEvents(), []string{"ada false true", "ada true true"}; !slices.Equal(got, want) {
		t.Errorf("published %q, want %q", got, want)
	}
	if n := w.Count("outbox"); n != 0 {
		t.Errorf("%d events that were published are still in the outbox", n)
	}
}

// TestOnlyTheOwnCustomer: what one customer's token reaches of another's is
// nothing, but that a device which changes hands takes its push token along.
func TestOnlyTheOwnCustomer(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	ada, eve, id := person("ada"), person("eve"), push.TokenID("token-of-ada-2")
	w.register(ada, "token-of-ada-2")
	before, err := w.store.ReadCustomer(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	unknown := w.ask("DELETE", "/v1/devices/"+push.TokenID("nobody's"), eve, "")
	a := w.ask("DELETE", "/v1/devices/"+id, eve, "")
	testcloud.CheckCode(t, a, 404)
	check.Equal(t, a.Problem.Detail, unknown.Problem.Detail, "another's token: Problem.Detail")
	check.Equal(t, len(a.Body), len(unknown.Body), "another's token: length of the body")
	for _, path := range []string{"/v1/devices", "/v1/devices/" + id, "/v1/customers/ada", "/v1/customers/ada/tokens", "/v1/settings", "/v1/imports", "/v1/devices/" + id + "/"} {
		t.Run(path, func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "OPTIONS"} {
				if a := w.ask(method, path, eve, ""); a.Code != 404 && a.Code != 405 {
					t.Errorf("%s %s: %v", method, path, a)
				}
			}
		})
	}
	// The customer in a body, a query or a header is nobody's concern.
	for _, path := range []string{"/v1/devices?customer=ada"} {
		if a := w.ask("POST", path, eve, `{"token":"x","platform":"web"}`); a.Code != 422 {
			t.Errorf("%s: %v", path, a)
		}
	}
	if a := w.ask("POST", "/v1/devices", eve, `{"token":"x","platform":"web","customer":"ada"}`); a.Code != 422 {
		t.Errorf("a customer in the body: %v", a)
	}
	if a := w.ask("POST", "/v1/devices", eve, `{"token":"token-of-eve","platform":"web"}`, "X-Customer", "ada", "X-Goog-Authenticated-User-Id", "ada", "X-Apigateway-Api-Userinfo", "ada"); a.Code != 201 {
		t.Errorf("%s was answered %v, want 201", a.Request, a)
	}
	after, err := w.store.ReadCustomer(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("ada was touched:\n%s", d)
	}
	a = w.register(eve, "token-of-ada-2")
	testcloud.CheckCode(t, a, 409)
	check.Equal(t, a.Header.Get("Retry-After"), "", "a token that ada has shown just now: header Retry-After")
	if got := w.tokens("ada"); !slices.Contains(got, id) {
		t.Errorf("ada has lost her token and has %v", got)
	}
	if a := w.ask("DELETE", "/v1/devices/"+id, ada, ""); a.Code != 204 {
		t.Errorf("ada signs out: %v", a)
	}
	if a := w.register(eve, "token-of-ada-2"); a.Code != 201 {
		t.Errorf("a device that changes hands: %v", a)
	}
	if got := w.tokens("ada"); len(got) != 0 {
		t.Errorf("ada still has %v", got)
	}
	if got := w.tokens("eve"); !slices.Contains(got, id) {
		t.Errorf("eve has %v, not %s", got, id)
	}
	if a := w.ask("DELETE", "/v1/devices/"+id, ada, ""); a.Code != 404 {
		t.Errorf("ada takes back what is eve's now: %v", a)
	}
}

// TestEventsAreOwed: what could not be published stays in the outbox, and the
// device is none the wiser.
func TestEventsAreOwed(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.down()
	if a := w.register(person("ada"), "token-of-ada-3"); a.Code != 201 {
		t.Fatalf("%s was answered %v, want 201", a.Request, a)
	}
	if a := w.ask("DELETE", "/v1/devices/"+push.TokenID("token-of-ada-3"), person("ada"), ""); a.Code != 204 {
		t.Fatalf("%s was answered %v, want 204", a.Request, a)
	}
	n := w.Count("outbox")
	check.Equal(t, n, 2, "number of events in the outbox")
	check.Equal(t, len(w.publishedEvents()), 0, "number of published events")
	if !strings.Contains(w.log.String(), "events are left to the next tick") {
		t.Errorf("the log does not say so: %s", w.log)
	}
}

// TestBodies: what is no registration, and every fault of it named.
func TestBodies(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	ada := person("ada")
	w.sent = append(w.sent, "secret-token")
	for name, c := range map[string]struct {
		body   string
		code   int
		faults string
	}{
		"empty":           {``, 415, ``},
		"no JSON":         {`{"token":"secret-token"`, 400, ``},
		"no object":       {`["secret-token"]`, 422, `body`},
		"twice":           {`{"token":"a","token":"secret-token","platform":"web"}`, 400, ``},
		"nothing":         {`{}`, 422, `body body.platform`},
		"both":            {`{"token":"secret-token","fid":"secret-token","platform":"web"}`, 422, `body`},
		"no token":        {`{"platform":"ios"}`, 422, `body`},
		"empty token":     {`{"token":"","platform":"ios"}`, 422, `body`},
		"platform":        {`{"token":"secret-token","platform":"tv"}`, 422, `body.platform`},
		"token too long":  {`{"token":"` + strings.Repeat("x", push.MaxToken+1) + `","platform":"web"}`, 422, `body.token`},
		"control":         {`{"fid":"secret-token\n","platform":"web"}`, 422, `body.fid`},
		"app too long":    {`{"token":"secret-token","platform":"web","app":"` + strings.Repeat("x", push.MaxApp+1) + `"}`, 422, `body.app`},
		"app of controls": {`{"token":"secret-token","platform":"web","app":"\u0000"}`, 422, `body.app`},
		"all of it":       {`{"token":"secret-token\t","platform":"tv","app":"\u0007","attributes":{}}`, 422, `body.app body.attributes body.platform body.token`},
		"wrong types":     {`{"token":1,"platform":"web"}`, 422, `body.token`},
		"addedAt":         {`{"token":"secret-token","platform":"web","addedAt":"2020-01-01T00:00:00Z"}`, 422, `body.addedAt`},
		"too large":       {`{"token":"secret-token","platform":"web"` + strings.Repeat(" ", MaxBody) + `}`, 413, ``},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.ask("POST", "/v1/devices", ada, c.body)
			at := a.Places()
			slices.Sort(at)
			testcloud.CheckCode(t, a, c.code)
			check.Equal(t, strings.Join(at, " "), c.faults, "%s: faults", name)
		})
	}
	if a := w.ask("POST", "/v1/devices", ada, `{"token":"secret-token","platform":"web"}`, "Content-Type", "application/json", "Content-Type", "text/plain"); a.Code != 201 && a.Code != 415 {
		t.Errorf("two types: %v", a)
	}
}

// TestCap: whoever registers without end has no more tokens for it.
func TestCap(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	ada := person("ada")
	for i := range push.MaxTokens + 3 {
		if a := w.register(ada, fmt.Sprint("one-of-many-", i)); a.Code != 201 {
			t.Fatalf("%s was answered %v, want 201", a.Request, a)
		}
	}
	if n := len(w.tokens("ada")); n != push.MaxTokens {
		t.Errorf("ada has %d tokens, want %d", n, push.MaxTokens)
	}
}

// TestDocument: the OpenAPI document names the two operations and what they
// ask for, and is for callers with a token alone, as everything is.
func TestDocument(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	if a := w.ask("GET", "/openapi.json", "", ""); a.Code != 401 {
		t.Errorf("without a token: %v", a)
	}
	a := w.ask("GET", "/openapi.json", person("ada"), "")
	var doc struct {
		Paths map[string]map[string]struct {
			Security  []map[string][]string
			Responses map[string]any
		}
	}
	err := json.Unmarshal([]byte(a.Body), &doc)
	if err != nil {
		t.Fatalf("%s: %v", a.Request, err)
	}
	if a.Code != 200 {
		t.Fatalf("%s was answered %v, want 200", a.Request, a)
	}
	var ops []string
	for path, methods := range doc.Paths {
		for method, op := range methods {
			ops = append(ops, method+" "+path)
			if len(op.Security) != 1 {
				t.Fatalf("%s %s: number of Security is %v, want 1: %+v", method, path, len(op.Security), op.Security)
			}
			if op.Security[0]["idToken"] == nil {
				t.Errorf("%s %s: security idToken is nil, want it set", method, path)
			}
			if op.Responses["401"] == nil {
				t.Errorf("%s %s: response 401 is nil, want it set", method, path)
			}
			if op.Responses["403"] == nil {
				t.Errorf("%s %s: response 403 is nil, want it set", method, path)
			}
		}
	}
	slices.Sort(ops)
	if want := []string{"delete /v1/devices/{tokenId}", "post /v1/devices", "post /v1/devices/events"}; !slices.Equal(ops, want) {
		t.Errorf("the document has %q, want %q", ops, want)
	}
}

// An acceptingVerifier takes every ID token for one of ada. An inputCheckingStore stores
// nothing, and panics if it is given what the function has to refuse.
type (
	acceptingVerifier  struct{}
	inputCheckingStore struct{}
)

func (acceptingVerifier) Verify(context.Context, string) (auth.Identity, error) {
	return auth.Identity{UID: "ada"}, nil
}

func (inputCheckingStore) RegisterToken(_ context.Context, customer string, r push.Registration) (store.RegistrationResult, error) {
	if customer != "ada" || push.CheckToken(r.Value) != "" || push.CheckApp(r.App) != "" || r.Platform == "" || !r.AddedAt.IsZero() {
		panic(fmt.Sprintf("%q registers %+v", customer, r))
	}
	return store.RegistrationResult{Token: push.Token{ID: push.TokenID(r.Value), Kind: r.Kind, Platform: r.Platform, App: r.App}}, nil
}
func (inputCheckingStore) UnregisterToken(context.Context, string, string) ([]push.Event, error) {
	return nil, nil
}
func (inputCheckingStore) RecordReports(context.Context, []push.Report, store.PublishEvents) (store.RecordedReports, error) {
	return store.RecordedReports{}, nil
}
func (inputCheckingStore) MarkEventsPublished(context.Context, ...push.Event) error { return nil }

// FuzzBody: whatever is sent, the function answers, never with a fault of its
// own, and hands the store only what is right.
func FuzzBody(f *testing.F) {
	for _, s := range []string{`{"token":"a","platform":"web"}`, `{"fid":"a","platform":"ios","app":"x"}`, `{"token":1}`, `[]`, `{"a":{"b":[`, "\xff", `{"platform":"web","token":"\ud800"}`} {
		f.Add(s)
	}
	h := New(Deps{Store: inputCheckingStore{}, Queue: &testcloud.EventRecorder[push.Event]{}, Auth: acceptingVerifier{}})
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/devices", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer x")
		r.Header.Set("Content-Type", "application/json")
		a := httptest.NewRecorder()
		h.ServeHTTP(a, r)
		switch a.Code {
		case http.StatusCreated, http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		default:
			t.Errorf("%q: %d %s", body, a.Code, a.Body)
		}
	})
}

// TestLimits: one customer's apps register so often in an hour, and are answered when
// to come back; another customer is not concerned.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newHarness(t, func(d *Deps) { d.Limits = &push.Limits{PerHour: 3, PerDay: 3, MovesPerHour: 3, MovesPerDay: 3} })
	ada := person("ada")
	for i := range 3 {
		if a := w.register(ada, fmt.Sprint("limited-token-", i)); a.Code != 201 {
			t.Fatalf("registration %d: %v", i, a)
		}
	}
	a := w.register(ada, "limited-token-3")
	if a.Code != 429 {
		t.Errorf("one too many: %v, want 429", a)
	}
	wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil {
		t.Fatal(err)
	}
	check.Between(t, wait, 1, 24*60*60, "Retry-After in seconds")
	if n := len(w.tokens("ada")); n != 3 {
		t.Errorf("ada has %d tokens, want 3", n)
	}
	if a := w.register(person("bert"), "limited-token-4"); a.Code != 201 {
		t.Errorf("another customer: %v, want 201", a)
	}
}

// TestTheAppOfAnotherIsNotShown: who takes a token learns nothing of whose it was.
func TestTheAppOfAnotherIsNotShown(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	if _, err := w.store.RegisterToken(t.Context(), "ada", push.Registration{Kind: push.KindToken, Value: "old-token", App: "secret-app"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.FlagToken(t.Context(), store.Flag{Mailing: "m", Customer: "ada", TokenID: push.TokenID("old-token"), Code: push.CodeUnregistered, At: time.Now().Add(time.Minute), BatchCreatedAt: time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a := w.ask("POST", "/v1/devices", person("eve"), `{"token":"old-token","platform":"web"}`)
		check.Between(t, a.Code, 200, 201, "status of %s, which was answered %v,", a.Request, a)
		check.NotContains(t, a.Body, "secret-app", "%s: body", a.Request)
	}
}
