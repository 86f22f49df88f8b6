package push_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

var now = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func draft(t *testing.T, text string) push.Draft {
	t.Helper()
	var d push.Draft
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDraftCheckNamesEveryFault(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 10_000)
	for name, c := range map[string]struct {
		body string
		want []string // locations
	}{
		"good":                   {`{"message":{"notification":{"title":"a"}},"audience":{"everyone":true}}`, nil},
		"no message, nobody":     {`{"audience":{}}`, []string{"body.message", "body.audience"}},
		"message is a list":      {`{"message":[],"audience":{"everyone":true}}`, []string{"body.message"}},
		"message has a target":   {`{"message":{"token":"t","topic":"x"},"audience":{"everyone":true}}`, []string{"body.message.token", "body.message.topic"}},
		"message sets our keys":  {`{"message":{"data":{"mailing_id":"1","customer_id":"2"}},"audience":{"everyone":true}}`, []string{"body.message.data.mailing_id", "body.message.data.customer_id"}},
		"two audiences":          {`{"message":{"data":{"a":"b"}},"audience":{"everyone":true,"customers":["c"]}}`, []string{"body.audience"}},
		"long customer id":       {`{"message":{"data":{"a":"b"}},"audience":{"customers":["ok","` + long + `",""]}}`, []string{"body.audience.customers[1]", "body.audience.customers[2]"}},
		"control in segment":     {`{"message":{"data":{"a":"b"}},"audience":{"segments":{"any":["a\u0007"]}}}`, []string{"body.audience.segments.any[0]"}},
		"only none":              {`{"message":{"data":{"a":"b"}},"audience":{"segments":{"none":["a"]}}}`, []string{"body.audience.segments"}},
		"empty segments":         {`{"message":{"data":{"a":"b"}},"audience":{"segments":{}}}`, []string{"body.audience.segments"}},
		"empty list":             {`{"message":{"data":{"a":"b"}},"audience":{"tokens":[]}}`, []string{"body.audience.tokens"}},
		"devices":                {`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"devices":"some"}`, []string{"body.devices"}},
		"sendAt in the past":     {`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"sendAt":"2026-10-01T00:00:00Z"}`, []string{"body.sendAt"}},
		"sendAt in ten years":    {`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"sendAt":"2036-10-01T00:00:00Z"}`, []string{"body.sendAt"}},
		"rate of zero":           {`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"ratePerMinute":0}`, []string{"body.ratePerMinute"}},
		"lifetime of five weeks": {`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"lifetime":"840h"}`, []string{"body.lifetime"}},
		"relative link":          {`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"link":"/sale"}`, []string{"body.link"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := draft(t, c.body)
			var got []string
			for _, f := range d.Check(now) {
				got = append(got, f.Location)
				if strings.Contains(f.Message, long) {
					t.Error("the fault repeats what was sent in")
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooManyListed(t *testing.T) {
	t.Parallel()
	d := draft(t, `{"message":{"data":{"a":"b"}},"audience":{"everyone":false}}`)
	d.Audience.Customers = make([]string, 100_000)
	faults := d.Check(now)
	if len(faults) != 1 {
		t.Fatalf("100,000 customer ids have the faults %v, want one", faults)
	}
	check.Equal(t, faults[0].Location, "body.audience.customers", "the place of the fault of 100,000 customer ids")
}

func TestDurationReadsAndWritesLikeTheAPI(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"90s": "1m30s", "48h": "48h", "0s": "0s", "2h30m": "2h30m"} {
		t.Run(in, func(t *testing.T) {

			var d push.Duration
			if err := json.Unmarshal([]byte(`"`+in+`"`), &d); err != nil {
				t.Fatal(err)
			}
			b, err := d.MarshalText()
			if err != nil {
				t.Fatalf("writing %s: %v", in, err)
			}
			check.Equal(t, string(b), want, "the text of %s", in)
		})
	}

	var d push.Duration
	if json.Unmarshal([]byte(`"2 days"`), &d) == nil {
		t.Error("2 days was taken for a duration")
	}
}

func token(id string, added, seen time.Duration, valid bool) push.Token {
	t := push.Token{ID: id, Value: id, AddedAt: now.Add(added), SeenAt: now.Add(seen)}
	if !valid {
		t.Invalid = &push.TokenFlag{Code: push.CodeUnregistered, At: now}
	}
	return t
}

func TestLatestIsTheMostRecentlyAddedOfTheValid(t *testing.T) {
	t.Parallel()
	c := push.Customer{ID: "c", Tokens: []push.Token{
		token("a", 1, 9, true), token("b", 3, 3, true), token("c", 5, 5, false), token("d", 3, 2, true),
	}}
	got, ok := c.LatestToken()
	if !ok {
		t.Fatal("there is no latest token, want b")
	}

	check.Equal(t, got.ID, "b", "the latest token (added last of the valid, and seen after d)")
	if got := c.SelectTokens(push.AllDevices); len(got) != 3 {
		t.Errorf("all selects %d tokens, want the 3 valid ones", len(got))
	}

	latest := c.SelectTokens(push.LatestDevice)
	if len(latest) != 1 {
		t.Fatalf("latest selects %v, want one token", latest)
	}

	check.Equal(t, latest[0].ID, "b", "the token that latest selects")
	none := push.Customer{Tokens: []push.Token{token("x", 0, 0, false)}}
	if none.HasValidToken() {
		t.Error("a customer with one invalid token has a valid one")
	}
	if none.SelectTokens(push.LatestDevice) != nil {
		t.Fatalf("of one invalid token latest selects %v, want none", none.SelectTokens(push.LatestDevice))
	}

	check.Equal(t, none.ExclusionFrom(""), push.ExcludedNoValidToken, "why a customer with one invalid token is left out")
}

func TestExclude(t *testing.T) {
	t.Parallel()
	valid := []push.Token{token("a", 0, 0, true)}
	for want, c := range map[push.Exclusion]push.Customer{
		push.NotExcluded:          {Tokens: valid, Categories: map[string]bool{"promo": true, "news": false}},
		push.ExcludedOptedOut:     {Tokens: valid, OptedOut: true, Categories: map[string]bool{"promo": false}},
		push.ExcludedUnsubscribed: {Tokens: valid, Categories: map[string]bool{"promo": false}},
		push.ExcludedNoValidToken: {OptedOut: true},
	} {
		if got := c.ExclusionFrom("promo"); got != want {
			t.Errorf("excluded as %q, want %q", got, want)
		}
	}
}

// TestTransitions holds the states to the machine of the API: nothing leaves a
// final state, and every other can be cancelled.
func TestTransitions(t *testing.T) {
	t.Parallel()
	for _, s := range push.States() {
		for _, next := range push.States() {
			if s.Final() && s.CanBecome(next) {
				t.Errorf("%s is final, yet may become %s", s, next)
			}
		}
		for _, end := range []push.State{push.Cancelled, push.Expired} {
			check.Equal(t, s.CanBecome(end), !s.Final(), "that %s may become %s", s, end)
		}
		if s.CanBecome(s) {
			t.Errorf("%s may become itself", s)
		}
	}

	if push.Scheduled.CanBecome(push.Completed) {
		t.Error("a scheduled mailing can be completed before it was sent")
	}
	if push.Accepted.CanBecome(push.Completed) {
		t.Error("an accepted mailing can be completed before it was sent")
	}
}

func TestTotalsReconcile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		results := rapid.SliceOf(rapid.Map(rapid.ByteRange(0, 8), func(b byte) push.Result { return push.Result(b) })).Draw(t, "results")
		n := push.NewTotals(push.AudienceCounts{Targeted: 3, Excluded: push.Excluded{NoValidToken: 1, OptedOut: 2, Category: 4, Unknown: 8}},
			int64(len(results)), push.TallyOf(results), nil)
		sum := n.Tokens.Accepted + n.Tokens.Refused + n.Tokens.Failed + n.Tokens.Expired + n.Tokens.Cancelled + n.Tokens.Pending
		for _, x := range n.Tokens.Invalid {
			sum += x
		}

		if sum != n.Tokens.Targeted {
			t.Fatalf("the results of the tokens add up to %d, want %d: %+v", sum, n.Tokens.Targeted, n)
		}
		if n.Tokens.Pending < 0 {
			t.Fatalf("%d tokens are pending, want at least 0: %+v", n.Tokens.Pending, n)
		}
		if n.Customers.Matched != 18 {
			t.Fatalf("%d customers matched, want 18: %+v", n.Customers.Matched, n)
		}
	})
}

func TestTargetsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.Custom(func(t *rapid.T) push.Target {
			return push.Target{
				Customer: rapid.String().Draw(t, "customer"), Token: rapid.String().Draw(t, "token"),
				Kind:     rapid.SampledFrom([]push.Kind{push.KindToken, push.KindFID}).Draw(t, "kind"),
				Platform: rapid.SampledFrom([]push.Platform{"", push.Android, push.IOS, push.Web}).Draw(t, "platform"),
			}
		})
		want := rapid.SliceOfN(target, 0, 20).Draw(t, "targets")
		b, err := push.EncodeTargets(want)
		if err != nil {
			t.Fatal(err)
		}

		got, err := push.DecodeTargets(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}

		for cut := range b {
			if _, err := push.DecodeTargets(b[:cut]); err == nil {
				t.Fatalf("%d of %d bytes were taken for a list", cut, len(b))
			}
		}
	})
}

