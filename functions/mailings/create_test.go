package mailings_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	got := w.ask("POST", "/v1/mailings", plain)
	m := decode[brief](t, got, http.StatusAccepted)
	if m.State != push.Accepted || got.header.Get("Location") != "/v1/mailings/"+m.ID || got.header.Get("Idempotency-Replayed") != "" {
		t.Errorf("%+v %v", m, got.header)
	}
	var order push.DispatchOrder
	if err := json.Unmarshal([]byte(w.published("dispatch", 1)[0]), &order); err != nil || order != (push.DispatchOrder{Mailing: m.ID, Shard: push.Start}) {
		t.Errorf("ordered %+v, %v", order, err)
	}
	kept, err := w.store.Mailing(t.Context(), m.ID)
	if err != nil || !kept.Proven || kept.State != push.Accepted || !kept.CreatedAt.Equal(w.clock()) || string(kept.Message) != `{"notification":{"title":"a"}}` {
		t.Errorf("recorded %+v, %v", kept, err)
	}
	if n := len(w.phones.Messages(phones.Filter{})); n != 0 {
		t.Errorf("proving the payload rang %d phones", n)
	}
	if again := w.hand(plain); again.ID == m.ID {
		t.Error("without a key, the same body is another mailing")
	}
}

func TestCreateForLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	body := `{"message":{"data":{"a":"b"}},"audience":{"segments":{"any":["x"]}},"sendAt":"2026-11-01T13:00:00Z","lifetime":"2h"}`
	m := w.hand(body, "Idempotency-Key", "later")
	if m.State != push.Scheduled {
		t.Errorf("it is %s", m.State)
	}
	w.published("dispatch", 0)
	w.ask("POST", "/v1/mailings/"+m.ID+"/cancel", "")
	w.pass(3 * time.Hour) // sendAt lies in the past now, and the body was right when it came
	again := w.ask("POST", "/v1/mailings", body, "Idempotency-Key", "later")
	if was := decode[brief](t, again, http.StatusAccepted); was != m || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %+v, %v", was, again.header)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	first := w.ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	m := decode[brief](t, first, http.StatusAccepted)
	w.ask("POST", "/v1/mailings/"+m.ID+"/cancel", "")
	again := w.ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	if again.text != first.text || again.status != first.status || again.header.Get("Location") != first.header.Get("Location") {
		t.Errorf("first %s, then %d %s", first.text, again.status, again.text)
	}
	if first.header.Get("Idempotency-Replayed") != "" || again.header.Get("Idempotency-Replayed") != "true" {
		t.Error("Idempotency-Replayed does not tell the first from the second")
	}
	if got := w.ask("POST", "/v1/mailings", strings.Replace(plain, `"a"`, `"b"`, 1), "Idempotency-Key", "k"); got.status != http.StatusConflict {
		t.Errorf("another body: %d %s", got.status, got.text)
	}
	if other := w.hand(plain, "Idempotency-Key", "l"); other.ID == m.ID {
		t.Error("another key gave the same mailing")
	}
	if n := w.stored(); n != 2 {
		t.Errorf("%d mailings are recorded, want 2", n)
	}
	if got := w.ask("POST", "/v1/mailings", plain, "Idempotency-Key", strings.Repeat("k", 300)); got.status != 422 || !strings.Contains(got.text, "header.Idempotency-Key") {
		t.Errorf("a long key: %d %s", got.status, got.text)
	}
}

func TestOneKeyManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	ids := make(chan string)
	for range 8 {
		go func() {
			got := w.ask("POST", "/v1/mailings", plain, "Idempotency-Key", "race")
			if got.status != http.StatusAccepted {
				t.Errorf("%d %s", got.status, got.text)
			}
			ids <- got.header.Get("Location")
		}()
	}
	seen := map[string]bool{}
	for range 8 {
		seen[<-ids] = true
	}
	if len(seen) != 1 || w.stored() != 1 {
		t.Errorf("one key made %v, %d recorded", seen, w.stored())
	}
}

func TestFCMRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	for name, c := range map[string]struct{ message, words string }{
		"an unknown field":      {`{"notification":{"titel":"a"}}`, "titel"},
		"a wrong type":          {`{"notification":{"title":5}}`, "title"},
		"data that is no text":  {`{"data":{"a":5}}`, "data"},
		"a reserved key":        {`{"data":{"from":"x"}}`, "from"},
		"another reserved key":  {`{"data":{"google.x":"x"}}`, "google"},
		"4,097 bytes and more":  {`{"data":{"a":"` + strings.Repeat("x", 4097) + `"}}`, "FCM takes 4096"},
		"large when it is sent": {`{"data":{"a":"` + strings.Repeat("x", 4060) + `"}}`, "FCM takes 4096"},
	} {
		got := w.ask("POST", "/v1/mailings", `{"message":`+c.message+`,"audience":{"everyone":true}}`)
		places, said := "", got.text
		if p, _ := got.places(t); len(p) == 1 {
			places = p[0]
		}
		if got.status != 422 || places != "body.message" || !strings.Contains(said, "FCM refuses it: ") || !strings.Contains(said, c.words) {
			t.Errorf("%s: %d %s", name, got.status, said)
		}
	}
	if n := w.stored(); n != 0 {
		t.Errorf("%d mailings are recorded", n)
	}
	w.published("dispatch", 0)
}

func TestFCMOutOfReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	for _, outcome := range []string{"UNAVAILABLE", "INTERNAL", "QUOTA_PROJECT", "RESET", "UNAUTHENTICATED", "PERMISSION_DENIED"} {
		if err := w.phones.SetOutcomes(phones.Outcome{Token: "/topics/carillon-proof", Outcome: outcome}); err != nil {
			t.Fatal(err)
		}
		m := w.hand(plain)
		kept, err := w.store.Mailing(t.Context(), m.ID)
		if err != nil || kept.Proven || kept.State != push.Accepted {
			t.Errorf("%s: recorded %+v, %v", outcome, kept, err)
		}
	}
	w.phones.Close()
	m := w.hand(plain)
	if kept, err := w.store.Mailing(t.Context(), m.ID); err != nil || kept.Proven {
		t.Errorf("no FCM at all: recorded %+v, %v", kept, err)
	}
	w.published("dispatch", 7)
}

// TestLongPayloadsAreNotRefusedForTheTopic: FCM takes less to a topic, which the
// proof is sent to, than to a token.
func TestLongPayloadsAreNotRefusedForTheTopic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	m := w.hand(`{"message":{"data":{"a":"` + strings.Repeat("x", 3000) + `"}},"audience":{"everyone":true}}`)
	if kept, err := w.store.Mailing(t.Context(), m.ID); err != nil || kept.Proven {
		t.Errorf("recorded %+v, %v; want it accepted, and not proven", kept, err)
	}
}

func TestPublishingFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // without a topic dispatch
	got := w.ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || got.header.Get("Location") != "" {
		t.Fatalf("%d %v %s", got.status, got.header, got.text)
	}
	if n := w.stored(); n != 1 {
		t.Fatalf("%d mailings are recorded", n)
	}
	w.topic("dispatch")
	again := w.ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	m := decode[brief](t, again, http.StatusAccepted)
	if order := w.published("dispatch", 1)[0]; !strings.Contains(order, m.ID) || w.stored() != 1 {
		t.Errorf("ordered %s, %d recorded", order, w.stored())
	}
}

// TestPublishingFailsWithoutAKey: whoever has no key would hand in a second
// mailing, so the first is accepted: tick starts what nobody ordered.
func TestPublishingFailsWithoutAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.hand(plain)
	active, err := w.store.Active(t.Context())
	if err != nil || len(active) != 1 || active[0].ID != m.ID || active[0].State != push.Accepted {
		t.Errorf("tick would see %v, %v", active, err)
	}
}

