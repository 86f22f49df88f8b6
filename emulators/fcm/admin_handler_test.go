package fcm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// callAdmin calls one of the paths below /emulator/.
func callAdmin(t testing.TB, s *Server, method, path, body string) reply {
	t.Helper()
	return call(t, plain(t, s), method, s.URL()+"/emulator/"+path, body)
}

func TestAdminHandlesOutcomes(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	got := callAdmin(t, s, "PUT", "outcomes", `[{"token":"dead-*","outcome":"UNREGISTERED"},
		{"token":"dead-0123456","outcome":"UNAVAILABLE","times":1,"retryAfter":"5s"},{"token":"late-0123456","outcome":"SLOW","latency":"1ms"}]`)
	if got.code != 200 {
		t.Fatalf("code %d, want 200; body %s", got.code, got.body)
	}
	switch a := post(t, s, toToken("dead-0123456")); {
	case a.code != 503:
		t.Errorf("the first: code %v, want 503", a.code)
	case a.header.Get("Retry-After") != "5":
		t.Errorf(`the first: Retry-After %q, want "5"`, a.header.Get("Retry-After"))
	}
	if a := post(t, s, toToken("dead-0123456")); a.code != 404 {
		t.Errorf("the second: %d, want 404", a.code)
	}
	if a := post(t, s, toToken("late-0123456")); a.code != 200 {
		t.Errorf("the slow one: %d, want 200", a.code)
	}
	got = callAdmin(t, s, "GET", "outcomes", "")
	var list []map[string]any
	switch err := json.Unmarshal([]byte(got.body), &list); {
	case err != nil:
		t.Errorf("error %v, want none; body %s", err, got.body)
	case len(list) != 2:
		t.Errorf("%v outcomes, want 2; body %s", len(list), got.body)
	case list[0]["token"] != "dead-*":
		t.Errorf(`list 0 token %q, want "dead-*"; body %s`, list[0]["token"], got.body)
	case list[1]["latency"] != "1ms":
		t.Errorf(`list 1 latency %q, want "1ms"; body %s`, list[1]["latency"], got.body)
	}
	switch got = callAdmin(t, s, "DELETE", "outcomes", ""); {
	case got.code != 204:
		t.Errorf("code %v, want 204", got.code)
	case len(s.CurrentOutcomes()) != 0:
		t.Errorf("%v outcomes, want 0", len(s.CurrentOutcomes()))
	}
	if a := post(t, s, toToken("dead-0123456")); a.code != 200 {
		t.Errorf("after all rules were removed: %d, want 200", a.code)
	}
}

func TestAdminHandlesSettings(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Seed: 5})
	got := callAdmin(t, s, "PUT", "settings", `{"latency":"70ms","jitter":"20ms","quotaPerMinute":600000,"chaos":{"UNAVAILABLE":0.25}}`)
	now := s.Settings()
	switch {
	case got.code != 200:
		t.Errorf("code %v, want 200; body %s", got.code, got.body)
	case now.Latency != 70*time.Millisecond:
		t.Errorf("latency %v, want %v; body %s", now.Latency, 70*time.Millisecond, got.body)
	case now.Jitter != 20*time.Millisecond:
		t.Errorf("jitter %v, want %v; body %s", now.Jitter, 20*time.Millisecond, got.body)
	case now.QuotaPerMinute != 600_000:
		t.Errorf("quota per minute %v, want 600000; body %s", now.QuotaPerMinute, got.body)
	case now.Chaos["UNAVAILABLE"] != 0.25:
		t.Errorf("chaos UNAVAILABLE %v, want %v; body %s", now.Chaos["UNAVAILABLE"], 0.25, got.body)
	case now.Seed != 5:
		t.Errorf("seed %v, want 5; body %s", now.Seed, got.body)
	case now.Keep != DefaultKeep:
		t.Errorf("keep %v, want %v; body %s", now.Keep, DefaultKeep, got.body)
	}
	switch got = callAdmin(t, s, "PUT", "settings", `{"latency":"0s"}`); {
	case got.code != 200:
		t.Errorf("after a change of the latency: code %v, want 200; body %s", got.code, got.body)
	case s.Settings().Latency != 0:
		t.Errorf("after a change of the latency: latency %v, want 0; body %s", s.Settings().Latency, got.body)
	case s.Settings().QuotaPerMinute != 600_000:
		t.Errorf("after a change of the latency: quota per minute %v, want 600000; body %s", s.Settings().QuotaPerMinute, got.body)
	}
	shown := callAdmin(t, s, "GET", "settings", "")
	switch again := callAdmin(t, s, "PUT", "settings", shown.body); {
	case again.code != 200:
		t.Errorf("shown values set again: code %v, want 200; body %s", again.code, again.body)
	case again.body != shown.body:
		t.Errorf("shown values set again: body %v, want %v", again.body, shown.body)
	}
}

