package mailings_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// previewed is what POST /v1/mailings/preview answers.
type previewed struct {
	Payloads []struct {
		Customer string
		Message  json.RawMessage
		Bytes    int
		MaxBytes int
		Missing  []string
	}
	Missing []struct {
		Attribute string
		Customers int64
	}
	Customers, Targeted, Tokens, Sampled, Seconds int64
	Excluded                                      push.Excluded
	USD                                           float64
	Proven                                        bool
}

// importNamed imports customers c0 to c<n-1> with two tokens each, an Android one and a
// web one. Every second has a first name, every fourth is opted out, and every tenth has
// no token.
func importNamed(t *testing.T, s *store.Store, n int) {
	t.Helper()
	lines := make([]store.ImportLine, n)
	for i := range lines {
		id := fmt.Sprint("c", i)
		out := i%4 == 1
		lines[i] = store.ImportLine{Customer: id, Patch: push.CustomerPatch{Segments: &[]string{"all"}, OptedOut: &out}}
		if i%2 == 0 {
			lines[i].Patch.Attributes = map[string]any{"first_name": "N" + id}
		}
		if i%10 != 9 {
			lines[i].Tokens = []push.Registration{
				{Kind: push.KindToken, Value: "android-of-" + id, Platform: push.Android},
				{Kind: push.KindToken, Value: "web-of-" + id, Platform: push.Web}}
		}
	}
	refused, _, err := s.ImportCustomers(t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		t.Fatal(err)
	}
}

// A preview shows the text, what is missing for it, and whom it would reach, and
// nothing is stored or sent.
func TestPreview(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	importNamed(t, w.store, 100)
	const template = `"message":{"notification":{"title":"Hello {{ customer.first_name }}!"}},"link":"https://shop.example/{{ customer.id }}"`
	// 100 customers: 10 without a token (9, 19, …), 25 opted out (1, 5, 9, …), of whom 5
	// are among those without a token.
	everyone := push.Excluded{NoValidToken: 10, OptedOut: 20}
	for name, c := range map[string]struct {
		body     string
		want     previewed
		title    string
		customer string
	}{
		"everyone": {`"audience":{"everyone":true},"customer":"c0"`,
			previewed{Customers: 100, Targeted: 70, Tokens: 140, Sampled: 100, Excluded: everyone, Seconds: 1}, "Hello Nc0!", "c0"},
		"a rate": {`"audience":{"everyone":true},"customer":"c3","ratePerMinute":600`,
			previewed{Customers: 100, Targeted: 70, Tokens: 140, Sampled: 100, Excluded: everyone, Seconds: 14}, "Hello !", "c3"},
		"latest device of a segment": {`"audience":{"segments":{"any":["all"]}},"customer":"c0","devices":"latest"`,
			previewed{Customers: 100, Targeted: 70, Tokens: 70, Sampled: 100, Excluded: everyone, Seconds: 1}, "Hello Nc0!", "c0"},
		"a platform": {`"audience":{"everyone":true},"customer":"c0","only":{"platforms":["web"]}`,
			previewed{Customers: 100, Targeted: 70, Tokens: 70, Sampled: 100, Excluded: everyone, Seconds: 1}, "Hello Nc0!", "c0"},
		"no such platform": {`"audience":{"everyone":true},"customer":"c0","only":{"platforms":["ios"]}`,
			previewed{Customers: 100, Sampled: 100, Excluded: push.Excluded{NoValidToken: 10, OptedOut: 20, Filtered: 70}}, "Hello Nc0!", "c0"},
		"listed customers": {`"audience":{"customers":["c0","c1","c9","nobody"]},"customer":"c0"`,
			previewed{Customers: 4, Targeted: 1, Tokens: 2, Sampled: 4, Excluded: push.Excluded{Unknown: 1, OptedOut: 1, NoValidToken: 1}, Seconds: 1}, "Hello Nc0!", "c0"},
		"listed tokens": {`"audience":{"tokens":["android-of-c0","web-of-c0","android-of-c1","nothing"]},"customer":"c0"`,
			previewed{Customers: 3, Targeted: 1, Tokens: 2, Sampled: 3, Excluded: push.Excluded{Unknown: 1, OptedOut: 1}, Seconds: 1}, "Hello Nc0!", "c0"},
		"nobody": {`"audience":{"segments":{"any":["none"]}}`,
			previewed{}, "Hello !", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := testcloud.Decode[previewed](w.Ask("POST", "/v1/mailings/preview", `{`+template+`,`+c.body+`}`), http.StatusOK)

			if len(got.Payloads) != 1 {
				t.Fatalf("%d payloads, want 1", len(got.Payloads))
			}
			p := got.Payloads[0]
			var message struct {
				Notification struct{ Title string }
				Data         map[string]string
			}
			if err := json.Unmarshal(p.Message, &message); err != nil {
				t.Fatal(err)
			}
			if message.Notification.Title != c.title {
				t.Errorf("the title is %q, want %q", message.Notification.Title, c.title)
			}
			if p.Customer != c.customer {
				t.Errorf("it is the text of %q, want of %q", p.Customer, c.customer)
			}
			if link := "https://shop.example/" + c.customer; message.Data["link"] != link {
				t.Errorf("the link is %q, want %q", message.Data["link"], link)
			}
			check.Between(t, p.Bytes, 1, p.MaxBytes, "number of bytes of the payload")
			if !got.Proven {
				t.Error("FCM was not asked")
			}

			c.want.Payloads, c.want.Missing, c.want.Proven, c.want.USD = got.Payloads, got.Missing, true, got.USD
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the preview (-want +got):\n%s", diff)
			}
			if c.want.Targeted > 0 && got.USD <= 0 {
				t.Errorf("it costs $%g, want more than nothing", got.USD)
			}
		})
	}
	if n := w.stored(); n != 0 {
		t.Errorf("%d mailings are stored, want none", n)
	}
	if n := len(w.phones.Messages(phones.Filter{})); n != 0 {
		t.Errorf("%d messages were sent, want none", n)
	}
	for _, collection := range []string{"mailings", "messages"} {
		if n := w.Count(collection); n != 0 {
			t.Errorf("%d documents are in %s, want none", n, collection)
		}
	}
}

