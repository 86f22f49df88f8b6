package api_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// idToken returns an ID token as a function gets it from Cloud Run: verified, and without
// its signature.
func idToken(claims string) string {
	return "Bearer e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".SIGNATURE_REMOVED_BY_GOOGLE"
}

// calling serves an API with an operation that answers with its caller, and another one
// that needs the permission to send.
func calling(t *testing.T, o api.Options) (*testcloud.Client, *testcloud.LogBuffer) {
	t.Helper()
	j := &testcloud.LogBuffer{}
	a := api.New("calling", j.Logger(), o)
	who := func(ctx context.Context, _ *struct{}) (*output, error) {
		out := &output{}
		out.Body.OK = string(api.Caller(ctx))
		api.Audit(ctx, j.Logger(), api.Change{Operation: "who", Customer: "anna", After: map[string]bool{"optedOut": true}})
		return out, nil
	}
	huma.Register(a, huma.Operation{Method: http.MethodGet, Path: "/who", OperationID: "who"}, who)
	huma.Register(a, api.RequirePermission(push.PermissionSend, huma.Operation{Method: http.MethodPost, Path: "/send", OperationID: "send"}), who)
	a.Describe(api.Documentation{})
	return testcloud.Serve(t, a), j
}

func TestTheCallerIsTheOneOfTheVerifiedToken(t *testing.T) {
	t.Parallel()
	site, _ := calling(t, api.Options{})
	const authorization, serverless = "Authorization", "X-Serverless-Authorization"
	ann := idToken(`{"email": "Ann@Shop.example", "email_verified": true, "sub": "17"}`)
	for name, c := range map[string]struct {
		header []string
		want   string
	}{
		"an address":                        {[]string{authorization, ann}, "ann@shop.example"},
		"an address that is not verified":   {[]string{authorization, idToken(`{"email": "ann@shop.example", "sub": "17"}`)}, "17"},
		"a subject alone":                   {[]string{authorization, idToken(`{"sub": "17"}`)}, "17"},
		"no header":                         {nil, ""},
		"an access token":                   {[]string{authorization, "Bearer ya29.opaque"}, ""},
		"no bearer":                         {[]string{authorization, "Basic YTpi"}, ""},
		"no base64":                         {[]string{authorization, "Bearer a.$.c"}, ""},
		"no JSON":                           {[]string{authorization, idToken(`{`)}, ""},
		"an address of another type":        {[]string{authorization, idToken(`{"email": 7, "sub": "17"}`)}, ""},
		"control characters":                {[]string{authorization, idToken(`{"sub": "a\nb"}`)}, ""},
		"too long":                          {[]string{authorization, idToken(`{"sub": "` + strings.Repeat("x", 256) + `"}`)}, ""},
		"Cloud Run verified the other one":  {[]string{serverless, idToken(`{"sub": "18"}`), authorization, ann}, "18"},
		"the verified one names nobody":     {[]string{serverless, "Bearer opaque", authorization, ann}, ""},
		"two headers, one of them verified": {[]string{authorization, ann, authorization, idToken(`{"sub": "17"}`)}, ""},
		"the console's header is not read":  {[]string{"X-Goog-Authenticated-User-Email", "accounts.google.com:ann@shop.example"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := testcloud.Decode[struct{ OK string }](site.Ask("GET", "/who", "", c.header...), 200)
			if got.OK != c.want {
				t.Errorf("the caller is %q, want %q", got.OK, c.want)
			}
		})
	}
}

