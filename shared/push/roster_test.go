package push_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"carillon.example/shared/push"
)

// drawCustomer draws a customer as Firestore returns it, with times in microseconds.
func drawCustomer(t *rapid.T) *push.Customer {
	moment := func(name string) time.Time { // often the same
		micro := rapid.OneOf(rapid.Int64Range(1, 4e15), rapid.SampledFrom([]int64{1e15, 2e15})).Draw(t, name)
		return time.UnixMicro(micro).UTC()
	}
	text := rapid.SampledFrom([]string{"", "loyal", "a/b", "ü", "\x00", "a long name that repeats itself"})
	c := &push.Customer{
		ID: rapid.String().Draw(t, "id"), OptedOut: rapid.Bool().Draw(t, "optedOut"), TimeZone: text.Draw(t, "zone"),
		Segments:   rapid.SliceOfN(text, 0, 3).Draw(t, "segments"),
		Categories: rapid.MapOfN(text, rapid.Bool(), 0, 3).Draw(t, "categories"),
		Version:    1, Revision: 2, CreatedAt: moment("created"),
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "tokens") {
		value := fmt.Sprintf("%s%d", rapid.String().Draw(t, "value"), i)
		token := push.Token{
			ID: push.TokenID(value), Value: value, App: text.Draw(t, "app"),
			Kind:          rapid.SampledFrom([]push.Kind{push.KindToken, push.KindFID}).Draw(t, "kind"),
			Platform:      rapid.SampledFrom([]push.Platform{"", push.Android, push.IOS, push.Web}).Draw(t, "platform"),
			Notifications: rapid.SampledFrom([]push.Notifications{"", push.NotificationsOff, push.NotificationsOn}).Draw(t, "notifications"),
			AddedAt:       moment("added"), SeenAt: moment("seen"), Imported: rapid.Bool().Draw(t, "imported"), Device: "d",
		}
		if rapid.Bool().Draw(t, "invalid") {
			token.Invalid = &push.TokenFlag{Code: push.CodeUnregistered}
		}
		c.Tokens = append(c.Tokens, token)
	}
	return c
}

// TestARosterHasWhatDispatchNeeds encodes and decodes customers.
func TestARosterHasWhatDispatchNeeds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		customers := rapid.SliceOfN(rapid.Custom(drawCustomer), 0, 5).Draw(r, "customers")
		want := make([]*push.Customer, len(customers))
		for i, c := range customers {
			want[i] = c.ForRoster()
		}

		got, err := push.DecodeRoster(push.EncodeRoster(customers))
		if err != nil {
			r.Fatalf("decoding: %v", err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			r.Errorf("decoded (-encoded +decoded):\n%s", diff)
		}
	})
}

// TestARosterSelectsTheSameTokens compares the tokens that a mailing goes to, of a customer and
// of the customer in a roster.
func TestARosterSelectsTheSameTokens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		c := drawCustomer(r)
		targeting := push.Targeting{
			Mailing: "m", Category: rapid.SampledFrom([]string{"", "loyal"}).Draw(r, "category"),
			Devices:      rapid.SampledFrom([]push.DeviceSelection{push.AllDevices, push.LatestDevice}).Draw(r, "devices"),
			Muted:        rapid.SampledFrom([]push.MutedCustomers{push.MutedSend, push.MutedSkip}).Draw(r, "muted"),
			ControlGroup: rapid.SampledFrom([]float64{0, 0.3}).Draw(r, "control"),
		}
		if rapid.Bool().Draw(r, "filtered") {
			targeting.Only = &push.Only{Platforms: []push.Platform{push.IOS}}
		}
		now := time.UnixMicro(2e15)

		wantTokens, wantWhy := targeting.SelectTokens(c, nil)
		gotTokens, gotWhy := targeting.SelectTokens(c.ForRoster(), nil)
		if gotWhy != wantWhy {
			r.Errorf("the customer of a roster is left out because of %q, want %q", gotWhy, wantWhy)
		}
		want, got := c.MakeTargets(wantTokens, nil, now), c.ForRoster().MakeTargets(gotTokens, nil, now)
		if diff := cmp.Diff(want, got); diff != "" {
			r.Errorf("targets (-customer +roster):\n%s", diff)
		}
	})
}