// A misspelt attribute shows before it is sent as nothing.
func TestPreviewNamesMissingAttributes(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	importNamed(t, w.store, 40)
	body := `{"message":{"notification":{"title":"{{ customer.frist_name }} {{ customer.first_name }}"}},"audience":{"everyone":true},"customer":"c2"}`
	got := testcloud.Decode[previewed](w.Ask("POST", "/v1/mailings/preview", body), http.StatusOK)
	if diff := cmp.Diff([]string{"frist_name"}, got.Payloads[0].Missing); diff != "" {
		t.Errorf("what customer c2 misses (-want +got):\n%s", diff)
	}
	missing := map[string]int64{}
	for _, m := range got.Missing {
		missing[m.Attribute] = m.Customers
	}
	// 28 of 40 get it: all but 10 opted out and 2 of the 4 without a token; 20 have a name.
	if diff := cmp.Diff(map[string]int64{"frist_name": 28, "first_name": 8}, missing); diff != "" {
		t.Errorf("what the audience misses (-want +got):\n%s", diff)
	}
}

// The numbers of a large audience are estimated from a part of it.
func TestPreviewOfALargeAudienceIsAnEstimate(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	importNamed(t, w.store, 1000)
	body := `{"message":{"notification":{"title":"x"}},"audience":{"everyone":true}}`
	got := testcloud.Decode[previewed](w.Ask("POST", "/v1/mailings/preview", body), http.StatusOK)
	if got.Customers != 1000 {
		t.Errorf("the audience has %d customers, want 1000", got.Customers)
	}
	if got.Sampled > 300 {
		t.Errorf("%d customers were read, want about 200", got.Sampled)
	}
	check.Between(t, got.Targeted, 600, 800, "number of targeted customers")
	sum := got.Targeted + got.Excluded.Sum()
	check.Between(t, sum, 998, 1002, "the sum of targeted and excluded customers")
}

func TestPreviewNamesEveryFault(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for name, c := range map[string]struct {
		body string
		code int
	}{
		"faults of the draft":  {`{"message":{},"audience":{},"customer":"` + "\\u0000" + `"}`, 422},
		"an unknown customer":  {`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"customer":"nobody"}`, 404},
		"refused by FCM":       {`{"message":{"notification":{"title":"x"},"android":{"ttl":"soon"}},"audience":{"everyone":true}}`, 422},
		"an unknown attribute": {`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"sender":"x"}`, 422},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.Ask("POST", "/v1/mailings/preview", c.body); got.Code != c.code {
				t.Errorf("%s: %s, want %d", name, got, c.code)
			}
		})
	}
	got := w.Ask("POST", "/v1/mailings/preview", `{"message":{},"audience":{},"customer":"`+"\\u0000"+`"}`)
	places := got.Places()
	slices.Sort(places)
	if diff := cmp.Diff([]string{"body.audience", "body.customer", "body.message"}, places); diff != "" {
		t.Errorf("the faults (-want +got):\n%s", diff)
	}
}
