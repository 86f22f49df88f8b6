package fcm

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"strings"
	"testing"
)

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"abc", "abc", true}, {"abc", "abcd", false}, {"*", "", true}, {"*", "x", true}, {"a*", "abc", true}, {"a*", "ba", false},
		{"*c", "abc", true}, {"*c", "cb", false}, {"a*c", "abbc", true}, {"a*a", "a", false}, {"a*b*c", "axbyc", true},
		{"a*b*c", "acb", false}, {"*b*", "abc", true}, {"*b*", "ac", false}, {"a**c", "ac", true}, {"*ab", "aab", true},
	} {
		if got := matchesPattern(c.pattern, c.text); got != c.want {
			t.Errorf("%q matches %q: %t, want %v", c.pattern, c.text, got, c.want)
		}
	}
}

func TestTheLatestRuleWins(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	code := func(target string) int { t.Helper(); return post(t, s, toToken(target)).code }
	s.SetOutcome("rule-*", "UNREGISTERED")
	s.SetOutcome("rule-012345", "INTERNAL")
	if got := code("rule-012345"); got != 500 {
		t.Errorf("exact after pattern: %d, want 500", got)
	}
	s.SetOutcome("*-012345", "PERMISSION_DENIED")
	if got := code("rule-012345"); got != 403 {
		t.Errorf("pattern after exact: %d, want 403", got)
	}
	if err := s.SetOutcomes(Outcome{Token: "rule-012345", Outcome: "UNAVAILABLE", Times: 2}); err != nil {
		t.Fatal(err)
	}
	switch a, b, c := code("rule-012345"), code("rule-012345"), code("rule-012345"); {
	case a != 503:
		t.Errorf("two times, then as before: first code %v, want 503", a)
	case b != 503:
		t.Errorf("two times, then as before: second code %v, want 503", b)
	case c != 403:
		t.Errorf("two times, then as before: third code %v, want 403", c)
	}
	s.SetOutcome("rule-012345", OK)
	if got := code("rule-012345"); got != 200 {
		t.Errorf("after the rule OK: %d, want 200", got)
	}
	if got := len(s.CurrentOutcomes()); got != 3 {
		t.Errorf("%d rules hold, want 3", got)
	}
}

func TestRulesWinOverTheShapeOfATokenButNotOverThePayload(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.SetOutcome("bad", OK)
	if got := post(t, s, toToken("bad")); got.code != 200 {
		t.Errorf("a short token with the rule OK: %d, want 200", got.code)
	}
	s.SetOutcome("gone-0123456", "UNREGISTERED")
	if got := post(t, s, `{"message":{"token":"gone-0123456","data":{"from":"x"}}}`); got.code != 400 {
		t.Errorf("a bad payload to an invalid token: %d, want 400", got.code)
	}
	s.SetOutcome("busy-0123456", "UNAVAILABLE")
	if got := post(t, s, `{"message":{"token":"busy-0123456","data":{"from":"x"}}}`); got.code != 503 {
		t.Errorf("a bad payload in an outage: %d, want 503", got.code)
	}
}

func TestTopicsObeyRules(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	toTopic := func() int { return post(t, s, `{"message":{"topic":"spring"}}`).code }
	s.SetOutcome("*", "UNREGISTERED")
	if got := toTopic(); got != 200 {
		t.Errorf("a topic with a rule about tokens: %d, want 200", got)
	}
	s.SetOutcome("*", "UNAVAILABLE")
	if got := toTopic(); got != 503 {
		t.Errorf("a topic in an outage for all: %d, want 503", got)
	}
	s.SetOutcome("/topics/spring", OK)
	if got := toTopic(); got != 200 {
		t.Errorf("the topic with the rule OK: %d, want 200", got)
	}
}

func TestWrongRulesAreRefusedTogether(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	err := s.SetOutcomes(Outcome{Token: "a", Outcome: OK}, Outcome{Outcome: "DEAD", Times: -1})
	var all faults
	switch {
	case !errors.As(err, &all):
		t.Errorf("error %v, want a list of faults", err)
	case len(all) != 3:
		t.Errorf("%v faults, want 3", len(all))
	case len(s.CurrentOutcomes()) != 0:
		t.Errorf("%v outcomes, want 0", len(s.CurrentOutcomes()))
	case !strings.Contains(err.Error(), "UNREGISTERED"):
		t.Errorf(`error %q, want "UNREGISTERED" in it`, err.Error())
	}
	switch err := s.Configure(Settings{Keep: -1, Chaos: map[string]float64{"X": 2}}); {
	case !errors.As(err, &all):
		t.Errorf("error %v, want a list of faults", err)
	case len(all) != 4:
		t.Errorf("%v faults, want 4: %v", len(all), err)
	}
	if _, err := Start("127.0.0.1:0", Options{Latency: -1}); err == nil {
		t.Error("a negative latency")
	}
	defer func() {
		if recover() == nil {
			t.Error("SetOutcome accepted an unknown name")
		}
	}()
	s.SetOutcome("a", "DEAD")
}

