package push_test

import (
	"strings"
	"testing"

	"carillon.example/shared/push"
)

func TestSays(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]bool{
		`{"notification":{}}`:                                         false,
		`{"notification":null,"data":null}`:                           false,
		`{"notification":{"title":"","body":" \n"}}`:                  false,
		`{"data":{}}`:                                                 false,
		`{"android":{"priority":"high"}}`:                             false,
		`{"android":{"notification":{"color":"#fff"}}}`:               false,
		`{"apns":{"payload":{"aps":{"alert":{}}}}}`:                   false,
		`{"apns":{"payload":{"aps":{"mutable":false}}}}`:              false,
		`{"webpush":{"headers":{"TTL":"5"},"notification":{}}}`:       false,
		`{"fcm_options":{"analytics_label":"x"}}`:                     false,
		`{"notification":{"title":"a"}}`:                              true,
		`{"notification":{"image":"https://x.example/a.png"}}`:        true,
		`{"data":{"a":""}}`:                                           true,
		`{"android":{"data":{"a":"b"}}}`:                              true,
		`{"android":{"notification":{"body_loc_key":"hello"}}}`:       true,
		`{"apns":{"payload":{"aps":{"content-available":1}}}}`:        true,
		`{"apns":{"payload":{"aps":{"badge":0}}}}`:                    true,
		`{"apns":{"payload":{"aps":{"alert":"a"}}}}`:                  true,
		`{"webpush":{"notification":{"actions":[{"title":"Open"}]}}}`: true,
		`{"webpush":{"data":{"a":"b"}}}`:                              true,
		`{"notification":"of the wrong type"}`:                        true,
		`{"notificaton":{}}`:                                          true,
		`{"apns":[]}`:                                                 true,
	} {
		t.Run(message, func(t *testing.T) {

			if got := push.HasContent([]byte(message)); got != want {
				t.Errorf("%s says something: %v, want %v", message, got, want)
			}
		})
	}
}

func TestTitleOf(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 400)
	for message, want := range map[string]string{
		`{"notification":{"title":"a","body":"b"}}`:                                           "a",
		`{"notification":{"body":"b"},"apns":{"payload":{"aps":{"alert":"c"}}}}`:              "c",
		`{"apns":{"payload":{"aps":{"alert":{"title":"d"}}}}}`:                                "d",
		`{"android":{"notification":{"title":"e"}},"webpush":{"notification":{"title":"f"}}}`: "e",
		`{"webpush":{"notification":{"title":"f"}}}`:                                          "f",
		`{"notification":{"title":" "}}`:                                                      "",
		`{"notification":{"title":7},"webpush":{"notification":{"title":"g"}}}`:               "g",
		`{"notification":[],"webpush":{"notification":{"title":"g"}}}`:                        "g",
		`{"data":{"title":"h"}}`:                                                              "",
		`[]`:                                                                                  "",
		`{"notification":{"title":"` + long + `"}}`:                                           long[:300] + "…",
	} {
		t.Run(message, func(t *testing.T) {

			if got := push.TitleOf([]byte(message)); got != want {
				t.Errorf("the title of %.60s is %q, want %q", message, got, want)
			}
		})
	}
}

func TestNamesAndTags(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`"name":"Spring sale, Riga","tags":["spring","riga"]`: "",
		`"name":"` + strings.Repeat("x", 101) + `"`:           "body.name",
		`"name":"a\u0007"`:                                       "body.name",
		`"tags":["` + strings.Repeat("x", 51) + `"]`:             "body.tags[0]",
		`"tags":["a","","b"]`:                                    "body.tags[1]",
		`"tags":["a","b","a"]`:                                   "body.tags[2]",
		`"tags":["1","2","3","4","5","6","7","8","9","10"]`:      "",
		`"tags":["1","2","3","4","5","6","7","8","9","10","11"]`: "body.tags",
	} {
		t.Run(body, func(t *testing.T) {

			d := draft(t, `{"message":{"notification":{"title":"a"}},"audience":{"everyone":true},`+body+`}`)
			got := ""
			for _, f := range d.Check(now) {
				got += f.Location
			}

			if got != want {
				t.Errorf("%.60s: faults at %q, want %q", body, got, want)
			}
		})
	}
}

func TestPausedBecause(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]push.Mailing{
		"":                                    {},
		"paused by hand":                      {PausedReason: push.PausedByHand},
		"misconfigured credentials: no right": {PausedReason: push.PausedCredentials, PausedDetail: "no right"},
		"misconfigured credentials: theirs":   {PausedReason: push.PausedWrongSender, PausedDetail: "theirs"},
		"audience_too_large: 5 of 3":          {PausedReason: push.PausedAudience, PausedDetail: "5 of 3"},
	} {
		t.Run(want, func(t *testing.T) {

			if got := m.PausedBecause(); got != want {
				t.Errorf("%s %q reads %q, want %q", m.PausedReason, m.PausedDetail, got, want)
			}
		})
	}
}
