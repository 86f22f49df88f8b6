package fcm

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

func toFID(fid string) string { return `{"message":{"fid":"` + fid + `","data":{"a":"b"}}}` }

// configure changes the settings of a running server.
func configure(t testing.TB, s *Server, change func(*Settings)) {
	t.Helper()
	settings := s.Settings()
	change(&settings)
	if err := s.Configure(settings); err != nil {
		t.Fatal(err)
	}
}

// expect sends a message and compares its outcome in the counts.
func expect(t testing.TB, s *Server, body, want string) {
	t.Helper()
	before := s.Stats().Outcomes
	post(t, s, body)
	for name, n := range s.Stats().Outcomes {
		if n != before[name] && name != want {
			t.Errorf("%s gets %s, want %s", body, name, want)
		}
	}
}

func TestTokenAndFIDOfOneInstallationExcludeEachOther(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	configure(t, s, func(x *Settings) { x.ExclusiveInstallations = true })

	expect(t, s, toToken("fid-0123456:APA91b"), OK)
	expect(t, s, toFID("fid-0123456"), "UNREGISTERED")
	expect(t, s, toToken("fid-0123456:APA91b"), OK)

	if err := s.SetInstallations(Installation{FID: "fid-0123456", Registered: ByFID}); err != nil {
		t.Fatal(err)
	}
	expect(t, s, toFID("fid-0123456"), OK)
	expect(t, s, toToken("fid-0123456:APA91b"), "UNREGISTERED")
	expect(t, s, toToken("fid-0123456"), OK) // a FID in the field token

	expect(t, s, toFID("fid-other-1"), OK)
	expect(t, s, toToken("fid-other-1:APA91b"), "UNREGISTERED")
	expect(t, s, toFID("fid-third-1:APA91b"), "UNREGISTERED") // a token is not a FID

	configure(t, s, func(x *Settings) { x.ExclusiveInstallations = false })
	expect(t, s, toToken("fid-0123456:APA91b"), OK)
}

// Only a message that was delivered registers the address of an installation.
func TestValidatingRegistersNothing(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	configure(t, s, func(x *Settings) { x.ExclusiveInstallations = true })
	expect(t, s, `{"validate_only":true,"message":{"token":"fid-0123456:APA91b"}}`, OK)
	expect(t, s, toFID("fid-0123456"), OK)
}

func TestFIDsThatAreNotRegistered(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	configure(t, s, func(x *Settings) { x.FIDsMustRegister = true })
	expect(t, s, toFID("fid-0123456"), "UNREGISTERED")
	expect(t, s, toToken("fid-0123456:APA91b"), OK)
	for by, want := range map[string]string{ByFID: OK, ByToken: "UNREGISTERED", ByNone: "UNREGISTERED"} {
		if err := s.SetInstallations(Installation{FID: "fid-0123456", Registered: by}); err != nil {
			t.Fatal(err)
		}
		expect(t, s, toFID("fid-0123456"), want)
	}
}

func TestPhonesOfAnotherProject(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.SetOutcome("ruled-012345", OK)
	configure(t, s, func(x *Settings) { x.PhonesProject = "another" })
	expect(t, s, toToken(token), "SENDER_ID_MISMATCH")
	expect(t, s, toToken("ruled-012345"), "SENDER_ID_MISMATCH")
	expect(t, s, toFID("fid-0123456"), "UNREGISTERED")
	expect(t, s, `{"message":{"topic":"spring"}}`, OK)
	expect(t, s, `{"message":{"token":"`+token+`","data":{"from":"x"}}}`, "RESERVED_KEY")
	configure(t, s, func(x *Settings) { x.PhonesProject = project })
	expect(t, s, toToken(token), OK)
}