func TestREADMENamesEveryOutcome(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Outcomes() {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not there", name)
		}
	}
}

func TestChaosKeepsItsShares(t *testing.T) {
	t.Parallel()
	p := newPolicy(Settings{Seed: 3, Chaos: map[string]float64{"UNREGISTERED": 0.1, "UNAVAILABLE": 0.2, "INTERNAL": 0.05}})
	other := newPolicy(Settings{Seed: 4, Chaos: p.Chaos})
	count, differ := map[string]float64{}, 0
	const n = 20_000
	for i := range uint64(n) {
		device := fmt.Sprintf("token-%d", i)
		o := p.drawChaos(device, i)
		count[o] += 1.0 / n
		if o != p.drawChaos(device, i) {
			t.Fatal("the same seed gives another outcome")
		}
		if o != other.drawChaos(device, i) {
			differ++
		}
		if (o == "UNREGISTERED") != (p.drawChaos(device, i+n) == "UNREGISTERED") {
			t.Fatalf("%s became valid again", device)
		}
		if p.drawChaos("", i) == "UNREGISTERED" {
			t.Fatal("chaos drew UNREGISTERED for a topic")
		}
	}
	// An outcome by request is only drawn for tokens that are valid.
	for o, want := range map[string]float64{"UNREGISTERED": 0.1, "UNAVAILABLE": 0.18, "INTERNAL": 0.045, "": 0.675} {
		if math.Abs(count[o]-want) > 0.01 {
			t.Errorf("%q: %.3f, want %.3f", o, count[o], want)
		}
	}
	if differ < n/10 {
		t.Errorf("another seed differs in %d draws, want at least %d", differ, n/10)
	}
}

func TestChaosOfTheServerIsRepeatable(t *testing.T) {
	t.Parallel()
	run := func() map[string]int {
		s := start(t, Options{Seed: 11})
		if err := s.Configure(Settings{Seed: 11, Chaos: map[string]float64{"UNREGISTERED": 0.2, "INTERNAL": 0.2}}); err != nil {
			t.Fatal(err)
		}
		s.SetOutcome("sure-*", OK)
		for i := range 60 {
			post(t, s, toToken(fmt.Sprintf("chaos-token-%d", i)))
			if got := post(t, s, toToken(fmt.Sprintf("sure-token-%d", i))); got.code != 200 {
				t.Errorf("a rule beside chaos: %d, want 200", got.code)
			}
		}
		return s.Stats().Outcomes
	}
	one, two := run(), run()
	switch {
	case !maps.Equal(one, two):
		t.Errorf("outcomes %v, then %v", one, two)
	case one["UNREGISTERED"] == 0:
		t.Errorf("UNREGISTERED %v, want at least 1", one["UNREGISTERED"])
	case one["INTERNAL"] == 0:
		t.Errorf("INTERNAL %v, want at least 1", one["INTERNAL"])
	case one[OK] == 120:
		t.Errorf("OK %v, want less than 120", one[OK])
	}
}

func TestAHundredThousandRules(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for i := range 100_000 {
		s.SetOutcome(fmt.Sprintf("rule-token-%d", i), "UNREGISTERED")
	}
	if got := post(t, s, toToken("rule-token-99999")); got.code != 404 {
		t.Errorf("the last: %d, want 404", got.code)
	}
	if got := post(t, s, toToken("rule-token-x")); got.code != 200 {
		t.Errorf("none of them: %d, want 200", got.code)
	}
}

func TestAMalformedInstallationIDByRule(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.SetOutcome("fid-*", "INVALID_TOKEN")
	got := post(t, s, `{"message":{"fid":"fid-0123456"}}`)
	switch {
	case got.code != 400:
		t.Errorf("code %v, want 400; body %s", got.code, got.body)
	case !strings.Contains(got.body, `"message.fid"`):
		t.Errorf(`body %q, want "message.fid" in it`, got.body)
	case strings.Contains(got.body, "message.token"):
		t.Errorf(`body %q, want no "message.token" in it`, got.body)
	}
}