// draft is a good draft with other fields.
func draft(fields string) string {
	return `{"message":{"data":{"a":"b"}},` + fields + `}`
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	ids := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprint("c", i)
		}
		b, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const everyone = `"audience":{"everyone":true}`
	message := func(m string) string { return `{"message":` + m + `,` + everyone + `}` }
	w := newWorld(t)
	w.topic("dispatch")
	for name, c := range map[string]struct {
		body   string
		status int
		want   []string
	}{
		"no JSON":                         {`hello`, 400, nil},
		"a key twice":                     {`{"audience":{"everyone":true},"audience":{"everyone":true}}`, 400, nil},
		"nothing":                         {`{}`, 422, []string{"body.audience", "body.message"}},
		"no audience":                     {`{"message":{"data":{}}}`, 422, []string{"body.audience"}},
		"an empty audience":               {draft(`"audience":{}`), 422, []string{"body.audience"}},
		"everyone false":                  {draft(`"audience":{"everyone":false}`), 422, []string{"body.audience"}},
		"two audiences":                   {draft(`"audience":{"everyone":true,"customers":["c"]}`), 422, []string{"body.audience"}},
		"three audiences":                 {draft(`"audience":{"tokens":["t"],"customers":["c"],"segments":{"any":["a"]}}`), 422, []string{"body.audience"}},
		"an audience of the wrong type":   {draft(`"audience":"everyone"`), 422, []string{"body.audience"}},
		"audience null":                   {draft(`"audience":null`), 422, []string{"body.audience"}},
		"unknown fields":                  {draft(everyone + `,"colour":1,"priority":2`), 422, []string{"body.colour", "body.priority"}},
		"an unknown kind of audience":     {draft(`"audience":{"all":true}`), 422, []string{"body.audience.all", "body.audience"}},
		"a key in the wrong case":         {draft(`"Audience":{"everyone":true}`), 422, []string{"body.Audience", "body.audience"}},
		"a long customer id":              {draft(`"audience":{"customers":["ok","` + long + `"]}`), 422, []string{"body.audience.customers[1]"}},
		"an empty and a broken id":        {draft(`"audience":{"customers":["","a\u0000b"]}`), 422, []string{"body.audience.customers[0]", "body.audience.customers[1]"}},
		"an id that is a number":          {draft(`"audience":{"customers":["a",7]}`), 422, []string{"body.audience.customers[1]"}},
		"no customers":                    {draft(`"audience":{"customers":[]}`), 422, []string{"body.audience.customers"}},
		"100,000 customers":               {draft(`"audience":{"customers":` + ids(100_000) + `}`), 422, []string{"body.audience.customers"}},
		"100,000 tokens":                  {draft(`"audience":{"tokens":` + ids(100_000) + `}`), 422, []string{"body.audience.tokens"}},
		"a long token":                    {draft(`"audience":{"tokens":["` + long + `"]}`), 422, []string{"body.audience.tokens[0]"}},
		"control characters in a segment": {draft(`"audience":{"segments":{"any":["a\u0007"],"none":["b\n"]}}`), 422, []string{"body.audience.segments.any[0]", "body.audience.segments.none[0]"}},
		"31 segments":                     {draft(`"audience":{"segments":{"any":` + ids(31) + `}}`), 422, []string{"body.audience.segments.any"}},
		"only none":                       {draft(`"audience":{"segments":{"none":["a"]}}`), 422, []string{"body.audience.segments"}},
		"no segment":                      {draft(`"audience":{"segments":{}}`), 422, []string{"body.audience.segments"}},
		"sendAt in the past":              {draft(everyone + `,"sendAt":"2026-10-31T12:00:00Z"`), 422, []string{"body.sendAt"}},
		"sendAt in ten years":             {draft(everyone + `,"sendAt":"2036-11-01T12:00:00Z"`), 422, []string{"body.sendAt"}},
		"sendAt is no time":               {draft(everyone + `,"sendAt":"tomorrow"`), 422, []string{"body.sendAt"}},
		"sendAt without a zone":           {draft(everyone + `,"sendAt":"2026-11-02T12:00:00"`), 422, []string{"body.sendAt"}},
		"a rate of zero":                  {draft(everyone + `,"ratePerMinute":0`), 422, []string{"body.ratePerMinute"}},
		"a rate of 599":                   {draft(everyone + `,"ratePerMinute":599`), 422, []string{"body.ratePerMinute"}},
		"a negative rate":                 {draft(everyone + `,"ratePerMinute":-1`), 422, []string{"body.ratePerMinute"}},
		"a rate of a half":                {draft(everyone + `,"ratePerMinute":600.5`), 422, []string{"body.ratePerMinute"}},
		"a rate beyond integers":          {draft(everyone + `,"ratePerMinute":1e30`), 422, []string{"body.ratePerMinute"}},
		"a lifetime of zero":              {draft(everyone + `,"lifetime":"0s"`), 422, []string{"body.lifetime"}},
		"a negative lifetime":             {draft(everyone + `,"lifetime":"-1h"`), 422, []string{"body.lifetime"}},
		"a lifetime too long":             {draft(everyone + `,"lifetime":"673h"`), 422, []string{"body.lifetime"}},
		"a lifetime beyond durations":     {draft(everyone + `,"lifetime":"99999999999h"`), 422, []string{"body.lifetime"}},
		"a lifetime in words":             {draft(everyone + `,"lifetime":"2 days"`), 422, []string{"body.lifetime"}},
		"a lifetime as a number":          {draft(everyone + `,"lifetime":3600`), 422, []string{"body.lifetime"}},
		"devices":                         {draft(everyone + `,"devices":"some"`), 422, []string{"body.devices"}},
		"a category":                      {draft(everyone + `,"category":"` + long + `"`), 422, []string{"body.category"}},
		"a relative link":                 {draft(everyone + `,"link":"/sale"`), 422, []string{"body.link"}},
		"dryRun in words":                 {draft(everyone + `,"dryRun":"yes"`), 422, []string{"body.dryRun"}},
		"no message":                      {`{` + everyone + `}`, 422, []string{"body.message"}},
		"message null":                    {message(`null`), 422, []string{"body.message"}},
		"a message in words":              {message(`"hello"`), 422, []string{"body.message"}},
		"a message as a list":             {message(`[{}]`), 422, []string{"body.message"}},
		"an empty message":                {message(`{}`), 422, []string{"body.message"}},
		"a message with targets":          {message(`{"token":"t","topic":"x","condition":"y","fid":"z","name":"n"}`), 422, []string{"body.message.token", "body.message.fid", "body.message.topic", "body.message.condition", "body.message.name"}},
		"data that we set":                {message(`{"data":{"mailing_id":"1","customer_id":"2","link":"3"}}`), 422, []string{"body.message.data.mailing_id", "body.message.data.customer_id", "body.message.data.link"}},
		"data as a list":                  {message(`{"data":[]}`), 422, []string{"body.message.data"}},
		"a message of 65 KiB":             {message(`{"data":{"a":"` + strings.Repeat("x", 65<<10) + `"}}`), 422, []string{"body.message"}},
		"a loop":                          {message(`{"notification":{"title":"{% for i in (1..1000000) %}x{% endfor %}"}}`), 422, []string{"body.message.notification.title", "body.message.notification.title"}},
		"an unknown filter":               {message(`{"notification":{"title":"{{ customer.id | shout }}"}}`), 422, []string{"body.message.notification.title"}},
		// All stages in one answer.
		"everything": {`{"message":{"token":"t","data":{"mailing_id":"1"},"notification":{"title":"{{ customer.id | shout }}"}},
			"audience":{"customers":["",5]},"extra":1,"devices":"some","sendAt":"2020-01-01T00:00:00Z","lifetime":"2 days","ratePerMinute":0,"dryRun":"x"}`, 422,
			[]string{"body.audience.customers[1]", "body.devices", "body.dryRun", "body.extra", "body.lifetime",
				"body.message.token", "body.message.data.mailing_id", "body.audience.customers[0]", "body.sendAt", "body.ratePerMinute", "body.message.notification.title"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := w.ask("POST", "/v1/mailings", c.body)
			if got.status != c.status {
				t.Fatalf("%d %.500s, want %d", got.status, got.text, c.status)
			}
			places, said := got.places(t)
			if diff := cmp.Diff(c.want, places); diff != "" {
				t.Errorf("(-want +got):\n%s%.2000s", diff, said)
			}
			if strings.Contains(said, long[:200]) {
				t.Error("the answer repeats what was sent in")
			}
		})
	}
	t.Cleanup(func() { // behind the parallel ones
		if len(w.phones.Messages(phones.Filter{})) != 0 {
			t.Error("a bad mailing rang")
		}
	})
}

