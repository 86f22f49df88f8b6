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

// setAccounts sets an account of each kind.
func setAccounts(s *auth.Server) {
	s.Set("gone", auth.Account{Deleted: true})
	s.Set("off", auth.Account{Disabled: true})
	s.Set("out", auth.Account{ValidSince: time.Unix(1_800_000_000, 123).UTC()})
	s.Set("é\"\n", auth.Account{Tenant: "shop-1"})
}

// TestAServerGoesOnWithTheAccountsOfAnother checks that a server can be saved after it was
// closed, and that another one answers with its accounts.
func TestAServerGoesOnWithTheAccountsOfAnother(t *testing.T) {
	t.Parallel()
	first := start(t)
	setAccounts(first)
	first.Close()
	var saved bytes.Buffer
	n, err := first.Save(&saved)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, n, 4, "the number of saved accounts")

	second, err := startWith(t, bytes.NewReader(saved.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, second.Loaded(), 4, "the number of loaded accounts")
	var again bytes.Buffer
	if _, err := second.Save(&again); err != nil {
		t.Fatal(err)
	}
	check.Equal(t, snapshottest.WithoutTime(again.Bytes()), snapshottest.WithoutTime(saved.Bytes()), "the snapshot of what was loaded")

	var found struct{ Users []map[string]any }
	if code := call(t, http.DefaultClient, "POST", "http://"+second.Addr()+"/v1/projects/demo-shop/accounts:lookup", `{"localId":["gone","off","out"]}`, &found); code != 200 {
		t.Fatalf("answered %d, want 200", code)
	}
	check.Equal(t, fmt.Sprint(found.Users), "[map[disabled:true localId:off] map[disabled:false localId:out validSince:1800000000]]", "the accounts")
}

func TestACutSnapshotIsRefused(t *testing.T) {
	t.Parallel()
	first := start(t)
	setAccounts(first)
	snapshottest.CheckFaults(t, func(w io.Writer) error { _, err := first.Save(w); return err },
		func(r io.Reader) error { _, err := startWith(t, r); return err })
}

func TestFaultsOfASnapshotAreNamed(t *testing.T) {
	t.Parallel()
	const head, project = `{"snapshot":"auth","version":1,"at":"2026-11-28T00:00:00Z"}`, `{"project":"demo-shop"}`
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"another version":     {[]string{strings.Replace(head, `"version":1`, `"version":2`, 1)}, "version 2"},
		"another project":     {[]string{head, `{"project":"demo-other"}`}, `the accounts are of the project "demo-other", and this server is for "demo-shop"`},
		"no account":          {[]string{head, project, `{"uid":"ada"}`}, "line 3: it is no account"},
		"an unknown field":    {[]string{head, project, `{"uid":"ada","account":{"off":true}}`}, `unknown field "off"`},
		"an account is twice": {[]string{head, project, `{"uid":"ada","account":{}}`, `{"uid":"ada","account":{}}`}, `line 4: the account "ada" is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Join(append(c.lines, fmt.Sprintf(`{"end":{"lines":%d}}`, len(c.lines)-1)), "\n") + "\n"
			_, err := startWith(t, strings.NewReader(text))
			check.Error(t, "loading", err, c.want)
		})
	}
}

func TestChangesGrowWithEveryChange(t *testing.T) {
	t.Parallel()
	s := start(t)
	before := s.Changes()
	s.Set("ada", auth.Account{})
	check.Equal(t, s.Changes(), before+1, "the number of changes after a change")
}
