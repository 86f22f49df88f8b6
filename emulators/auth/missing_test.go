package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
)

// ours returns the contract on our server, also if the environment names Google's.
func ours(t *testing.T) *contract {
	t.Helper()
	c := newContract(t)
	c.url = "http://" + ourServer().Addr()
	return c
}

// TestMissingOperations checks that an operation that this server does not have says so.
func TestMissingOperations(t *testing.T) {
	t.Parallel()
	c := ours(t)
	for _, path := range []string{
		accountsPath + ":signInWithEmailLink", accountsPath + ":signInWithIdp",
		accountsPath + ":sendVerificationCode", accountsPath + ":signInWithPhoneNumber", c.admin("accounts:batchCreate"), c.admin("accounts:query"),
	} {
		t.Run(path, func(t *testing.T) {
			a := c.in(t).send("POST", path, asOwner, object{})
			check.Equal(t, a.code, http.StatusNotImplemented, "status")
			text, _ := a.body["error"].(object)["message"].(string)
			operation := path[strings.LastIndex(path, ":")+1:]
			check.Contains(t, text, operation+" is not implemented in the Auth Emulator.", "message")
		})
	}
	up := c.signUp("ada")
	for _, field := range []string{"provider", "linkProviderUserInfo"} {
		a := c.send("POST", accountsPath+":update", asApp, object{"idToken": up.text("idToken"), field: object{}})
		check.Equal(t, a.code, http.StatusNotImplemented, "status of an update of %s", field)
	}
}

// TestPages checks that pages of this machine may call this server, and others may not.
func TestPages(t *testing.T) {
	t.Parallel()
	c := ours(t)
	for origin, want := range map[string]int{"http://localhost:3000": 200, "http://evil.example": 403, "": 200} {
		t.Run(origin, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), "POST", c.url+accountsPath+":signUp?key=any", nil)
			if err != nil {
				t.Fatal(err)
			}
			readable := ""
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			if want == 200 {
				readable = origin
			}
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			check.Equal(t, res.StatusCode, want, "status")
			check.Equal(t, res.Header.Get("Access-Control-Allow-Origin"), readable, "origin that may read the answer")
		})
	}
}