// TestPermissions checks that a caller has only the permissions that are listed for it, and
// that the answer names the missing one.
func TestPermissions(t *testing.T) {
	t.Parallel()
	site, log := calling(t, api.Options{Callers: push.Callers{"ann@shop.example": {push.PermissionSend}, "bob@shop.example": {push.PermissionRead}}})
	as := func(name string) []string {
		return []string{"Authorization", idToken(`{"email": "` + name + `@shop.example", "email_verified": true}`)}
	}
	for _, c := range []struct {
		method, path string
		header       []string
		want         int
	}{
		{"POST", "/send", as("ann"), 200},
		{"POST", "/send", as("bob"), 403},
		{"POST", "/send", as("eve"), 403},
		{"POST", "/send", nil, 403},
		{"GET", "/who", as("bob"), 200}, // needs none
		{"GET", "/openapi.json", nil, 200},
	} {
		t.Run(c.method, func(t *testing.T) {
			a := site.Ask(c.method, c.path, "", c.header...)
			if a.Code != c.want {
				t.Errorf("%s %s by %v: %d, want %d", c.method, c.path, c.header, a.Code, c.want)
			}
			if c.want == 403 && !strings.Contains(a.Detail, `"send"`) {
				t.Errorf("the answer does not name the permission: %s", a.Body)
			}
		})
	}
	if !strings.Contains(log.String(), "caller=bob@shop.example permission=send operation=send") {
		t.Errorf("the refusal is not logged:\n%s", log)
	}
}

// TestTheConsoleNamesThePerson checks that only the account of the console can name
// another caller, and that CALLERS is about the account.
func TestTheConsoleNamesThePerson(t *testing.T) {
	t.Parallel()
	const console, other = `{"email": "console@p.iam.gserviceaccount.com", "email_verified": true}`, `{"email": "crm@p.iam.gserviceaccount.com", "email_verified": true}`
	only := api.Options{Console: "console@p.iam.gserviceaccount.com", Callers: push.Callers{"console@p.iam.gserviceaccount.com": {push.PermissionSend}}}
	for name, c := range map[string]struct {
		options api.Options
		claims  string
		named   []string
		want    string
		send    int // the status of an operation that needs send
	}{
		"the console":            {only, console, []string{"Ann@Shop.example"}, "ann@shop.example", 200},
		"the console for nobody": {only, console, nil, "console@p.iam.gserviceaccount.com", 200},
		"two persons":            {only, console, []string{"a@b.example", "c@d.example"}, "console@p.iam.gserviceaccount.com", 200},
		"a name that is none":    {only, console, []string{strings.Repeat("x", 256)}, "console@p.iam.gserviceaccount.com", 200},
		"another account":        {only, other, []string{"ann@shop.example"}, "crm@p.iam.gserviceaccount.com", 403},
		"named as the console":   {only, other, []string{"console@p.iam.gserviceaccount.com"}, "crm@p.iam.gserviceaccount.com", 403},
		"without a console":      {api.Options{}, console, []string{"ann@shop.example"}, "console@p.iam.gserviceaccount.com", 200},
		"nobody without one":     {api.Options{}, `{}`, []string{"ann@shop.example"}, "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			site, _ := calling(t, c.options)
			header := []string{"Authorization", idToken(c.claims)}
			for _, n := range c.named {
				header = append(header, api.OnBehalfHeader, n)
			}
			got := testcloud.Decode[struct{ OK string }](site.Ask("GET", "/who", "", header...), 200)
			if got.OK != c.want {
				t.Errorf("the caller is %q, want %q", got.OK, c.want)
			}
			if a := site.Ask("POST", "/send", "", header...); a.Code != c.send {
				t.Errorf("sending is answered with %d, want %d", a.Code, c.send)
			}
		})
	}
}

func TestAuditLine(t *testing.T) {
	t.Parallel()
	site, log := calling(t, api.Options{})
	site.Ask("GET", "/who", "", "Authorization", idToken(`{"email": "ann@shop.example", "email_verified": true}`))
	want := `msg=audit caller=ann@shop.example operation=who customer=` + push.CustomerKey("anna") + ` after=map[optedOut:true]`
	if !strings.Contains(log.String(), want) {
		t.Errorf("logged\n%s\nwant %s", log, want)
	}
}
