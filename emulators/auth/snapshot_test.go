package auth_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/auth"
	"carillon.example/emulators/snapshot/snapshottest"
	"carillon.example/emulators/testcloud/check"
)

// startWith returns a server of the project demo-shop with a snapshot.
func startWith(t *testing.T, r io.Reader) (*auth.Server, error) {
	t.Helper()
	s, err := auth.Start("127.0.0.1:0", auth.Options{Project: "demo-shop", Snapshot: r})
	if err == nil {
		t.Cleanup(s.Close)
	}
	return s, err
}

// restart closes a server, and returns another one with its accounts.
func restart(t *testing.T, s *auth.Server) *auth.Server {
	t.Helper()
	s.Close()
	next, err := startWith(t, bytes.NewReader(save(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// save returns the snapshot of a server.
func save(t *testing.T, s *auth.Server) []byte {
	t.Helper()
	var saved bytes.Buffer
	if _, err := s.Save(&saved); err != nil {
		t.Fatal(err)
	}
	return saved.Bytes()
}

// clientOf returns a client of a server, whose servers manage the project demo-other.
func clientOf(t *testing.T, s *auth.Server) *contract {
	return &contract{TB: t, url: "http://" + s.Addr(), project: "demo-other", unique: "kept"}
}

// fill gives a server an account of each kind, in three realms, and user ids of Set.
func fill(t *testing.T, s *auth.Server) {
	t.Helper()
	s.Set("gone", auth.Account{Deleted: true})
	s.Set("out", auth.Account{Disabled: true, ValidSince: time.Unix(1_800_000_000, 123).UTC()})
	s.Set("é\"\n", auth.Account{Tenant: "shop-1"})
	c := clientOf(t, s)
	c.signUp("ada")
	c.app("signUp", object{}) // anonymous
	c.owner("accounts", object{"localId": "bob", "phoneNumber": "+491700000000", "displayName": "Bob"})
	c.owner("accounts:update", object{"localId": "bob", "customAttributes": `{"level":1}`})
	c.ok(c.send("PATCH", c.emulator("config"), asOwner, object{"emailPrivacyConfig": object{"enableImprovedEmailPrivacy": true}}))
}

// TestAServerGoesOnWithTheAccountsOfAnother checks that a server can be saved after it was
// closed, that another one has all of it, and that both say how much that is.
func TestAServerGoesOnWithTheAccountsOfAnother(t *testing.T) {
	t.Parallel()
	first := start(t)
	fill(t, first)
	first.Close()
	var saved bytes.Buffer
	n, err := first.Save(&saved)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, n, 5, "the number of saved accounts")

	second, err := startWith(t, bytes.NewReader(saved.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, second.Loaded(), 5, "the number of loaded accounts")
	check.Equal(t, second.Changes(), 0, "the number of changes after loading")
	check.Equal(t, snapshottest.WithoutTime(save(t, second)), snapshottest.WithoutTime(saved.Bytes()), "the snapshot of what was loaded")

	other, err := auth.Start("127.0.0.1:0", auth.Options{Project: "demo-else", Snapshot: bytes.NewReader(saved.Bytes())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(other.Close)
	check.Equal(t, snapshottest.WithoutTime(save(t, other)), snapshottest.WithoutTime(saved.Bytes()), "the snapshot of a server of another project")
}

// TestASignUpSurvivesARestart checks that who signed up before a restart signs in after it,
// and is found; and that tokens of before stay valid.
func TestASignUpSurvivesARestart(t *testing.T) {
	t.Parallel()
	first := start(t)
	signedUp := clientOf(t, first).signUp("ada")
	second := restart(t, first)

	c := clientOf(t, second)
	c.project = "demo-shop" // that of apps
	in := c.app("signInWithPassword", object{"email": c.email("Ada"), "password": "secret-1"})
	check.Equal(t, in.text("localId"), signedUp.text("localId"), "the user id of who signs in")
	wrong := c.send("POST", accountsPath+":signInWithPassword", asApp, object{"email": c.email("ada"), "password": "secret-2"})
	check.Equal(t, wrong, badRequest("INVALID_PASSWORD"), "the answer to a wrong password")
	again := c.send("POST", accountsPath+":signUp", asApp, object{"email": c.email("ada"), "password": "secret-1"})
	check.Equal(t, again, badRequest("EMAIL_EXISTS"), "the answer to a second sign-up")

	checkUsers(t, c.owner("accounts:lookup", object{"email": []string{c.email("ada")}}), signedUp.text("localId"))
	checkUsers(t, c.app("lookup", object{"idToken": signedUp.text("idToken")}), signedUp.text("localId"))
	refreshed := c.ok(c.send("POST", tokenPath, asApp, object{"grant_type": "refresh_token", "refresh_token": signedUp.text("refreshToken")}))
	check.Equal(t, refreshed.text("user_id"), signedUp.text("localId"), "the user id of the refreshed tokens")
}

// checkUsers checks the user ids that a lookup returned.
func checkUsers(t *testing.T, found answer, want ...string) {
	t.Helper()
	var got []string
	users, _ := found.body["users"].([]any)
	for _, u := range users {
		got = append(got, u.(object)["localId"].(string))
	}
	check.Equal(t, got, want, "the user ids of the accounts that were found")
}

// TestRealmsSurviveARestart checks accounts of another project and of a tenant, the
// configuration of a project, and what Set has said.
func TestRealmsSurviveARestart(t *testing.T) {
	t.Parallel()
	first := start(t)
	fill(t, first)
	second := restart(t, first)

	c := clientOf(t, second)
	checkUsers(t, c.owner("accounts:lookup", object{"phoneNumber": []string{"+491700000000"}}), "bob")
	checkUsers(t, c.ok(c.send("POST", "/v1/projects/demo-shop/tenants/shop-1/accounts:lookup", asOwner, object{"localId": []string{"é\"\n"}})), "é\"\n")
	config := c.ok(c.send("GET", c.emulator("config"), asOwner, nil))
	c.checkBody("the configuration", config.body, `{"signIn":{"allowDuplicateEmails":false},"emailPrivacyConfig":{"enableImprovedEmailPrivacy":true}}`)

	second.Token(map[string]any{"sub": "gone"})
	second.Token(map[string]any{"sub": "new"})
	c.project = "demo-shop"
	checkUsers(t, c.owner("accounts:lookup", object{"localId": []string{"gone", "out", "new"}}), "out", "new")
}

// TestPendingCodesAreNotKept checks what docs/emulators.md says about them.
func TestPendingCodesAreNotKept(t *testing.T) {
	t.Parallel()
	codes := func(s *auth.Server) []any {
		c := clientOf(t, s)
		list, _ := c.ok(c.send("GET", "/emulator/v1/projects/demo-shop/oobCodes", asOwner, nil)).body["oobCodes"].([]any)
		return list
	}
	first := start(t)
	c := clientOf(t, first)
	c.signUp("ada")
	c.app("sendOobCode", object{"requestType": "PASSWORD_RESET", "email": c.email("ada")})
	check.Equal(t, len(codes(first)), 1, "the number of codes before the restart")
	check.Equal(t, len(codes(restart(t, first))), 0, "the number of codes after the restart")
}

func TestACutSnapshotIsRefused(t *testing.T) {
	t.Parallel()
	first := start(t)
	fill(t, first)
	snapshottest.CheckFaults(t, func(w io.Writer) error { _, err := first.Save(w); return err },
		func(r io.Reader) error { _, err := startWith(t, r); return err })
}

func TestFaultsOfASnapshotAreNamed(t *testing.T) {
	t.Parallel()
	const (
		head  = `{"snapshot":"auth","version":1,"at":"2026-11-28T00:00:00Z"}`
		realm = `{"realm":{"project":"demo-shop","config":{}}}`
		ada   = `{"account":{"localId":"ada","email":"ada@example.com","phoneNumber":"+1"}}`
	)
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"another version":               {[]string{strings.Replace(head, `"version":1`, `"version":2`, 1)}, "version 2"},
		"no project":                    {[]string{head, `{"realm":{"tenant":"a"}}`}, "line 2: the realm has no project"},
		"a realm is twice":              {[]string{head, realm, realm}, `line 3: the realm of the project "demo-shop" and the tenant "" is there twice`},
		"an account without a realm":    {[]string{head, ada}, "line 2: no realm comes before it"},
		"a user id without a realm":     {[]string{head, `{"set":"ada"}`}, "line 2: no realm comes before it"},
		"an empty line":                 {[]string{head, realm, `{}`}, "line 3: it must have one of realm, account and set"},
		"an account and a user id":      {[]string{head, realm, `{"set":"ada","account":{"localId":"ada"}}`}, "line 3: it must have one of realm, account and set"},
		"a realm and an account":        {[]string{head, `{"realm":{"project":"demo-shop"},"account":{"localId":"ada"}}`}, "line 2: it must have one of realm, account and set"},
		"no user id":                    {[]string{head, realm, `{"account":{"email":"ada@example.com"}}`}, "line 3: the account has no localId"},
		"another tenant":                {[]string{head, realm, `{"account":{"localId":"ada","tenantId":"a"}}`}, `the account "ada" is of the tenant "a", and the realm before it is of ""`},
		"an unknown field":              {[]string{head, realm, `{"account":{"localId":"ada","off":true}}`}, `unknown field "off"`},
		"an account is twice":           {[]string{head, realm, ada, ada}, `line 4: the account "ada" is there twice`},
		"two accounts have an address":  {[]string{head, realm, ada, `{"account":{"localId":"bob","email":"ada@example.com"}}`}, `line 4: two accounts have the e-mail address "ada@example.com"`},
		"two accounts have a phone":     {[]string{head, realm, ada, `{"account":{"localId":"bob","phoneNumber":"+1"}}`}, `line 4: two accounts have the phone number "+1"`},
		"a project of the former form":  {[]string{head, `{"project":"demo-shop"}`}, `unknown field "project"`},
		"a realm that is not an object": {[]string{head, `{"realm":"demo-shop"}`}, "line 2: json: cannot unmarshal string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Join(append(c.lines, fmt.Sprintf(`{"end":{"lines":%d}}`, len(c.lines)-1)), "\n") + "\n"
			_, err := startWith(t, strings.NewReader(text))
			check.Error(t, "loading", err, c.want)
		})
	}
}

// TestChangesAreCounted checks, for each operation, that Changes grows by one if the operation
// may have changed what is saved, and stays otherwise. A step needs those before it, so they are no subtests.
func TestChangesAreCounted(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := clientOf(t, s)
	var signedUp answer
	link := func(kind, more string) {
		c.app("sendOobCode", object{"requestType": kind, "email": c.email("ada"), "idToken": signedUp.text("idToken")})
		codes := c.ok(c.send("GET", "/emulator/v1/projects/demo-shop/oobCodes", asOwner, nil)).body["oobCodes"].([]any)
		c.ok(c.send("GET", strings.TrimPrefix(codes[0].(object)["oobLink"].(string), c.url)+more, asNobody, nil))
	}
	for _, step := range []struct {
		name    string
		do      func()
		changes uint64
	}{
		{"Set", func() { s.Set("ada", auth.Account{}) }, 1},
		{"a token of a new user id", func() { s.Token(map[string]any{"sub": "eve"}) }, 1},
		{"a token of a user id that has an account", func() { s.Token(map[string]any{"sub": "eve"}) }, 0},
		{"a sign-up", func() { signedUp = c.signUp("ada") }, 1},
		{"a refused sign-up", func() {
			c.send("POST", accountsPath+":signUp", asApp, object{"email": c.email("ada"), "password": "secret-1"})
		}, 0},
		{"a sign-in", func() { c.app("signInWithPassword", object{"email": c.email("ada"), "password": "secret-1"}) }, 1},
		{"a refused sign-in", func() {
			c.send("POST", accountsPath+":signInWithPassword", asApp, object{"email": c.email("ada"), "password": "no"})
		}, 0},
		{"a custom token", func() { c.app("signInWithCustomToken", object{"token": `{"uid":"dan"}`}) }, 1},
		{"new tokens", func() {
			c.ok(c.send("POST", tokenPath, asApp, object{"grant_type": "refresh_token", "refresh_token": signedUp.text("refreshToken")}))
		}, 1},
		{"a lookup by an app", func() { c.app("lookup", object{"idToken": signedUp.text("idToken")}) }, 0},
		{"how an address signs in", func() {
			c.app("createAuthUri", object{"identifier": c.email("ada"), "continueUri": "http://localhost"})
		}, 0},
		{"the link that verifies an address", func() { link("VERIFY_EMAIL", "") }, 1},
		{"an update", func() { c.app("update", object{"idToken": signedUp.text("idToken"), "displayName": "Ada"}) }, 1},
		{"the link that sets a password", func() { link("PASSWORD_RESET", "&newPassword=secret-2") }, 1},
		{"an account by a server", func() { c.owner("accounts", object{"localId": "bob"}) }, 1},
		{"a lookup by a server", func() { c.owner("accounts:lookup", object{"localId": []string{"bob"}}) }, 0},
		{"a list by a server", func() { c.ok(c.send("GET", c.admin("accounts:batchGet"), asOwner, nil)) }, 0},
		{"deletion", func() { c.owner("accounts:delete", object{"localId": "bob"}) }, 1},
		{"deletion of several", func() { c.owner("accounts:batchDelete", object{"localIds": []string{"bob"}, "force": true}) }, 1},
		{"the configuration", func() { c.ok(c.send("GET", c.emulator("config"), asOwner, nil)) }, 0},
		{"a new configuration", func() { c.ok(c.send("PATCH", c.emulator("config"), asOwner, object{})) }, 1},
		{"deletion of all", func() { c.ok(c.send(http.MethodDelete, c.emulator("accounts"), asOwner, nil)) }, 1},
	} {
		before := s.Changes()
		step.do()
		check.Equal(t, s.Changes()-before, step.changes, "the number of changes by %s", step.name)
	}
}
