package mailings_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

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
	w := newHarness(t)
	w.Topic("dispatch")
	for name, c := range map[string]struct {
		body   string
		status int
		want   []string
	}{
		"no JSON":                           {`hello`, 400, nil},
		"a key twice":                       {`{"audience":{"everyone":true},"audience":{"everyone":true}}`, 400, nil},
		"nothing":                           {`{}`, 422, []string{"body.audience", "body.message"}},
		"no audience":                       {`{"message":{"data":{"a":"b"}}}`, 422, []string{"body.audience"}},
		"an empty audience":                 {draft(`"audience":{}`), 422, []string{"body.audience"}},
		"everyone false":                    {draft(`"audience":{"everyone":false}`), 422, []string{"body.audience"}},
		"two audiences":                     {draft(`"audience":{"everyone":true,"customers":["c"]}`), 422, []string{"body.audience"}},
		"three audiences":                   {draft(`"audience":{"tokens":["t"],"customers":["c"],"segments":{"any":["a"]}}`), 422, []string{"body.audience"}},
		"an audience of the wrong type":     {draft(`"audience":"everyone"`), 422, []string{"body.audience"}},
		"audience null":                     {draft(`"audience":null`), 422, []string{"body.audience"}},
		"unknown fields":                    {draft(everyone + `,"colour":1,"priority":2`), 422, []string{"body.colour", "body.priority"}},
		"an unknown kind of audience":       {draft(`"audience":{"all":true}`), 422, []string{"body.audience.all", "body.audience"}},
		"a key in the wrong case":           {draft(`"Audience":{"everyone":true}`), 422, []string{"body.Audience", "body.audience"}},
		"a long customer id":                {draft(`"audience":{"customers":["ok","` + long + `"]}`), 422, []string{"body.audience.customers[1]"}},
		"an empty and a broken id":          {draft(`"audience":{"customers":["","a\u0000b"]}`), 422, []string{"body.audience.customers[0]", "body.audience.customers[1]"}},
		"an id that is a number":            {draft(`"audience":{"customers":["a",7]}`), 422, []string{"body.audience.customers[1]"}},
		"no customers":                      {draft(`"audience":{"customers":[]}`), 422, []string{"body.audience.customers"}},
		"100,000 customers":                 {draft(`"audience":{"customers":` + ids(100_000) + `}`), 422, []string{"body.audience.customers"}},
		"100,000 tokens":                    {draft(`"audience":{"tokens":` + ids(100_000) + `}`), 422, []string{"body.audience.tokens"}},
		"a long token":                      {draft(`"audience":{"tokens":["` + long + `"]}`), 422, []string{"body.audience.tokens[0]"}},
		"control characters in a segment":   {draft(`"audience":{"segments":{"any":["a\u0007"],"none":["b\n"]}}`), 422, []string{"body.audience.segments.any[0]", "body.audience.segments.none[0]"}},
		"31 segments":                       {draft(`"audience":{"segments":{"any":` + ids(31) + `}}`), 422, []string{"body.audience.segments.any"}},
		"only none":                         {draft(`"audience":{"segments":{"none":["a"]}}`), 422, []string{"body.audience.segments"}},
		"no segment":                        {draft(`"audience":{"segments":{}}`), 422, []string{"body.audience.segments"}},
		"sendAt in the past":                {draft(everyone + `,"sendAt":"2026-10-31T12:00:00Z"`), 422, []string{"body.sendAt"}},
		"sendAt in ten years":               {draft(everyone + `,"sendAt":"2036-11-01T12:00:00Z"`), 422, []string{"body.sendAt"}},
		"sendAt a day off":                  {draft(everyone + `,"sendAt":"2026-11-02T12:00:00+24:00"`), 422, []string{"body.sendAt"}},
		"sendAt is no time":                 {draft(everyone + `,"sendAt":"tomorrow"`), 422, []string{"body.sendAt"}},
		"sendAt with a comma":               {draft(everyone + `,"sendAt":"2026-11-02T12:00:00,5Z"`), 422, []string{"body.sendAt"}},
		"sendAt with a point":               {draft(everyone + `,"sendAt":"2026-11-02T12:00:00.5Z"`), 202, nil},
		"sendAt without a zone":             {draft(everyone + `,"sendAt":"2026-11-02T12:00:00"`), 422, []string{"body.sendAt"}},
		"two variants":                      {variants(`{"name":"a","share":0.5,"message":{"data":{"a":"b"}}},{"name":"b","share":0.5,"message":{"data":{"a":"c"}},"link":"https://x.example/"}`), 202, nil},
		"three thirds":                      {variants(third("a") + `,` + third("b") + `,` + third("c")), 202, nil},
		"one variant":                       {variants(`{"name":"a","share":0.5,"message":{"data":{"a":"b"}}}`), 422, []string{"body.variants"}},
		"six variants":                      {variants(third("a") + `,` + third("b") + `,` + third("c") + `,` + third("d") + `,` + third("e") + `,` + third("f")), 422, []string{"body.variants"}},
		"two variants of one name":          {variants(`{"name":"a","share":0.5,"message":{"data":{"a":"b"}}},{"name":"a","share":0.5,"message":{"data":{"a":"c"}}}`), 422, []string{"body.variants[1].name"}},
		"shares above one":                  {variants(`{"name":"a","share":0.6,"message":{"data":{"a":"b"}}},{"name":"b","share":0.5,"message":{"data":{"a":"c"}}}`), 422, []string{"body.variants"}},
		"a variant without a share":         {variants(`{"name":"a","share":0,"message":{"data":{"a":"b"}}},{"name":"b","share":1,"message":{"data":{"a":"c"}}}`), 422, []string{"body.variants[0].share", "body.variants[1].share"}},
		"a variant that shows nothing":      {variants(`{"name":"a","share":0.5,"message":{}},{"name":"b","share":0.5,"message":{"data":{"a":"c"}}}`), 422, []string{"body.variants[0].message"}},
		"a faulty template of a variant":    {variants(`{"name":"a","share":0.5,"message":{"data":{"a":"{{ x }}"}}},{"name":"b","share":0.5,"message":{"data":{"a":"{{ customer.x | y }}"}},"link":"https://x.example/{{ z }}"}`), 422, []string{"body.variants[0].message.data.a", "body.variants[1].message.data.a", "body.variants[1].link"}},
		"a variant that FCM refuses":        {variants(third("a") + `,` + third("b") + `,{"name":"c","share":0.334,"message":{"data":{"a":"b"},"android":{"ttl":"soon"}}}`), 422, []string{"body.variants[2].message"}},
		"variants and a message":            {`{"message":{"data":{"a":"b"}},"link":"https://x.example/","audience":{"everyone":true},"variants":[` + third("a") + `,` + third("b") + `,` + third("c") + `]}`, 422, []string{"body.message", "body.link"}},
		"neither message nor variants":      {`{"audience":{"everyone":true}}`, 422, []string{"body.message"}},
		"an unknown field of a variant":     {variants(`{"name":"a","share":0.5,"message":{"data":{"a":"b"}},"weight":1},` + third("b")), 422, []string{"body.variants[0].weight", "body.variants"}},
		"half of the audience is control":   {draft(everyone + `,"controlGroup":0.5`), 202, nil},
		"more than half is control":         {draft(everyone + `,"controlGroup":0.51`), 422, []string{"body.controlGroup"}},
		"a negative control group":          {draft(everyone + `,"controlGroup":-0.1`), 422, []string{"body.controlGroup"}},
		"a control group in words":          {draft(everyone + `,"controlGroup":"5%"`), 422, []string{"body.controlGroup"}},
		"a filter":                          {draft(everyone + `,"only":{"platforms":["ios"],"apps":["shop"]}`), 202, nil},
		"a filter by an unknown platform":   {draft(everyone + `,"only":{"platforms":["ios","palm"]}`), 422, []string{"body.only.platforms[1]"}},
		"a filter by an app without a name": {draft(everyone + `,"only":{"apps":[""]}`), 422, []string{"body.only.apps[0]"}},
		"a filter by something else":        {draft(everyone + `,"only":{"versions":["1"]}`), 422, []string{"body.only.versions"}},
		"at most no customer":               {draft(everyone + `,"maxCustomers":0`), 422, []string{"body.maxCustomers"}},
		"a rate of zero":                    {draft(everyone + `,"ratePerMinute":0`), 422, []string{"body.ratePerMinute"}},
		"a rate of 599":                     {draft(everyone + `,"ratePerMinute":599`), 422, []string{"body.ratePerMinute"}},
		"a negative rate":                   {draft(everyone + `,"ratePerMinute":-1`), 422, []string{"body.ratePerMinute"}},
		"a rate of a half":                  {draft(everyone + `,"ratePerMinute":600.5`), 422, []string{"body.ratePerMinute"}},
		"a rate beyond integers":            {draft(everyone + `,"ratePerMinute":1e30`), 422, []string{"body.ratePerMinute"}},
		"a lifetime of zero":                {draft(everyone + `,"lifetime":"0s"`), 422, []string{"body.lifetime"}},
		"a negative lifetime":               {draft(everyone + `,"lifetime":"-1h"`), 422, []string{"body.lifetime"}},
		"a lifetime too long":               {draft(everyone + `,"lifetime":"673h"`), 422, []string{"body.lifetime"}},
		"a lifetime beyond durations":       {draft(everyone + `,"lifetime":"99999999999h"`), 422, []string{"body.lifetime"}},
		"a lifetime in words":               {draft(everyone + `,"lifetime":"2 days"`), 422, []string{"body.lifetime"}},
		"a lifetime as a number":            {draft(everyone + `,"lifetime":3600`), 422, []string{"body.lifetime"}},
		"devices":                           {draft(everyone + `,"devices":"some"`), 422, []string{"body.devices"}},
		"a category":                        {draft(everyone + `,"category":"` + long + `"`), 422, []string{"body.category"}},
		"a link that runs":                  {draft(everyone + `,"link":"JavaScript:alert(1)"`), 422, []string{"body.link"}},
		"a link to a part of any app":       {draft(everyone + `,"link":"intent://open/#Intent;package=com.evil;end"`), 422, []string{"body.link"}},
		"a link of the message that runs":   {message(`{"notification":{"title":"a"},"webpush":{"fcm_options":{"link":"javascript:alert(1)"}}}`), 422, []string{"body.message.webpush.fcm_options.link"}},
		"a link to no host":                 {draft(everyone + `,"link":"https:///sale"`), 422, []string{"body.link"}},
		"a link to a port":                  {draft(everyone + `,"link":"https://:80/"`), 422, []string{"body.link"}},
		"a link of a scheme alone":          {draft(everyone + `,"link":"x:"`), 422, []string{"body.link"}},
		"an id that no path can name":       {draft(`"audience":{"customers":["..","a","/"]}`), 422, []string{"body.audience.customers[0]", "body.audience.customers[2]"}},
		"a relative link":                   {draft(everyone + `,"link":"/sale"`), 422, []string{"body.link"}},
		"dryRun in words":                   {draft(everyone + `,"dryRun":"yes"`), 422, []string{"body.dryRun"}},
		"no message":                        {`{` + everyone + `}`, 422, []string{"body.message"}},
		"message null":                      {message(`null`), 422, []string{"body.message"}},
		"a message in words":                {message(`"hello"`), 422, []string{"body.message"}},
		"a message as a list":               {message(`[{}]`), 422, []string{"body.message"}},
		"an empty message":                  {message(`{}`), 422, []string{"body.message"}},
		"a message that says nothing":       {message(`{"notification":{},"android":{"priority":"high"}}`), 422, []string{"body.message"}},
		"a long name":                       {draft(everyone + `,"name":"` + long + `"`), 422, []string{"body.name"}},
		"eleven tags":                       {draft(everyone + `,"tags":` + ids(11)), 422, []string{"body.tags"}},
		"a long tag and a tag twice":        {draft(everyone + `,"tags":["a","` + long + `","a"]`), 422, []string{"body.tags[1]", "body.tags[2]"}},
		"a message with targets":            {message(`{"token":"t","topic":"x","condition":"y","fid":"z","name":"n"}`), 422, []string{"body.message.token", "body.message.fid", "body.message.topic", "body.message.condition", "body.message.name"}},
		"data that we set":                  {message(`{"data":{"mailing_id":"1","customer_id":"2","link":"3"}}`), 422, []string{"body.message.data.mailing_id", "body.message.data.customer_id", "body.message.data.link"}},
		"data as a list":                    {message(`{"data":[]}`), 422, []string{"body.message.data"}},
		"a message of 65 KiB":               {message(`{"data":{"a":"` + strings.Repeat("x", 65<<10) + `"}}`), 422, []string{"body.message"}},
		"a loop":                            {message(`{"notification":{"title":"{% for i in (1..1000000) %}x{% endfor %}"}}`), 422, []string{"body.message.notification.title", "body.message.notification.title"}},
		"an unknown filter":                 {message(`{"notification":{"title":"{{ customer.id | shout }}"}}`), 422, []string{"body.message.notification.title"}},
		// All stages in one answer.
		"everything": {`{"message":{"token":"t","data":{"mailing_id":"1"},"notification":{"title":"{{ customer.id | shout }}"}},
			"audience":{"customers":["",5]},"extra":1,"devices":"some","sendAt":"2020-01-01T00:00:00Z","lifetime":"2 days","ratePerMinute":0,"dryRun":"x"}`, 422,
			[]string{"body.audience.customers[1]", "body.devices", "body.dryRun", "body.extra", "body.lifetime",
				"body.message.token", "body.message.data.mailing_id", "body.audience.customers[0]", "body.sendAt", "body.ratePerMinute", "body.message.notification.title"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := w.Ask("POST", "/v1/mailings", c.body)
			if got.Code != c.status {
				t.Fatalf("%d %.500s, want %d", got.Code, got.Body, c.status)
			}
			if diff := cmp.Diff(c.want, got.Places()); diff != "" {
				t.Errorf("(-want +got):\n%s%.2000s", diff, got.Body)
			}
			if strings.Contains(got.Body, long[:200]) {
				t.Error("the answer repeats what was sent in")
			}
		})
	}
	t.Cleanup(func() { // behind the parallel ones
		if len(w.phones.Messages(phones.Filter{})) != 0 {
			t.Error("a bad mailing was sent")
		}
	})
}

