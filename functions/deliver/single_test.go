package deliver

import (
	"encoding/json"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

func TestMessageIsRenderedWithValuesAndSent(t *testing.T) {
	t.Parallel()
	h := newMessageHarness(t)
	h.register("anna", phoneWith("a1-phone-token"))
	if _, err := h.PatchCustomer(t.Context(), "anna", patchOf(t, `{"attributes":{"first_name":"Anna"}}`)); err != nil {
		t.Fatal(err)
	}
	ref := h.accept(push.MessageDraft{Customer: "anna", Link: "https://shop.example/points/{{ values.points }}",
		Message: json.RawMessage(`{"notification":{"title":"+{{ values.points }} points, {{ customer.first_name }}","body":"{% if values.vip %}VIP{% endif %}"}}`),
		Values:  map[string]any{"points": 50, "vip": true}})

	h.wantReply(h.receive(ref, 1), queue.Ack)

	h.want("results", h.results(ref), map[string]string{push.TokenID("a1-phone-token"): "accepted"})
	h.want("state", h.show(ref).State, push.Completed)
	got := h.phones.Messages(phones.Filter{Mailing: ref.Message})
	if len(got) != 1 {
		t.Fatalf("FCM accepted %d messages, want 1", len(got))
	}
	var sent struct {
		Notification struct{ Title, Body string }
		Data         map[string]string
	}
	if err := json.Unmarshal(got[0].Raw, &sent); err != nil {
		t.Fatal(err)
	}
	h.want("title", sent.Notification.Title, "+50 points, Anna")
	h.want("body", sent.Notification.Body, "VIP")
	h.want("data", sent.Data, map[string]string{"mailing_id": ref.Message, "customer_id": "anna", "link": "https://shop.example/points/50"})
}

func patchOf(t *testing.T, body string) push.CustomerPatch {
	t.Helper()
	var p push.CustomerPatch
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// The rules of mailings decide who is left out and which tokens the message goes to.
func TestMessageFollowsTheRulesOfMailings(t *testing.T) {
	t.Parallel()
	off := phoneWith("off-phone-token")
	off.Notifications = push.NotificationsOff
	web := push.Registration{Value: "w1-phone-token", Platform: push.Web, App: "shop"}
	other := push.Registration{Value: "p1-phone-token", Platform: push.Android, App: "pharmacy"}
	for name, c := range map[string]struct {
		tokens   []push.Registration
		patch    string
		settings push.Settings
		draft    push.MessageDraft
		excluded push.Exclusion
		sent     []string
	}{
		"unknown":            {excluded: push.ExcludedUnknown},
		"all tokens":         {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, sent: []string{"a1-phone-token", "w1-phone-token"}},
		"latest by draft":    {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, draft: push.MessageDraft{Devices: push.LatestDevice}, sent: []string{"w1-phone-token"}},
		"latest by setting":  {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, settings: push.Settings{Devices: push.LatestDevice}, sent: []string{"w1-phone-token"}},
		"opted out":          {tokens: []push.Registration{phoneWith("a1-phone-token")}, patch: `{"optedOut":true}`, excluded: push.ExcludedOptedOut},
		"category":           {tokens: []push.Registration{phoneWith("a1-phone-token")}, patch: `{"categories":{"promo":false}}`, draft: push.MessageDraft{Category: "promo"}, excluded: push.ExcludedUnsubscribed},
		"another category":   {tokens: []push.Registration{phoneWith("a1-phone-token")}, patch: `{"categories":{"promo":false}}`, draft: push.MessageDraft{Category: "points"}, sent: []string{"a1-phone-token"}},
		"muted, send":        {tokens: []push.Registration{off}, settings: push.Settings{Devices: push.AllDevices, Muted: push.MutedSend}, sent: []string{"off-phone-token"}},
		"muted, skip":        {tokens: []push.Registration{off}, settings: push.Settings{Devices: push.AllDevices, Muted: push.MutedSkip}, excluded: push.ExcludedMuted},
		"only a platform":    {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, draft: push.MessageDraft{Only: &push.Only{Platforms: []push.Platform{push.Web}}}, sent: []string{"w1-phone-token"}},
		"only an app":        {tokens: []push.Registration{phoneWith("a1-phone-token"), other}, draft: push.MessageDraft{Only: &push.Only{Apps: []string{"pharmacy"}}}, sent: []string{"p1-phone-token"}},
		"only what is not":   {tokens: []push.Registration{phoneWith("a1-phone-token")}, draft: push.MessageDraft{Only: &push.Only{Platforms: []push.Platform{push.IOS}}}, excluded: push.ExcludedFiltered},
		"a token":            {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, draft: push.MessageDraft{Token: "a1-phone-token"}, sent: []string{"a1-phone-token"}},
		"an unknown token":   {tokens: []push.Registration{web}, draft: push.MessageDraft{Token: "a1-phone-token"}, excluded: push.ExcludedUnknown},
		"a token, opted out": {tokens: []push.Registration{phoneWith("a1-phone-token")}, patch: `{"optedOut":true}`, draft: push.MessageDraft{Token: "a1-phone-token"}, excluded: push.ExcludedOptedOut},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newMessageHarness(t)
			h.register("anna", c.tokens...)
			if c.patch != "" {
				if _, err := h.PatchCustomer(t.Context(), "anna", patchOf(t, c.patch)); err != nil {
					t.Fatal(err)
				}
			}
			if c.settings != (push.Settings{}) {
				if _, err := h.SaveSettings(t.Context(), c.settings, nil); err != nil {
					t.Fatal(err)
				}
			}
			if c.draft.Token == "" {
				c.draft.Customer = "anna"
			}
			ref := h.accept(c.draft)

			h.wantReply(h.receive(ref, 1), queue.Ack)

			want := map[string]int{}
			for _, token := range c.sent {
				want[token] = 1
			}
			h.want("sent", h.sent(ref), want)
			m := h.show(ref)
			h.want("excluded", m.Excluded, c.excluded)
			h.want("state", m.State, push.Completed)
			if due := h.due(); len(due) > 0 {
				t.Errorf("tick would publish %v again, want nothing", due)
			}
		})
	}
}

