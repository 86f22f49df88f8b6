package auth_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"carillon.example/emulators/auth"
	"carillon.example/emulators/testcloud/check"
)

// The tests of the files contract*_test.go run against Google's Auth emulator if
// GOOGLE_AUTH_EMULATOR_HOST names one, and against ours otherwise. Both have to give the
// same answers, field by field.

// appProject is the project of apps: Google's emulator is started with it, too.
const appProject = "demo-carillon"

// ourServer is one server for all these tests, as Google's is.
var ourServer = sync.OnceValue(func() *auth.Server {
	s, err := auth.Start("127.0.0.1:0", auth.Options{Project: appProject})
	if err != nil {
		panic(err)
	}
	return s
})

const (
	accountsPath = "/identitytoolkit.googleapis.com/v1/accounts"
	tokenPath    = "/securetoken.googleapis.com/v1/token"
	asApp        = "" // with an API key
	asOwner      = "Bearer owner"
	asNobody     = "nobody" // neither
)

// A contract is a server and a project of the test on it, for what servers do.
type contract struct {
	testing.TB
	url     string
	project string
	unique  string // for e-mail addresses and user ids of apps, whose project is shared
}

func newContract(t testing.TB) *contract {
	t.Helper()
	host := os.Getenv("GOOGLE_AUTH_EMULATOR_HOST")
	if host == "" {
		host = ourServer().Addr()
	}
	unique := strings.ToLower(rand.Text()[:10])
	return &contract{TB: t, url: "http://" + host, project: "demo-" + unique, unique: unique}
}

// in returns the contract for a subtest.
func (c *contract) in(t testing.TB) *contract {
	sub := *c
	sub.TB = t
	return &sub
}

// admin returns a path of the project.
func (c *contract) admin(path string) string {
	return "/identitytoolkit.googleapis.com/v1/projects/" + c.project + "/" + path
}

// emulator returns a path that only emulators have.
func (c *contract) emulator(path string) string {
	return "/emulator/v1/projects/" + c.project + "/" + path
}

// email returns an address that no other test has.
func (c *contract) email(name string) string { return name + "-" + c.unique + "@example.com" }

// An answer is an answer in JSON.
type answer struct {
	code int
	body map[string]any
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

// send sends a request: as an app with an API key, or with an Authorization header.
func (c *contract) send(method, path, as string, body any) answer {
	c.Helper()
	kind, content := "application/json", []byte(nil)
	switch body := body.(type) {
	case nil:
		kind = ""
	case string: // sent as it is
		content = []byte(body)
	case form:
		kind, content = "application/x-www-form-urlencoded", []byte(body)
	default:
		b, err := json.Marshal(body)
		if err != nil {
			c.Fatal(err)
		}
		content = b
	}

	url := c.url + path
	if as == asApp && !strings.Contains(url, "?") {
		url += "?key=any"
	}
	r, err := http.NewRequestWithContext(c.Context(), method, url, bytes.NewReader(content))
	if err != nil {
		c.Fatal(err)
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if as != asApp && as != asNobody {
		r.Header.Set("Authorization", as)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.Fatal(err)
	}
	a := answer{code: res.StatusCode}
	if err := json.Unmarshal(b, &a.body); err != nil {
		c.Fatalf("%s %s: %v: %s", method, path, err, b)
	}
	return a
}

// form is a body of a form.
type form string

// object is a JSON object.
type object = map[string]any

// app sends a request of an app, which has to be answered with 200.
func (c *contract) app(operation string, body object) answer {
	c.Helper()
	return c.ok(c.send("POST", accountsPath+":"+operation, asApp, body))
}

// owner sends a request of a server, which has to be answered with 200.
func (c *contract) owner(operation string, body object) answer {
	c.Helper()
	return c.ok(c.send("POST", c.admin(operation), asOwner, body))
}

func (c *contract) ok(a answer) answer {
	c.Helper()
	if a.code != http.StatusOK {
		c.Fatalf("the status is %d, want 200: %v", a.code, a.body)
	}
	return a
}

// signUp creates an account with an e-mail address and the password "secret-1".
func (c *contract) signUp(name string) answer {
	c.Helper()
	return c.app("signUp", object{"email": c.email(name), "password": "secret-1", "returnSecureToken": true})
}

// changing are the fields whose values differ from run to run.
var changing = map[string]bool{
	"localId": true, "idToken": true, "refreshToken": true, "createdAt": true, "lastLoginAt": true, "lastRefreshAt": true, "validSince": true,
	"passwordHash": true, "passwordUpdatedAt": true, "salt": true, "sessionId": true, "id_token": true, "access_token": true, "refresh_token": true,
	"user_id": true, "auth_time": true, "iat": true, "exp": true, "sub": true,
}

// stable returns v with "*" for each value that changes from run to run. A changing value
// that is empty stays, so that it is noticed.
func stable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, value := range v {
			if out[name] = stable(value); changing[name] && value != "" {
				out[name] = "*"
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = stable(v[i])
		}
		return out
	}
	return v
}

// checkBody checks a whole answer. UNIQUE in want is the unique part of e-mail addresses.
func (c *contract) checkBody(what string, got any, want string) {
	c.Helper()
	var w any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(want, "UNIQUE", c.unique)), &w); err != nil {
		c.Fatalf("%s: the wanted answer is no JSON: %v", what, err)
	}
	check.Equal(c, stable(got), w, "%s", what)
}

// claims returns the claims of an ID token, and checks that its header is that of an
// emulator's token.
func (c *contract) claims(token string) map[string]any {
	c.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		c.Fatalf("the ID token is %q, want three parts", token)
	}
	var header, claims map[string]any
	for i, into := range []any{&header, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			c.Fatal(err)
		}
		if err := json.Unmarshal(b, into); err != nil {
			c.Fatal(err)
		}
	}
	check.Equal(c, header["alg"], any("none"), "algorithm of the ID token")
	check.Equal(c, parts[2], "", "signature of the ID token")
	return claims
}

// A refusal is a request and the error that it has to get.
type refusal struct {
	path    string
	as      string
	body    any
	message string
}

// checkRefused sends requests that the operation refuses with 400.
func checkRefused(t *testing.T, c *contract, refused map[string]refusal) {
	t.Helper()
	for name, r := range refused {
		t.Run(name, func(t *testing.T) {
			a := c.in(t).send("POST", r.path, r.as, r.body)
			check.Equal(t, a, badRequest(r.message), "answer")
		})
	}
}

// badRequest is the answer to a request that an operation refuses.
func badRequest(message string) answer {
	return answer{400, object{"error": object{
		"code": 400.0, "message": message, "errors": []any{object{"message": message, "reason": "invalid", "domain": "global"}},
	}}}
}
