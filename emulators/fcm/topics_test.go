package fcm

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestInstanceIDFaults(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	many := strings.TrimSuffix(strings.Repeat(`"t",`, maxTopicTokens+1), ",")
	for body, want := range map[string]string{
		``: "InvalidRequest", `{`: "InvalidRequest", `{"to":"/topics/a","registration_tokens":[]}`: "InvalidRequest",
		`{"to":"/topics/a b","registration_tokens":["t"]}`: "InvalidTopicName", `{"to":"a","registration_tokens":["t"]}`: "InvalidTopicName",
		`{"to":"/topics/a","registration_tokens":[` + many + `]}`: "TooManyTokens",
	} {
		got := call(t, s.Client(), "POST", s.URL()+"/iid/v1:batchAdd", body)
		var answer struct{ Error string }
		switch err := json.Unmarshal([]byte(got.body), &answer); {
		case err != nil:
			t.Errorf("%.60s: error %v, want none", body, err)
		case got.code != 400:
			t.Errorf("%.60s: code %v, want 400", body, got.code)
		case answer.Error != want:
			t.Errorf("%.60s: error %v, want %v", body, answer.Error, want)
		}
	}
}

func TestTopicSubscriptionsOfV1(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.SetOutcome("gone-0123456", "UNREGISTERED")
	base := s.URL() + "/v1/projects/p/registrations/%s/topicSubscriptions%s"
	for i, c := range []struct {
		method, token, rest string
		code                int
		contains            string
	}{
		{"POST", token, "?topic_name=spring", 200, `"name": "projects/p/registrations/` + token + `/topicSubscriptions/spring"`},
		{"POST", token, "?topicName=spring", 409, "ALREADY_EXISTS"},
		{"POST", token, "?topicName=autumn", 200, `"topicName": "autumn"`},
		{"POST", token, "?topicName=a+b", 400, "Topic name contains invalid characters."},
		{"POST", token, "", 400, "Topic name"},
		{"POST", "gone-0123456", "?topicName=spring", 404, "UNREGISTERED"},
		{"POST", "bad", "?topicName=spring", 400, badToken},
		{"GET", token, "", 200, "autumn"},
		{"GET", token, "/spring", 200, "createTime"},
		{"DELETE", token, "/spring", 200, "{}"},
		{"DELETE", token, "/spring", 404, noEntity},
		{"DELETE", token, "/spring?allow_missing=true", 200, "{}"},
		{"PATCH", token, "/winter", 404, noEntity},
		{"PATCH", token, "/winter?allowMissing=true", 200, "winter"},
		{"PATCH", token, "/winter", 200, "winter"},
	} {
		got := call(t, s.Client(), c.method, fmt.Sprintf(base, c.token, c.rest), "{}")
		switch {
		case got.code != c.code:
			t.Errorf("%d: %s %s%s: code %v, want %v; body %s", i, c.method, c.token, c.rest, got.code, c.code, got.body)
		case !strings.Contains(got.body, c.contains):
			t.Errorf("%d: %s %s%s: body %q, want %q in it", i, c.method, c.token, c.rest, got.body, c.contains)
		}
	}
	switch all := s.Topics(); {
	case len(all) != 2:
		t.Errorf("%v topics, want 2", len(all))
	case all["autumn"] != 1:
		t.Errorf("subscribers of autumn %v, want 1", all["autumn"])
	case all["winter"] != 1:
		t.Errorf("subscribers of winter %v, want 1", all["winter"])
	}
	if got := callAdmin(t, s, "GET", "topics?topic=winter", ""); !strings.Contains(got.body, token) {
		t.Errorf("GET /emulator/topics: %s", got.body)
	}
}