func FuzzDecodeTargets(f *testing.F) {
	b, err := push.EncodeTargets([]push.Target{{Customer: "c", Token: "t", Attributes: map[string]any{"a": "b"}}})
	if err != nil {
		f.Fatal(err)
	}

	f.Add(b)
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		ts, err := push.DecodeTargets(b)
		if err != nil {
			return
		}

		again, err := push.EncodeTargets(ts)
		if err != nil {
			t.Fatal(err)
		}

		back, err := push.DecodeTargets(again)
		if err != nil {
			t.Fatalf("%d targets came back as %d: %v", len(ts), len(back), err)
		}
		if len(back) != len(ts) {
			t.Fatalf("%d targets came back, want %d", len(back), len(ts))
		}
	})
}

func FuzzDraft(f *testing.F) {
	f.Add([]byte(`{"message":{"data":{"a":"b"}},"audience":{"segments":{"any":["a"]}},"sendAt":"2026-12-01T09:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d push.Draft
		if json.Unmarshal(b, &d) != nil {
			return
		}
		if d.Check(now) == nil && len(d.Message) > push.MaxMessage {
			t.Fatal("an oversized message has no fault")
		}
	})
}

func TestKeysAreSafeNamesInEvenOrder(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, id := range []string{"", "a", "A", "a/b", "..", "__x__", "\x00", strings.Repeat("é", 700)} {
		t.Run(id, func(t *testing.T) {

			for _, k := range []string{push.CustomerKey(id), push.TokenID(id)} {
				if len(k) != 32 {
					t.Fatalf("the key of %.20q is %q, want 32 characters", id, k)
				}
				check.Equal(t, strings.Trim(k, "0123456789abcdefghijklmnopqrstuv"), "", "what the key of %.20q has beside base32hex", id)
				if seen[k] {
					t.Errorf("the key of %.20q is %q, which another id has too", id, k)
				}
				seen[k] = true
			}
		})
	}
}

func TestErrorsSayTheirOutcome(t *testing.T) {
	t.Parallel()
	cause := errors.New("boom")
	if err := error(&push.Unavailable{Err: cause}); !errors.Is(err, cause) {
		t.Error("the cause of what is out of reach is lost")
	}
	if !push.IsNotFound(&push.NotFound{What: "mailing", ID: "m"}) {
		t.Error("IsNotFound does not recognise a NotFound")
	}
	if push.IsNotFound(cause) {
		t.Error("IsNotFound takes another error for a NotFound")
	}
	if (push.Faults{}).Err() != nil {
		t.Fatalf("no faults are the error %v, want nil", (push.Faults{}).Err())
	}
	if (push.Faults{{Location: "a"}}).Err() == nil {
		t.Error("a fault is no error")
	}
}
