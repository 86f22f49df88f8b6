package devices

import (
	"context"
	"errors"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/auth"
	"carillon.example/shared/push"
)

// appsAway is App Check without its keys.
type appsAway struct{}

func (appsAway) VerifyApp(context.Context, string) (string, error) {
	return "", &push.Unavailable{Err: errors.New("no keys")}
}

// TestAppCheck: what becomes of a registration with a good App Check token, with
// none, and while it is unknown.
func TestAppCheck(t *testing.T) {
	t.Parallel()
	good := issuer.AppCheckToken("1:2:web:3", nil)
	for _, c := range []struct {
		name string
		mode AppCheck
		apps appVerifier
		sent string
		want int
		line string // of the log
	}{
		{"off", AppCheckOff, nil, "nonsense", 201, ""},
		{"not set", "", nil, "", 201, ""},
		{"logged, good", AppCheckLog, auth.NewAppVerifier(project), good, 201, ""},
		{"logged, none", AppCheckLog, auth.NewAppVerifier(project), "", 201, "would be refused"},
		{"logged, unknown", AppCheckLog, appsAway{}, good, 201, "would be refused"},
		{"enforced, good", AppCheckEnforce, auth.NewAppVerifier(project), good, 201, ""},
		{"enforced, none", AppCheckEnforce, auth.NewAppVerifier(project), "", 401, "was refused"},
		{"enforced, nonsense", AppCheckEnforce, auth.NewAppVerifier(project), "nonsense", 401, "was refused"},
		{"enforced, unknown", AppCheckEnforce, appsAway{}, good, 503, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t, func(d *Deps) { d.AppCheck, d.Apps = c.mode, c.apps })
			w.sent = append(w.sent, good)
			a := w.ask("POST", "/v1/devices", person("ada"), `{"token":"a-push-token","platform":"web"}`, "X-Firebase-AppCheck", c.sent)
			if a.Code != c.want {
				t.Errorf("answered %v, want %d", a, c.want)
			}
			log := w.log.String()
			check.Contains(t, log, c.line, "log")
			if c.line == "" && strings.Contains(log, "App Check token") {
				t.Errorf("logged %s, want %q", log, c.line)
			}
		})
	}
}