func TestAdminHandlerNamesEveryFault(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, c := range []struct {
		method, path, body string
		code               int
		at                 []string
	}{
		{"PUT", "outcomes", `[{"token":"","outcome":"DEAD","times":-1,"retryAfter":"x","why":1},{"token":"a","outcome":"OK"},7]`, 422,
			[]string{"body[0].outcome", "body[0].retryAfter", "body[0].times", "body[0].token", "body[0].why", "body[2]"}},
		{"PUT", "outcomes", `{"token":"a"}`, 400, []string{"body"}},
		{"PUT", "outcomes", `[] []`, 400, []string{"body"}},
		{"PUT", "outcomes?x=1", `[]`, 422, []string{"query.x"}},
		{"PUT", "settings", `{"latency":70,"jitter":"-1s","keep":"many","chaos":{"OK":0.1,"INTERNAL":1.5},"color":"red","quotaPerMinute":null}`, 422,
			[]string{"body.chaos", "body.chaos.INTERNAL", "body.chaos.OK", "body.color", "body.jitter", "body.keep", "body.latency", "body.quotaPerMinute"}},
		{"PUT", "settings", `null`, 422, []string{"body"}},
		{"PUT", "settings", `{`, 400, []string{"body"}},
		{"GET", "messages?limit=0&before=x&mail=1", ``, 422, []string{"query.mail"}},
		{"GET", "messages?limit=0&before=x", ``, 422, []string{"query.before", "query.limit"}},
		{"GET", "stats?a=1&b=2", ``, 422, []string{"query.a", "query.b"}},
		{"POST", "stats", ``, 405, []string{"method"}},
		{"GET", "phonebook", ``, 404, []string{"path"}},
		{"GET", "events?token=x", ``, 422, []string{"query.token"}},
	} {
		got := callAdmin(t, s, c.method, c.path, c.body)
		var p struct {
			Title  string
			Status int
			Errors []fault
		}
		err := json.Unmarshal([]byte(got.body), &p)
		var at []string
		for _, f := range p.Errors {
			at = append(at, f.Location)
		}
		slices.Sort(at)
		switch {
		case err != nil:
			t.Errorf("%s %s %s: error %v, want none", c.method, c.path, c.body, err)
		case got.code != c.code:
			t.Errorf("%s %s %s: code %v, want %v", c.method, c.path, c.body, got.code, c.code)
		case p.Status != c.code:
			t.Errorf("%s %s %s: status %v, want %v", c.method, c.path, c.body, p.Status, c.code)
		case p.Title == "":
			t.Errorf("%s %s %s: the title is missing", c.method, c.path, c.body)
		case !slices.Equal(at, c.at):
			t.Errorf("%s %s %s: at %v, want %v", c.method, c.path, c.body, at, c.at)
		case got.header.Get("Content-Type") != "application/problem+json":
			t.Errorf(`%s %s %s: Content-Type %q, want "application/problem+json"`, c.method, c.path, c.body, got.header.Get("Content-Type"))
		}
	}
	switch {
	case len(s.CurrentOutcomes()) != 0:
		t.Errorf("after refused requests: %v outcomes, want 0", len(s.CurrentOutcomes()))
	case s.Settings().Jitter != 0:
		t.Errorf("after refused requests: jitter %v, want 0", s.Settings().Jitter)
	}
}