// TestARuleForAProject checks that a rule with a project leaves the sends of other
// projects alone, whatever rule they have, and that it is shown as it was set.
func TestARuleForAProject(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	url := s.URL() + "/emulator/outcomes"
	rules := `[{"token":"*","project":"another","outcome":"QUOTA_PROJECT"},{"token":"*","project":"` + project + `","outcome":"UNREGISTERED"},
		{"token":"ruled-012345","project":"another","outcome":"SENDER_ID_MISMATCH"}]`
	got := call(t, s.Client(), http.MethodPut, url, rules)
	if got.code != http.StatusOK {
		t.Fatalf("setting the rules: status %d, want 200: %s", got.code, got.body)
	}
	if want := `"project": "another"`; !strings.Contains(got.body, want) {
		t.Fatalf("setting the rules: the answer is %s, want %s in it", got.body, want)
	}
	for _, c := range []struct {
		project, token string
		want           string
	}{
		{"another", token, "QUOTA_PROJECT"},
		{project, token, "UNREGISTERED"},
		{"third", token, OK},
		{"another", "ruled-012345", "SENDER_ID_MISMATCH"},
		{project, "ruled-012345", "UNREGISTERED"},
	} {
		before := s.Stats().Outcomes[c.want]
		call(t, s.Client(), http.MethodPost, s.URL()+"/v1/projects/"+c.project+"/messages:send", toToken(c.token))
		if got := s.Stats().Outcomes[c.want] - before; got != 1 {
			t.Errorf("a send of %s to %s: %d more %s, want 1", c.project, c.token, got, c.want)
		}
	}
}

func TestOutages(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	if err := s.SetPhones(Phone{Token: "ios-*", Platform: IOS}, Phone{Token: "android-*", Platform: Android}); err != nil {
		t.Fatal(err)
	}
	s.SetOutcome("ios-rule-012", OK)
	s.SetOutcome("gone-0123456", "UNREGISTERED")
	ios, android, topic := toToken("ios-0123456"), toToken("android-0123456"), `{"message":{"topic":"spring"}}`
	for _, c := range []struct {
		name    string
		outages map[string]string
		want    map[string]string // outcome by request
	}{
		{"none", nil, map[string]string{ios: OK, android: OK, topic: OK}},
		{"the whole base answers 404", map[string]string{Every: "UNREGISTERED"},
			map[string]string{ios: "UNREGISTERED", android: "UNREGISTERED", toToken("ios-rule-012"): "UNREGISTERED", topic: OK}},
		{"one platform", map[string]string{IOS: "THIRD_PARTY_AUTH"},
			map[string]string{ios: "THIRD_PARTY_AUTH", android: OK, topic: OK, toFID("ios-0123456"): "THIRD_PARTY_AUTH"}},
		{"one kind", map[string]string{"fid": "UNREGISTERED"}, map[string]string{toFID("fid-0123456"): "UNREGISTERED", ios: OK}},
		{"the narrowest wins", map[string]string{Every: "UNAVAILABLE", "token": "INTERNAL", IOS: "THIRD_PARTY_AUTH"},
			map[string]string{ios: "THIRD_PARTY_AUTH", android: "INTERNAL", topic: "UNAVAILABLE"}},
		{"over", map[string]string{}, map[string]string{ios: OK, toToken("gone-0123456"): "UNREGISTERED"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			configure(t, s, func(x *Settings) { x.Outages = c.outages })
			for body, want := range c.want {
				expect(t, s, body, want)
			}
		})
	}
}

func TestNotificationsOff(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	if err := s.SetPhones(Phone{Token: "muted-*", Notifications: "off"}, Phone{Token: "muted-again-1", Notifications: "on"}); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]bool{"muted-phone-1": true, "muted-again-1": false, token: false} {
		if got := post(t, s, toToken(target)); got.code != 200 {
			t.Errorf("%s is answered %d, want 200: FCM does not know", target, got.code)
		}
		found := s.Messages(Filter{Token: target})
		switch {
		case len(found) != 1:
			t.Errorf("%s: %v messages, want 1", target, len(found))
		case found[0].NotificationsOff != want:
			t.Errorf("%s: notifications off %v, want %v", target, found[0].NotificationsOff, want)
		}
	}
	if got := callAdmin(t, s, "GET", "messages?token=muted-phone-1", ""); !strings.Contains(got.body, `"notificationsOff": true`) {
		t.Errorf("the answer lacks notificationsOff: %s", got.body)
	}
}