// TestWhatChangesARoster lists changes of a customer, and whether a roster has to be read again.
func TestWhatChangesARoster(t *testing.T) {
	t.Parallel()
	at := time.UnixMicro(1e15)
	for name, c := range map[string]struct {
		change func(*push.Customer)
		same   bool
	}{
		"an app starts":              {func(c *push.Customer) { c.Tokens[0].SeenAt = at.Add(time.Hour) }, true},
		"a phone reports an opening": {func(c *push.Customer) { c.Tokens[0].ReportedAt = at.Add(time.Hour) }, true},
		"attributes change":          {func(c *push.Customer) { c.Attributes = map[string]any{"points": 3} }, true},
		"notifications are off":      {func(c *push.Customer) { c.Tokens[0].Notifications = push.NotificationsOff }, false},
		"a token is flagged":         {func(c *push.Customer) { c.Tokens[0].Invalid = &push.TokenFlag{Code: push.CodeUnregistered} }, false},
		"a customer opts out":        {func(c *push.Customer) { c.OptedOut = true }, false},
		"a category is unsubscribed": {func(c *push.Customer) { c.Categories = map[string]bool{"news": false} }, false},
		"a segment is left":          {func(c *push.Customer) { c.Segments = nil }, false},
		"a time zone changes":        {func(c *push.Customer) { c.TimeZone = "Asia/Tokyo" }, false},
		"an imported token is shown": {func(c *push.Customer) { c.Tokens[1].Imported = false }, false},
		"one of two tokens added together is seen": {func(c *push.Customer) {
			c.Tokens[1].AddedAt = at
			c.Tokens[1].SeenAt = at.Add(time.Hour)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			customer := func() *push.Customer {
				return &push.Customer{ID: "anna", Segments: []string{"loyal"}, Tokens: []push.Token{
					{ID: push.TokenID("t"), Value: "t", AddedAt: at, SeenAt: at},
					{ID: push.TokenID("u"), Value: "u", AddedAt: at.Add(time.Second), SeenAt: at, Imported: true},
				}}
			}
			changed := customer()
			c.change(changed)
			if got := changed.SameInRoster(customer()); got != c.same {
				t.Errorf("the customer is the same for a roster: %v, want %v", got, c.same)
			}
		})
	}
}

// TestADamagedRosterIsAnError cuts a roster at each byte, and changes each byte.
func TestADamagedRosterIsAnError(t *testing.T) {
	t.Parallel()
	whole := push.EncodeRoster([]*push.Customer{{ID: "anna", TimeZone: "Europe/Vienna", Tokens: []push.Token{{Value: "t", App: "shop"}}}})
	for n := range len(whole) {
		if _, err := push.DecodeRoster(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes were decoded, want an error", n, len(whole))
		}
	}
	if _, err := push.DecodeRoster(append(whole, 0)); err == nil {
		t.Error("a roster with one byte more was decoded, want an error")
	}
	whole[0]++
	if _, err := push.DecodeRoster(whole); err == nil {
		t.Error("a roster of another version was decoded, want an error")
	}
}

// FuzzDecodeRoster looks for bytes that make the decoder panic, or that it takes for another
// roster than the one they are the encoding of.
func FuzzDecodeRoster(f *testing.F) {
	f.Add(push.EncodeRoster(nil))
	f.Add(push.EncodeRoster([]*push.Customer{{
		ID: "anna", OptedOut: true, Segments: []string{"loyal"}, Categories: map[string]bool{"offers": true, "news": false}, TimeZone: "Europe/Vienna",
		Tokens: []push.Token{{Value: "t", App: "shop", Notifications: push.NotificationsOff, AddedAt: time.UnixMicro(1), Kind: push.KindFID, Platform: push.Web}},
	}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		customers, err := push.DecodeRoster(b)
		if err != nil {
			return
		}
		again, err := push.DecodeRoster(push.EncodeRoster(customers))
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded and decoded: %v", err)
		}
		for i, c := range customers {
			customers[i] = c.ForRoster() // which EncodeRoster encodes
		}
		if diff := cmp.Diff(customers, again); diff != "" {
			t.Errorf("decoded, and encoded and decoded again (-once +twice):\n%s", diff)
		}
	})
}
