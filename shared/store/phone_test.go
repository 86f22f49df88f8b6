package store_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// fid is the registration of a Firebase installation id.
func fid(value string) push.Registration {
	return push.Registration{Kind: push.KindFID, Value: value, Platform: push.Android}
}

// gives registers r for a customer, a minute after what was before.
func (w *harness) gives(t testing.TB, customer string, r push.Registration) []push.Event {
	t.Helper()
	w.clock.Add(time.Minute)
	done, err := w.RegisterToken(t.Context(), customer, r)
	if err != nil {
		t.Fatal(err)
	}
	return done.Events
}

// values are the tokens that a customer has, in alphabetical order.
func (w *harness) values(t testing.TB, customer string) (out []string) {
	t.Helper()
	for _, x := range w.customer(t, customer).Tokens {
		out = append(out, x.Value)
	}
	slices.Sort(out)
	return out
}

func TestOnePhoneIsOneTarget(t *testing.T) {
	t.Parallel()
	device := func(value, device, app string) push.Registration {
		return push.Registration{Kind: push.KindToken, Value: value, Device: device, App: app}
	}
	for name, c := range map[string]struct {
		first, second push.Registration
		left          []string
	}{
		"a FID replaces its registration token":     {a("phone:x"), fid("phone"), []string{"phone"}},
		"a registration token replaces its FID":     {fid("phone"), a("phone:x"), []string{"phone:x"}},
		"a FID of another installation does not":    {a("phone:x"), fid("other"), []string{"other", "phone:x"}},
		"a FID that the token's FID begins with":    {a("phone:x"), fid("pho"), []string{"pho", "phone:x"}},
		"a second token of the device and app":      {device("t1", "d", "shop"), device("t2", "d", "shop"), []string{"t2"}},
		"a token of another app of the device":      {device("t1", "d", "shop"), device("t2", "d", "bank"), []string{"t1", "t2"}},
		"a token of another device":                 {device("t1", "d", "shop"), device("t2", "e", "shop"), []string{"t1", "t2"}},
		"tokens without a device":                   {a("t1"), a("t2"), []string{"t1", "t2"}},
		"a registration token sent in as a FID":     {fid("phone:x"), fid("phone"), []string{"phone"}},
		"a FID sent in as a registration token":     {a("cAbCdEfGhIjKlMnOpQrSt1:x"), a("cAbCdEfGhIjKlMnOpQrSt1"), []string{"cAbCdEfGhIjKlMnOpQrSt1"}},
		"the same token again takes nobody's place": {a("phone:x"), a("phone:x"), []string{"phone:x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t)
			w.gives(t, "anna", c.first)
			events := w.gives(t, "anna", c.second)
			if d := cmp.Diff(c.left, w.values(t, "anna")); d != "" {
				t.Errorf("tokens left (-want +got):\n%s", d)
			}
			want := ""
			if len(c.left) == 1 && c.first.Value != c.second.Value {
				want = push.TokenSuperseded
			}
			if got := kinds(events); got != want {
				t.Errorf("events %q, want %q", got, want)
			}
			if n := len(w.dump(t)) - 1; n != len(c.left) {
				t.Errorf("the index has %d tokens, want %d", n, len(c.left))
			}
		})
	}
}

// TestASupersededTokenIsReportedAsSuch: with its code, and with what took its
// place; the entry keeps the time and the device that the old name had.
func TestASupersededTokenIsReportedAsSuch(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.gives(t, "anna", push.Registration{Kind: push.KindToken, Value: "phone:x", Platform: push.IOS, App: "shop", Device: "d"})
	before := *w.tokenOf(t, "anna", "phone:x")
	events := w.gives(t, "anna", push.Registration{Kind: push.KindFID, Value: "phone"})
	if len(events) != 1 {
		t.Fatalf("events %s, want one", kinds(events))
	}
	want := push.SupersededData{Customer: "anna", TokenID: push.TokenID("phone:x"), Platform: push.IOS, App: "shop", Code: "SUPERSEDED", By: push.TokenID("phone"), Version: w.customer(t, "anna").Version}
	if d := cmp.Diff(want, events[0].Data); d != "" {
		t.Errorf("the event (-want +got):\n%s", d)
	}
	now := w.tokenOf(t, "anna", "phone")
	before.ID, before.Value, before.Kind, before.SeenAt = now.ID, "phone", push.KindFID, now.SeenAt
	if d := cmp.Diff(before, *now); d != "" {
		t.Errorf("the token (-want +got):\n%s", d)
	}
}

// TestBothTokensOfAPhoneMove: the FID of a phone is registered for
// another customer than its registration token.
func TestBothTokensOfAPhoneMove(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.gives(t, "anna", a("phone:x"))
	events := w.gives(t, "bert", fid("phone"))
	if got, want := kinds(events), "bert=true token.superseded anna=false"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if got := w.values(t, "anna"); len(got) != 0 {
		t.Errorf("anna still has %v", got)
	}
	w.gives(t, "bert", push.Registration{Kind: push.KindToken, Value: "t1", Device: "d", App: "shop"})
	w.gives(t, "carl", push.Registration{Kind: push.KindToken, Value: "t2", Device: "d", App: "shop"})
	if got, want := w.values(t, "bert"), []string{"phone", "t1"}; !slices.Equal(got, want) {
		t.Errorf("the id of a device, which is the app's word, took another customer's token: bert has %v, want %v", got, want)
	}
}

// TestAnInvalidTokenIsSuperseded: a token that is invalid because the app uses FIDs now
// is replaced, and its event is made again.
func TestAnInvalidTokenIsSuperseded(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.gives(t, "anna", a("phone:x"))
	w.clock.Add(time.Minute)
	w.flag(t, "m", "anna", "phone:x", w.clock.Now())
	if got, want := kinds(w.gives(t, "anna", fid("phone"))), "token.invalidated token.superseded anna=true"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if got, want := w.values(t, "anna"), []string{"phone"}; !slices.Equal(got, want) {
		t.Errorf("anna has %v, want %v", got, want)
	}
}

