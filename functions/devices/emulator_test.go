package devices

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"carillon.example/emulators/auth"
	verify "carillon.example/shared/auth"
)

// An accounts is a Firebase Auth emulator: ours, or Google's.
type accounts interface {
	addr() string
	signUp(t *testing.T, name string) (uid, idToken string)
	disable(t *testing.T, uid string)
}

// ours is emulators/auth.
type ours struct{ *auth.Server }

func (o ours) addr() string { return o.Addr() }

func (o ours) signUp(t *testing.T, name string) (uid, idToken string) {
	t.Helper()
	var answer struct{ IDToken string }
	ask(t, "http://"+o.Addr()+"/emulator/tokens", "", `{"sub":"`+name+`"}`, &answer)
	return name, answer.IDToken
}

func (o ours) disable(_ *testing.T, uid string) { o.Set(uid, auth.Account{Disabled: true}) }

// googles is the Auth emulator of firebase-tools, host:port.
type googles string

func (g googles) addr() string { return string(g) }

func (g googles) signUp(t *testing.T, name string) (uid, idToken string) {
	t.Helper()
	var answer struct{ LocalID, IDToken string }
	ask(t, g.url("accounts:signUp?key=any"), "", `{"email":"`+name+`@example.com","password":"secret-1","returnSecureToken":true}`, &answer)
	return answer.LocalID, answer.IDToken
}

func (g googles) disable(t *testing.T, uid string) {
	t.Helper()
	ask(t, g.url("projects/demo-carillon/accounts:update"), "Bearer owner", `{"localId":"`+uid+`","disableUser":true}`, new(struct{}))
}

func (g googles) url(path string) string {
	return "http://" + string(g) + "/identitytoolkit.googleapis.com/v1/" + path
}

// ask posts JSON, as an app or with the owner's authorization, and decodes the
// answer.
func ask(t *testing.T, url, authorization, body string, answer any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", authorization)
	resp, err := (&http.Client{Transport: &http.Transport{}}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("POST %s: %v", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("POST %s: status is %v, want %v", url, resp.StatusCode, http.StatusOK)
	}
	if err := json.Unmarshal(b, answer); err != nil {
		t.Fatalf("POST %s: %v: %s", url, err, b)
	}
}

// TestIDTokensOfAnAuthEmulator goes the way of an app with the ID token that a
// Firebase Auth emulator gave it: Google's where GOOGLE_AUTH_EMULATOR_HOST names
// one, else ours. It sets the process's environment, which the SDK reads, and is
// not parallel.
func TestIDTokensOfAnAuthEmulator(t *testing.T) {
	var accounts accounts = googles(os.Getenv("GOOGLE_AUTH_EMULATOR_HOST"))
	if accounts.addr() == "" {
		s, err := auth.Start("127.0.0.1:0", auth.Options{Project: "demo-carillon"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		accounts = ours{s}
	}
	w := newHarness(t, func(d *Deps) { d.Auth = emulated(t, accounts.addr()) })

	unique := strings.ToLower(w.Project())
	uid, anna := accounts.signUp(t, "anna-"+unique)
	_, ben := accounts.signUp(t, "ben-"+unique)
	a := w.register(anna, "phone-of-anna")
	if a.Code != http.StatusCreated {
		t.Fatalf("registering: %v", a)
	}
	if tokens := w.tokens(uid); len(tokens) != 1 {
		t.Errorf("customer %s has the tokens %v, want one", uid, tokens)
	}
	if a := w.register(anna, "phone-of-anna"); a.Code != http.StatusOK {
		t.Errorf("registering again: %v", a)
	}

	var registered struct{ ID string }
	if err := json.Unmarshal([]byte(a.Body), &registered); err != nil {
		t.Fatal(err)
	}
	path := "/v1/devices/" + registered.ID
	if a := w.ask("DELETE", path, ben, ""); a.Code != http.StatusNotFound {
		t.Errorf("unregistering what is somebody else's: %v", a)
	}
	if a := w.ask("DELETE", path, anna, ""); a.Code != http.StatusNoContent {
		t.Errorf("unregistering: %v", a)
	}
	if a := w.ask("DELETE", path, anna[:len(anna)/2], ""); a.Code != http.StatusUnauthorized {
		t.Errorf("half an ID token: %v", a)
	}
	if a := w.register(issuer.Token(map[string]any{"sub": uid}), "phone-of-anna"); a.Code != http.StatusUnauthorized {
		t.Errorf("an ID token of another project: %v", a)
	}

	accounts.disable(t, uid)
	if a := w.register(anna, "phone-of-anna"); a.Code != http.StatusUnauthorized {
		t.Errorf("with a disabled account: %v", a)
	}
	if a := w.register(ben, "phone-of-ben"); a.Code != http.StatusCreated {
		t.Errorf("somebody else: %v", a)
	}
}

// emulated is the SDK's verifier as it is where FIREBASE_AUTH_EMULATOR_HOST is
// set.
func emulated(t *testing.T, addr string) verifier {
	t.Helper()
	was := http.DefaultTransport
	http.DefaultTransport = &http.Transport{} // goes where the variable says, not to this package's issuer
	defer func() { http.DefaultTransport = was }()
	t.Setenv("FIREBASE_AUTH_EMULATOR_HOST", addr)
	v, err := verify.New(t.Context(), "demo-carillon", verify.Options{Getenv: os.Getenv, CheckRevoked: true})
	if err != nil {
		t.Fatal(err)
	}
	return v
}