func TestAdminHandlesMessages(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for i := range 5 {
		post(t, s, fmt.Sprintf(`{"message":{"token":"phone-%05d","notification":{"title":"Gr\u00fc\u00dfe %d"},`+
			`"data":{"mailing_id":"m%d","customer_id":"c%d"}}}`, i, i, i%2, i))
	}
	for query, want := range map[string][]int{
		"": {0, 1, 2, 3, 4}, "?mailing=m1": {1, 3}, "?customer=c2": {2}, "?token=phone-00004": {4}, "?token=phone-*3": {3},
		"?text=gr%C3%BC%C3%9Fe+2": {2}, "?limit=2": {3, 4}, "?limit=2&before=4": {1, 2}, "?mailing=m0&limit=1": {4}, "?text=nothing": {},
	} {
		got := callAdmin(t, s, "GET", "messages"+query, "")
		var body struct{ Messages []Message }
		switch err := json.Unmarshal([]byte(got.body), &body); {
		case err != nil:
			t.Fatalf("error %v, want none; body %s", err, got.body)
		case got.code != 200:
			t.Fatalf("code %v, want 200; body %s", got.code, got.body)
		}
		found := []int{}
		for _, m := range body.Messages {
			found = append(found, int(m.Sequence)-1)
		}
		if !slices.Equal(found, want) {
			t.Errorf("%s: %v, want %v", query, found, want)
		}
	}
	switch got := callAdmin(t, s, "DELETE", "messages", ""); {
	case got.code != 204:
		t.Errorf("code %v, want 204", got.code)
	case len(s.Messages(Filter{})) != 0:
		t.Errorf("%v messages, want 0", len(s.Messages(Filter{})))
	case s.Stats().Accepted != 0:
		t.Errorf("accepted %v, want 0", s.Stats().Accepted)
	}
	post(t, s, toToken(token))
	var st Stats
	switch err := json.Unmarshal([]byte(callAdmin(t, s, "GET", "stats", "").body), &st); {
	case err != nil:
		t.Errorf("error %v, want none", err)
	case st.Accepted != 1:
		t.Errorf("accepted %v, want 1", st.Accepted)
	case st.Outcomes[OK] != 1:
		t.Errorf("outcomes OK %v, want 1", st.Outcomes[OK])
	case st.OpenConnections < 1:
		t.Errorf("open connections %v, want at least 1", st.OpenConnections)
	}
}

func TestAdminHandlesEvents(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	resp, err := s.Client().Get(s.URL() + "/emulator/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf(`type %q, want "text/event-stream"`, ct)
	}
	s.SetOutcome("dead-0123456", "UNREGISTERED")
	post(t, s, `{"message":{"token":"`+token+`",`+"\n"+`"data":{"mailing_id":"m1"}}}`)
	post(t, s, toToken("dead-0123456"))
	post(t, s, `{"validate_only":true,"message":{"topic":"a"}}`)
	post(t, s, `no JSON`)
	s.Clear()
	want := []string{EventChanged, EventAccepted + " " + OK + " " + token + " 1", EventRefused + " UNREGISTERED dead-0123456",
		EventValidated + " " + OK, EventRefused + " NOT_JSON", EventCleared}
	var got []string
	lines := bufio.NewScanner(resp.Body)
	id := ""
	for len(got) < len(want) && lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			id = " " + v
		}
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		var e Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		line := e.Kind
		if e.Outcome != "" {
			line += " " + e.Outcome
		}
		if e.Message != nil && e.Message.Token != "" {
			line += " " + e.Message.Token + id
		}
		got, id = append(got, line), ""
	}
	if !slices.Equal(got, want) {
		t.Errorf("events\n%q\nwant\n%q", got, want)
	}
}

func TestAdminHandlerOnAnotherPort(t *testing.T) {
	t.Parallel()
	s, other := start(t, Options{}), &http.Server{ReadHeaderTimeout: time.Second}
	other.Handler = s.AdminHandler()
	url := listen(t, other)
	if got := call(t, http.DefaultClient, "GET", url+"/emulator/stats", ""); got.code != 200 {
		t.Errorf("%d, want 200", got.code)
	}
	if got := call(t, http.DefaultClient, "POST", url+"/v1/projects/p/messages:send", toToken(token)); got.code != 404 {
		t.Errorf("sending there: %d, want 404", got.code)
	}
}