func TestTooLargeBody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.ask("POST", "/v1/mailings", draft(`"link":"`+strings.Repeat("x", 4<<20)+`"`)); got.status != 413 {
		t.Errorf("%d %s", got.status, got.text)
	}
	if got := w.ask("POST", "/v1/mailings", plain, "Content-Type", "text/plain"); got.status != 415 {
		t.Errorf("%d %s", got.status, got.text)
	}
}

// FuzzCreate: whatever comes in, nothing panics, nothing fails on our side, and
// what is not accepted is a problem that names faults.
func FuzzCreate(f *testing.F) {
	for _, s := range []string{
		plain, `{}`, `[]`, `null`, `"x"`, `{"message":{"data":[]},"audience":{"customers":[1]}}`, draft(`"audience":{"tokens":["` + "\u00e9" + `"]}`),
		draft(`"audience":{"segments":{"any":["a"],"all":[null]}},"lifetime":"1h1h","sendAt":"0000-01-01T00:00:00Z"`),
		`{"message":{"data":{"a":"{{ customer.a | default: 'x' }}"},"android":null,"webpush":{"data":5}},"audience":{"everyone":true},"link":"x:{{customer.id}}"}`,
	} {
		f.Add(s)
	}
	w := newWorld(f)
	w.topic("dispatch")
	f.Fuzz(func(t *testing.T, body string) {
		got := (&world{t: t, url: w.url}).ask("POST", "/v1/mailings", body, "Content-Type", "application/json")
		if got.status >= 500 || got.status < 200 || got.status >= 300 && got.status < 400 {
			t.Fatalf("%d %s", got.status, got.text)
		}
		if got.status == 422 {
			if places, said := got.places(t); len(places) == 0 {
				t.Errorf("422 names no fault: %s", said)
			}
		}
	})
}