// A message costs two writes, at most three reads where the settings are not cached, and
// as many requests to FCM as there are tokens. (An instance stores control tokens at
// most every controlsSavedEvery, whatever it sends.)
func TestMessageCosts(t *testing.T) {
	t.Parallel()
	srv, err := firestore.Start("127.0.0.1:0", firestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	// Only Carillon's emulator counts what is billed, so the test takes no other.
	conn, err := grpc.NewClient(srv.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sdk.NewClient(t.Context(), "cost", option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	h := messageHarnessOver(t, db)
	h.register("anna", phoneWith("a1-phone-token"), push.Registration{Value: "w1-phone-token", Platform: push.Web})

	h.wantReply(h.receive(h.accept(push.MessageDraft{Customer: "anna"}), 1), queue.Ack) // stores the control tokens

	for name, draft := range map[string]push.MessageDraft{"to a customer": {Customer: "anna"}, "to a token": {Token: "a1-phone-token"}} {
		h.d.settings = &settingsCache{store: h.Store, now: h.clock.Now}
		before, requests := srv.Usage(), h.phones.Stats().Requests
		ref := h.accept(draft)
		h.wantReply(h.receive(ref, 1), queue.Ack)
		after := srv.Usage()

		if reads := after.Reads - before.Reads; reads > 3 {
			t.Errorf("a message %s took %d reads, want at most 3", name, reads)
		}
		if writes := after.Writes - before.Writes; writes != 2 {
			t.Errorf("a message %s took %d writes, want 2", name, writes)
		}
		if n := h.phones.Stats().Requests - requests; n != len(h.results(ref)) {
			t.Errorf("a message %s took %d requests to FCM, want %d", name, n, len(h.results(ref)))
		}
	}
}

func TestInvalidTokenOfAMessageIsFlagged(t *testing.T) {
	t.Parallel()
	h := newMessageHarness(t)
	h.register("anna", phoneWith("gone-phone-token"), phoneWith("a1-phone-token"))
	h.phones.SetOutcome("gone-phone-token", "UNREGISTERED")
	ref := h.accept(push.MessageDraft{Customer: "anna"})

	h.wantReply(h.receive(ref, 1), queue.Ack)

	h.want("results", h.results(ref), map[string]string{push.TokenID("gone-phone-token"): "invalid UNREGISTERED", push.TokenID("a1-phone-token"): "accepted"})
	c, err := h.ReadCustomer(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	token, _ := c.FindToken(push.TokenID("gone-phone-token"))
	if token.Invalid == nil {
		t.Fatalf("the token is not flagged\n%s", h.log)
	}
	h.want("flag's mailing", token.Invalid.Mailing, ref.Message)
	h.want("flag's code", token.Invalid.Code, push.CodeUnregistered)
	var types []string
	for _, e := range h.events.Published() {
		types = append(types, e.Type)
	}
	h.want("events", types, []string{push.TokenInvalidated})
}

// A payload that FCM refuses is refused, and flags nobody.
func TestRefusedPayloadOfAMessageFlagsNobody(t *testing.T) {
	t.Parallel()
	h := newMessageHarness(t)
	h.register("anna", phoneWith("a1-phone-token"))
	ref := h.accept(push.MessageDraft{Customer: "anna", Message: json.RawMessage(`{"notification":{"title":"x"},"android":{"ttl":"not a duration"}}`)})

	h.wantReply(h.receive(ref, 1), queue.Ack)

	h.want("results", h.results(ref), map[string]string{push.TokenID("a1-phone-token"): "refused"})
	c, err := h.ReadCustomer(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	h.want("reachable", c.HasValidToken(), true)
}

// What cannot be sent now waits in Firestore, is published again by tick, and expires.
func TestMessageWaitsForFCM(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		outcome string
		mended  bool
		want    string
		state   push.State
	}{
		"an outage that ends":      {"UNAVAILABLE", true, "accepted", push.Completed},
		"an outage that goes on":   {"UNAVAILABLE", false, "expired", push.Expired},
		"credentials, then mended": {"PERMISSION_DENIED", true, "accepted", push.Completed},
		"credentials, for ever":    {"PERMISSION_DENIED", false, "expired", push.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newMessageHarness(t)
			h.register("anna", phoneWith("a1-phone-token"))
			h.phones.SetOutcome("a1-phone-token", c.outcome)
			ref := h.accept(push.MessageDraft{Customer: "anna"})

			h.wantReply(h.receive(ref, 1), queue.Ack)
			h.want("state while it waits", h.show(ref).State, push.Accepted)
			h.want("due", h.due(), []string{ref.Message})

			if c.mended {
				h.phones.SetOutcome("a1-phone-token", "OK")
				h.clock.Add(5 * time.Minute)
			} else {
				h.clock.Add(push.DefaultMessageLifetime + time.Minute)
			}
			h.d = newDeliverer(h.deps)
			h.wantReply(h.receive(ref, 1), queue.Ack)

			h.want("results", h.results(ref), map[string]string{push.TokenID("a1-phone-token"): c.want})
			h.want("state", h.show(ref).State, c.state)
			h.want("due at the end", h.due(), []string(nil))
		})
	}
}