func TestTooLargeBody(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	if got := w.Ask("POST", "/v1/mailings", draft(`"link":"`+strings.Repeat("x", 4<<20)+`"`)); got.Code != 413 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
	if got := w.Ask("POST", "/v1/mailings", plain, "Content-Type", "text/plain"); got.Code != 415 {
		t.Errorf("%d %s", got.Code, got.Body)
	}
}

// FuzzCreate: whatever comes in, nothing panics, nothing fails on our side, and
// what is not accepted is a problem that names faults.
func FuzzCreate(f *testing.F) {
	for _, s := range []string{
		plain, `{}`, `[]`, `null`, `"x"`, `{"message":{"data":[]},"audience":{"customers":[1]}}`, draft(`"audience":{"tokens":["` + "\u00e9" + `"]}`),
		draft(`"audience":{"segments":{"any":["a"],"all":[null]}},"lifetime":"1h1h","sendAt":"0000-01-01T00:00:00Z"`),
		draft(`"audience":{"everyone":true},"sendAt":"2026-11-02T12:00:00-23:59","link":"tel:+371"`),
		`{"message":{"data":{"a":"{{ customer.a | default: 'x' }}"},"android":null,"webpush":{"data":5}},"audience":{"everyone":true},"link":"x:{{customer.id}}"}`,
	} {
		f.Add(s)
	}
	w := newHarness(f)
	w.Topic("dispatch")
	f.Fuzz(func(t *testing.T, body string) {
		got := testcloud.At(t, w.URL).Ask("POST", "/v1/mailings", body, "Content-Type", "application/json")
		check.Between(t, got.Code, 200, 499, "status of %s, which was answered %v,", got.Request, got)
		if got.Code >= 300 && got.Code < 400 {
			t.Fatalf("%d %s", got.Code, got.Body)
		}
		if got.Code == 422 && len(got.Places()) == 0 {
			t.Errorf("422 names no fault: %s", got.Body)
		}
	})
}

func variants(list string) string {
	return `{"audience":{"everyone":true},"variants":[` + list + `]}`
}

func third(name string) string {
	return `{"name":"` + name + `","share":0.333,"message":{"data":{"a":"` + name + `"}}}`
}
