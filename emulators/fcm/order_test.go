package fcm

import (
	"regexp"
	"testing"

	"carillon.example/emulators/testcloud/check"
)

// TestWhichFaultIsAnsweredFirst sends requests with several faults. Each case has the fault that
// is answered, and every fault that comes after it.
func TestWhichFaultIsAnsweredFirst(t *testing.T) {
	t.Parallel()
	const badPayload = `{"message":{"token":"bad","data":{"from":"x"}}}`
	unavailable := map[string]string{Every: "UNAVAILABLE"}
	for name, c := range map[string]struct {
		settings Settings
		rule     string // the outcome of all tokens
		body     string
		want     string
	}{
		"no bearer":              {settings: Settings{RequireAuth: true, QuotaPerMinute: 1, Outages: unavailable}, body: "no JSON", want: "UNAUTHENTICATED"},
		"the quota":              {settings: Settings{QuotaPerMinute: 1, Outages: unavailable}, body: "no JSON", want: "QUOTA_PROJECT"},
		"no JSON":                {settings: Settings{Outages: unavailable}, body: "no JSON", want: "NOT_JSON"},
		"an outage":              {settings: Settings{Outages: unavailable}, rule: "INTERNAL", body: badPayload, want: "UNAVAILABLE"},
		"a rule":                 {rule: "INTERNAL", body: badPayload, want: "INTERNAL"},
		"the payload":            {rule: "UNREGISTERED", body: badPayload, want: "RESERVED_KEY"},
		"an outage about tokens": {settings: Settings{Outages: map[string]string{Every: "UNREGISTERED"}}, body: badPayload, want: "RESERVED_KEY"},
		"the form of the token":  {body: toToken("bad"), want: "INVALID_TOKEN"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{})
			if c.settings.QuotaPerMinute > 0 { // one send uses it up
				if err := s.Configure(Settings{QuotaPerMinute: 1}); err != nil {
					t.Fatal(err)
				}
				post(t, s, toToken(token))
			}
			if err := s.Configure(c.settings); err != nil {
				t.Fatal(err)
			}
			if c.rule != "" {
				s.SetOutcome("*", c.rule)
			}

			post(t, s, c.body)

			check.Equal(t, s.Stats().Outcomes[c.want], 1, "sends that were answered %s (%v)", c.want, s.Stats().Outcomes)
		})
	}
}

// TestWhatCountsTowardsTheQuota checks that a request with validate_only counts, and a send that
// is answered 503. TestQuotaOfAMinute has answers of 400 and 404.
func TestWhatCountsTowardsTheQuota(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule, body string
		code       int
	}{
		"validate_only": {OK, `{"validate_only":true,"message":{"token":"` + token + `"}}`, 200},
		"a 503":         {"UNAVAILABLE", toToken(token), 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, Options{QuotaPerMinute: 1})
			s.SetOutcome(token, c.rule)
			check.Equal(t, post(t, s, c.body).code, c.code, "status of the first request")
			check.Equal(t, post(t, s, c.body).code, 429, "status of the second request")
		})
	}
}

func TestATTLOfZeroIsAccepted(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, part := range []string{`"android":{"ttl":"0s"}`, `"webpush":{"headers":{"TTL":"0"}}`} {
		check.Equal(t, post(t, s, `{"message":{"token":"`+token+`",`+part+`}}`).code, 200, "status of a message with %s", part)
	}
}

// TestValidatingATopicIsAnsweredWithANumber as FCM does; for a token it answers a fixed text.
func TestValidatingATopicIsAnsweredWithANumber(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, to := range []string{`"topic":"spring"`, `"condition":"'a' in topics"`} {
		got := post(t, s, `{"validate_only":true,"message":{`+to+`}}`)
		if !regexp.MustCompile(`"name": ?"projects/[^/]+/messages/[0-9]+"`).MatchString(got.body) {
			t.Errorf("%s is answered %s, want a number as the id", to, got.body)
		}
	}
	check.Equal(t, len(s.Messages(Filter{})), 0, "number of stored messages")
}