func TestAFileSupersedesOnlyWhatIsOlder(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	later := func(r push.Registration) push.Registration { r.SeenAt = w.clock.Now(); return r }
	w.gives(t, "anna", a("phone:x"))
	w.gives(t, "bert", a("tablet:x"))
	w.clock.Add(time.Minute)

	refused, events := w.imports(t, importLine(t, "anna", `{}`, fid("phone")), importLine(t, "carl", `{}`, fid("tablet")))
	if refused[0] != nil {
		t.Errorf("a FID of a phone that is known by its token was refused: %v", refused[0])
	}
	if refused[1] == nil {
		t.Fatalf("a line takes another customer's phone: it was stored, want it refused")
	}
	if !strings.Contains(refused[1].Error(), "another customer") {
		t.Errorf("another customer's phone: %q, want it to contain %q", refused[1].Error(), "another customer")
	}
	check.Equal(t, kinds(events), "", "events of lines without a time")
	check.Equal(t, w.values(t, "anna"), []string{"phone:x"}, "anna's tokens after lines without a time")
	check.Equal(t, w.values(t, "bert"), []string{"tablet:x"}, "bert's tokens after lines without a time")

	refused, events = w.imports(t, importLine(t, "anna", `{}`, later(fid("phone"))), importLine(t, "carl", `{}`, later(fid("tablet"))))
	if refused[0] != nil {
		t.Errorf("lines with a later time: the line was refused: %v, want it stored", refused[0])
	}
	if refused[1] != nil {
		t.Errorf("lines with a later time: the line was refused: %v, want it stored", refused[1])
	}
	if got, want := kinds(events), "token.superseded token.superseded bert=false"; got != want {
		t.Errorf("events %q, want %q", got, want)
	}
	if got, want := fmt.Sprint(w.values(t, "anna"), w.values(t, "carl")), "[phone] [tablet]"; got != want {
		t.Errorf("anna and carl have %s, want %s", got, want)
	}
}

// TestAnImportMigratesAFullCustomer: the names that are replaced do not count
// beside those that replace them.
func TestAnImportMigratesAFullCustomer(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	var fids []push.Registration
	for i := range push.MaxTokens {
		w.gives(t, "anna", a(fmt.Sprintf("phone%02d:x", i)))
	}
	w.clock.Add(time.Minute)
	for i := range push.MaxTokens {
		r := fid(fmt.Sprintf("phone%02d", i))
		r.SeenAt = w.clock.Now()
		fids = append(fids, r)
	}
	line := importLine(t, "anna", `{}`, fids...)
	if refused, _ := w.imports(t, line); refused[0] != nil {
		t.Fatalf("refused: %v", refused[0])
	}
	for _, x := range w.customer(t, "anna").Tokens {
		if x.Kind != push.KindFID {
			t.Errorf("%s is left as a %s", x.Value, x.Kind)
		}
	}
	before := w.dump(t)
	w.imports(t, line)
	if d := cmp.Diff(before, w.dump(t)); d != "" {
		t.Errorf("importing again changed something:\n%s", d)
	}
}

// TestAFileThatNamesAPhoneTwice keeps one of the names, and the same one however
// often it is imported.
func TestAFileThatNamesAPhoneTwice(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	lines := []push.Registration{a("phone:x"), fid("phone")}
	for range 2 {
		w.imports(t, importLine(t, "anna", `{}`, lines...))
		if got := w.values(t, "anna"); !slices.Equal(got, []string{"phone:x"}) {
			t.Errorf("anna has %v, want [phone:x]", got)
		}
	}
}

// TestMigrationFromTokensToFIDs drives a whole base over to FIDs: phones report
// their registration token, then their FID, in any order among each other, some
// of them the old name once more. After every step a mailing to everyone would
// has each phone exactly once, and no event says that anybody became, or
// stopped being, available.
func TestMigrationFromTokensToFIDs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		w := newHarness(t)
		const customers, phones = 2, 2
		for c := range customers {
			for p := range phones {
				w.gives(t, fmt.Sprint("c", c), a(fmt.Sprintf("c%dp%d:x", c, p)))
			}
		}
		steps := rapid.SliceOfN(rapid.IntRange(0, 2*customers*phones-1), 6, 12).Draw(r, "steps")
		for p := range customers * phones {
			steps = append(steps, 2*p)
		}
		for _, step := range steps {
			c, p := step/2/phones, step/2%phones
			reg := fid(fmt.Sprintf("c%dp%d", c, p))
			if step%2 == 1 {
				reg = a(reg.Value + ":x")
			}
			for _, e := range w.gives(t, fmt.Sprint("c", c), reg) {
				if e.Type != push.TokenSuperseded {
					r.Fatalf("step %d: %s", step, kinds([]push.Event{e}))
				}
			}
			sent := map[string]int{}
			for _, x := range w.customer(t, fmt.Sprint("c", c)).SelectTokens(push.AllDevices) {
				sent[push.InstallationOf(x.Kind, x.Value)]++
			}
			for p := range phones {
				if n := sent[fmt.Sprintf("c%dp%d", c, p)]; n != 1 {
					r.Fatalf("step %d: phone %d of customer %d is %d targets, want 1", step, p, c, n)
				}
			}
		}
		for c := range customers {
			for _, x := range w.customer(t, fmt.Sprint("c", c)).Tokens {
				if x.Kind != push.KindFID {
					r.Fatalf("customer %d is left with the %s %s", c, x.Kind, x.Value)
				}
			}
		}
	})
}