func TestWhatIsSaidOfPhonesIsLaidOver(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	if err := s.SetPhones(Phone{Token: "*", Platform: Android}, Phone{Token: "x-*", Platform: IOS, Notifications: "off"},
		Phone{Token: "x-1", Notifications: "on"}, Phone{Token: "x-1", Platform: Web}, Phone{Token: "*", Notifications: "on"}); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]Phone{
		"y-1": {"y-1", Android, "on"}, "x-2": {"x-2", Android, "on"}, "x-1": {"x-1", Web, "on"},
	} {
		if got := s.phones.describeToken(target); got != want {
			t.Errorf("%s is %+v, want %+v", target, got, want)
		}
	}
	s.ClearPhones()
	if got := s.phones.describeToken("x-1"); got != (Phone{Token: "x-1"}) {
		t.Errorf("after the deletion x-1 is %+v, want %v", got, (Phone{Token: "x-1"}))
	}
}

func TestAdminHandlesPhonesAndInstallations(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, c := range []struct{ path, body, back string }{
		{"phones", `[{"token":"ios-*","platform":"ios"},{"token":"muted-1","notifications":"off"}]`, `"muted-1"`},
		{"installations", `[{"fid":"fid-0123456","registered":"fid"}]`, `"fid-0123456"`},
	} {
		switch got := callAdmin(t, s, "GET", c.path, ""); {
		case got.code != 200:
			t.Errorf("%s at first: code %v, want 200; body %s", c.path, got.code, got.body)
		case strings.TrimSpace(got.body) != "[]":
			t.Errorf(`%s at first: body %q, want "[]"`, c.path, strings.TrimSpace(got.body))
		}
		switch got := callAdmin(t, s, "PUT", c.path, c.body); {
		case got.code != 200:
			t.Errorf("PUT %s: code %v, want 200; body %s", c.path, got.code, got.body)
		case !strings.Contains(got.body, c.back):
			t.Errorf("PUT %s: body %q, want %q in it", c.path, got.body, c.back)
		}
		shown := callAdmin(t, s, "GET", c.path, "")
		switch again := callAdmin(t, s, "PUT", c.path, shown.body); {
		case again.code != 200:
			t.Errorf("%s: shown values set again: code %v, want 200; body %s", c.path, again.code, again.body)
		case again.body != shown.body:
			t.Errorf("%s: shown values set again: body %v, want %v", c.path, again.body, shown.body)
		}
		if got := callAdmin(t, s, "DELETE", c.path, ""); got.code != 204 {
			t.Errorf("DELETE %s: %d, want 204", c.path, got.code)
		}
		if got := callAdmin(t, s, "GET", c.path, ""); strings.TrimSpace(got.body) != "[]" {
			t.Errorf("%s after DELETE: %s", c.path, got.body)
		}
	}
}

func TestAdminHandlerNamesEveryFaultOfPhonesAndInstallations(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, c := range []struct{ path, body, at string }{
		{"phones", `[{"token":"","platform":"pager","notifications":"maybe","x":1}]`,
			"body[0].x body[0].token body[0].platform body[0].notifications"},
		{"installations", `[{"fid":"a:b","registered":"sms"},{"registered":"fid"}]`, "body[0].fid body[0].registered body[1].fid"},
		{"outcomes", `[{"token":"a","outcome":"OK","share":1.5}]`, "body[0].share"},
		{"settings", `{"quotaShape":"hour"}`, "body.quotaShape"},
		{"settings", `{"jumpFor":"2s","jumpEvery":"1s"}`, "body.jumpFor"},
		{"settings", `{"outages":{"pager":"UNREGISTERED"}}`, "body.outages.pager"},
		{"settings", `{"outages":{"*":"OK"}}`, "body.outages.*"},
	} {
		t.Run(c.path+" "+c.body, func(t *testing.T) {
			got := callAdmin(t, s, "PUT", c.path, c.body)
			var p struct{ Errors []fault }
			switch err := json.Unmarshal([]byte(got.body), &p); {
			case err != nil:
				t.Fatalf("error %v, want none; body %s", err, got.body)
			case got.code != 422:
				t.Fatalf("code %v, want 422; body %s", got.code, got.body)
			}
			var at []string
			for _, f := range p.Errors {
				at = append(at, f.Location)
			}
			if strings.Join(at, " ") != c.at {
				t.Errorf("faults at %v, want %s", at, c.at)
			}
		})
	}
}

