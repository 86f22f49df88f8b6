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

// openDoor calls one of the paths below /emulator/.
func openDoor(t testing.TB, s *Server, method, path, body string) reply {
	t.Helper()
	return call(t, plain(t, s), method, s.URL()+"/emulator/"+path, body)
}

func TestDoorOfOutcomes(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	got := openDoor(t, s, "PUT", "outcomes", `[{"token":"dead-*","outcome":"UNREGISTERED"},
		{"token":"dead-0123456","outcome":"UNAVAILABLE","times":1,"retryAfter":"5s"},{"token":"late-0123456","outcome":"SLOW","latency":"1ms"}]`)
	if got.code != 200 {
		t.Fatalf("%d %s", got.code, got.body)
	}
	if a := post(t, s, toToken("dead-0123456")); a.code != 503 || a.header.Get("Retry-After") != "5" {
		t.Errorf("the first: %d %v", a.code, a.header)
	}
	if a := post(t, s, toToken("dead-0123456")); a.code != 404 {
		t.Errorf("the second: %d", a.code)
	}
	if a := post(t, s, toToken("late-0123456")); a.code != 200 {
		t.Errorf("the slow one: %d", a.code)
	}
	got = openDoor(t, s, "GET", "outcomes", "")
	var list []map[string]any
	if err := json.Unmarshal([]byte(got.body), &list); err != nil || len(list) != 2 || list[0]["token"] != "dead-*" || list[1]["latency"] != "1ms" {
		t.Errorf("%v %s", err, got.body)
	}
	if got = openDoor(t, s, "DELETE", "outcomes", ""); got.code != 204 || len(s.CurrentOutcomes()) != 0 {
		t.Errorf("%d, left %v", got.code, s.CurrentOutcomes())
	}
	if a := post(t, s, toToken("dead-0123456")); a.code != 200 {
		t.Errorf("after all were taken back: %d", a.code)
	}
}

func TestDoorOfSettings(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Seed: 5})
	got := openDoor(t, s, "PUT", "settings", `{"latency":"70ms","jitter":"20ms","quotaPerMinute":600000,"chaos":{"UNAVAILABLE":0.25}}`)
	now := s.Settings()
	if got.code != 200 || now.Latency != 70*time.Millisecond || now.Jitter != 20*time.Millisecond || now.QuotaPerMinute != 600_000 ||
		now.Chaos["UNAVAILABLE"] != 0.25 || now.Seed != 5 || now.Keep != DefaultKeep {
		t.Errorf("%d %s; %+v", got.code, got.body, now)
	}
	if got = openDoor(t, s, "PUT", "settings", `{"latency":"0s"}`); got.code != 200 || s.Settings().Latency != 0 || s.Settings().QuotaPerMinute != 600_000 {
		t.Errorf("what is not named stays: %s", got.body)
	}
	shown := openDoor(t, s, "GET", "settings", "")
	if again := openDoor(t, s, "PUT", "settings", shown.body); again.code != 200 || again.body != shown.body {
		t.Errorf("what is shown can be set: %d %s", again.code, again.body)
	}
}

func TestDoorsNameEveryFault(t *testing.T) {
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
		got := openDoor(t, s, c.method, c.path, c.body)
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
		if err != nil || got.code != c.code || p.Status != c.code || p.Title == "" || !slices.Equal(at, c.at) ||
			got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s %s: %d %v, want %d %v; %s", c.method, c.path, c.body, got.code, at, c.code, c.at, got.body)
		}
	}
	if len(s.CurrentOutcomes()) != 0 || s.Settings().Jitter != 0 {
		t.Error("something was changed all the same")
	}
}

func TestDoorOfMessages(t *testing.T) {
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
		got := openDoor(t, s, "GET", "messages"+query, "")
		var body struct{ Messages []Message }
		if err := json.Unmarshal([]byte(got.body), &body); err != nil || got.code != 200 {
			t.Fatalf("%d %v %s", got.code, err, got.body)
		}
		found := []int{}
		for _, m := range body.Messages {
			found = append(found, int(m.Sequence)-1)
		}
		if !slices.Equal(found, want) {
			t.Errorf("%s: %v, want %v", query, found, want)
		}
	}
	if got := openDoor(t, s, "DELETE", "messages", ""); got.code != 204 || len(s.Messages(Filter{})) != 0 || s.Stats().Accepted != 0 {
		t.Errorf("%d, %+v", got.code, s.Stats())
	}
	post(t, s, toToken(token))
	var st Stats
	if err := json.Unmarshal([]byte(openDoor(t, s, "GET", "stats", "").body), &st); err != nil || st.Accepted != 1 || st.Outcomes[OK] != 1 || st.OpenConnections < 1 {
		t.Errorf("%v %+v", err, st)
	}
}

func TestDoorOfEvents(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	resp, err := s.Client().Get(s.URL() + "/emulator/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Errorf("type %q", ct)
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

func TestDoorsOnAnotherPort(t *testing.T) {
	t.Parallel()
	s, other := start(t, Options{}), &http.Server{ReadHeaderTimeout: time.Second}
	other.Handler = s.Doors()
	url := listen(t, other)
	if got := call(t, http.DefaultClient, "GET", url+"/emulator/stats", ""); got.code != 200 {
		t.Errorf("%d", got.code)
	}
	if got := call(t, http.DefaultClient, "POST", url+"/v1/projects/p/messages:send", toToken(token)); got.code != 404 {
		t.Errorf("sending there: %d", got.code)
	}
}