// The rule before applies to the sends outside of the share.
func TestARuleForAShare(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Seed: 3})
	if err := s.SetOutcomes(Outcome{Token: "*", Outcome: "INTERNAL", Share: 0.5},
		Outcome{Token: "*", Outcome: "QUOTA_PROJECT", Share: 0.1, RetryAfter: time.Second},
		Outcome{Token: "*", Outcome: "QUOTA_PROJECT", Share: 0.25, RetryAfter: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	switch rules := s.CurrentOutcomes(); {
	case len(rules) != 2:
		t.Fatalf("%v rules, want 2", len(rules))
	case rules[1].Share != 0.25:
		t.Fatalf("share of the last rule %v, want %v", rules[1].Share, 0.25)
	}
	const n = 2000
	for i := range n {
		got := post(t, s, toToken(fmt.Sprintf("share-token-%d", i)))
		if wait := got.header.Get("Retry-After"); (got.code == 429) != (wait == "2") {
			t.Fatalf("status %d with Retry-After %q, want Retry-After 2 with 429 only", got.code, wait)
		}
	}
	for name, want := range map[string]float64{"QUOTA_PROJECT": 0.25, "INTERNAL": 0.375, OK: 0.375} {
		if got := float64(s.Stats().Outcomes[name]) / n; math.Abs(got-want) > 0.05 {
			t.Errorf("%s is a share of %.3f, want %.3f", name, got, want)
		}
	}
}

// A share of tokens is always the same tokens: an invalid token does not become valid.
func TestAShareOfTokensIsTheSameTokens(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	if err := s.SetOutcomes(Outcome{Token: "*", Outcome: "UNREGISTERED", Share: 0.3}); err != nil {
		t.Fatal(err)
	}
	invalid := 0
	for i := range 100 {
		target := toToken(fmt.Sprintf("share-token-%d", i))
		first, second := post(t, s, target).code, post(t, s, target).code
		if first != second {
			t.Errorf("token %d gets status %d, then %d", i, first, second)
		}
		if first == 404 {
			invalid++
		}
	}
	if invalid < 10 || invalid > 60 {
		t.Errorf("%d of 100 tokens are invalid, want 10 to 60", invalid)
	}
}

// The text of FCM alone would not show that the rule is one of the emulator.
func TestWhyATokenIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for body, want := range map[string]string{
		toToken("good-1a"):        "it has 7 characters",
		toToken("user@example.1"): `its byte 5 is '@'`,
		toFID("short"):            "it has 5 characters",
		toToken(token):            "",
	} {
		got := post(t, s, body).header.Get("X-Emulator-Reason")
		switch {
		case (want == "") != (got == ""):
			t.Errorf("%s: X-Emulator-Reason %q, want %q", body, got, want)
		case !strings.Contains(got, want):
			t.Errorf("%s: X-Emulator-Reason %q, want %q in it", body, got, want)
		}
	}
	s.SetOutcome(token, "INVALID_TOKEN")
	if got := post(t, s, toToken(token)).header.Get("X-Emulator-Reason"); got != "" {
		t.Errorf(`X-Emulator-Reason of a rule: %q, want ""`, got)
	}
}

func TestTheRedirectFileIsServed(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	got := callAdmin(t, s, "GET", "redirect.mjs", "")
	switch {
	case got.code != 200:
		t.Errorf("code %v, want 200; body %s", got.code, got.body)
	case !strings.Contains(got.body, "FCM_EMULATOR"):
		t.Errorf(`body %q, want "FCM_EMULATOR" in it`, got.body)
	}
	if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/javascript") {
		t.Errorf("type %q", kind)
	}
}
