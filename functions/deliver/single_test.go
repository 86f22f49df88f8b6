package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// A messageHarness is deliver over a real store and a real sender, for messages to one
// customer. Its clock runs.
type messageHarness struct {
	*store.Store
	t      *testing.T
	phones *phones.Server
	events *testcloud.EventRecorder[push.Event]
	clock  *testcloud.Clock
	log    *testcloud.LogBuffer
	deps   Deps
	d      *deliverer
	made   int
}

func newMessageHarness(t *testing.T) *messageHarness {
	t.Helper()
	return messageHarnessOver(t, testcloud.New(t).DB())
}

func messageHarnessOver(t *testing.T, db *sdk.Client) *messageHarness {
	t.Helper()
	h := &messageHarness{t: t, phones: testcloud.Phones(t, phones.Options{}), events: &testcloud.EventRecorder[push.Event]{}, clock: &testcloud.Clock{}, log: &testcloud.LogBuffer{}}
	h.Store = store.New(db, store.Options{Now: h.clock.Now})
	sender, err := fcm.New(t.Context(), fcm.Config{Project: "p", Endpoint: h.phones.URL(), QuotaPerMinute: 600_000, MaxInstances: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sender.Close() })
	h.deps = Deps{Store: h.Store, Queue: h.events, Sender: sender, Log: h.log.Logger(), CallTimeout: 2 * time.Second, Now: h.clock.Now}
	h.d = newDeliverer(h.deps)
	return h
}

func (h *messageHarness) register(customer string, tokens ...push.Registration) {
	h.t.Helper()
	for _, r := range tokens {
		if r.Kind == "" {
			r.Kind = push.KindToken
		}
		if _, err := h.RegisterToken(h.t.Context(), customer, r); err != nil {
			h.t.Fatal(err)
		}
	}
}

// accept stores a message as the function mailings does, and returns what it publishes.
func (h *messageHarness) accept(d push.MessageDraft) push.MessageRef {
	h.t.Helper()
	if d.Message == nil {
		d.Message = json.RawMessage(`{"notification":{"title":"x"}}`)
	}
	h.made++
	m := push.NewMessage(fmt.Sprint("s", h.made), "digest", d, h.clock.Now())
	if _, _, err := h.CreateMessage(h.t.Context(), m); err != nil {
		h.t.Fatal(err)
	}
	return m.Ref()
}

// receive delivers the Pub/Sub message the nth time.
func (h *messageHarness) receive(ref push.MessageRef, attempt int) queue.Settlement {
	h.t.Helper()
	return receiveBy(h.t, h.d, ref, attempt)
}

func receiveBy(t *testing.T, d *deliverer, ref push.MessageRef, attempt int) queue.Settlement {
	t.Helper()
	return d.receive(t.Context(), queue.Message{Data: encoded(t, ref), Attempt: attempt})
}

// receiveDeadLetter delivers the Pub/Sub message as a dead letter.
func (h *messageHarness) receiveDeadLetter(ref push.MessageRef) queue.Settlement {
	h.t.Helper()
	return h.d.receive(h.t.Context(), queue.Message{Data: encoded(h.t, ref), Attributes: map[string]string{"CloudPubSubDeadLetterSourceSubscription": "messages"}})
}

func encoded(t *testing.T, ref push.MessageRef) []byte {
	t.Helper()
	data, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (h *messageHarness) show(ref push.MessageRef) *push.Message {
	h.t.Helper()
	m, err := h.Message(h.t.Context(), ref.Message)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// results lists the results of a message by token.
func (h *messageHarness) results(ref push.MessageRef) map[string]string {
	out := map[string]string{}
	for _, r := range h.show(ref).Recipients {
		out[r.TokenID] = strings.TrimSpace(r.Result.String() + " " + r.Result.Code())
	}
	return out
}

// sent counts how often each token got the message.
func (h *messageHarness) sent(ref push.MessageRef) map[string]int {
	out := map[string]int{}
	for _, m := range h.phones.Messages(phones.Filter{Mailing: ref.Message}) {
		out[m.Token]++
	}
	return out
}

func (h *messageHarness) wantSettlement(got, want queue.Settlement) {
	h.t.Helper()
	if got != want {
		h.t.Fatalf("the message was settled by %v, want %v\n%s", got, want, h.log)
	}
}

func (h *messageHarness) want(what string, got, want any) {
	h.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var android = push.Registration{Kind: push.KindToken, Platform: push.Android, App: "shop"}

func phoneWith(token string) push.Registration {
	r := android
	r.Value = token
	return r
}

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

	h.wantSettlement(h.receive(ref, 1), queue.Ack)

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
		"unknown":            {excluded: push.Unknown},
		"all tokens":         {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, sent: []string{"a1-phone-token", "w1-phone-token"}},
		"latest by draft":    {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, draft: push.MessageDraft{Devices: push.LatestDevice}, sent: []string{"w1-phone-token"}},
		"latest by setting":  {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, settings: push.Settings{Devices: push.LatestDevice}, sent: []string{"w1-phone-token"}},
		"opted out":          {tokens: []push.Registration{phoneWith("a1-phone-token")}, patch: `{"optedOut":true}`, excluded: push.OptedOut},
		"category":           {tokens: []push.Registration{phoneWith("a1-phone-token")}, patch: `{"categories":{"promo":false}}`, draft: push.MessageDraft{Category: "promo"}, excluded: push.Unsubscribed},
		"another category":   {tokens: []push.Registration{phoneWith("a1-phone-token")}, patch: `{"categories":{"promo":false}}`, draft: push.MessageDraft{Category: "points"}, sent: []string{"a1-phone-token"}},
		"muted, send":        {tokens: []push.Registration{off}, settings: push.Settings{Devices: push.AllDevices, Muted: push.MutedSend}, sent: []string{"off-phone-token"}},
		"muted, skip":        {tokens: []push.Registration{off}, settings: push.Settings{Devices: push.AllDevices, Muted: push.MutedSkip}, excluded: push.Muted},
		"only a platform":    {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, draft: push.MessageDraft{Only: &push.Only{Platforms: []push.Platform{push.Web}}}, sent: []string{"w1-phone-token"}},
		"only an app":        {tokens: []push.Registration{phoneWith("a1-phone-token"), other}, draft: push.MessageDraft{Only: &push.Only{Apps: []string{"pharmacy"}}}, sent: []string{"p1-phone-token"}},
		"only what is not":   {tokens: []push.Registration{phoneWith("a1-phone-token")}, draft: push.MessageDraft{Only: &push.Only{Platforms: []push.Platform{push.IOS}}}, excluded: push.Filtered},
		"a token":            {tokens: []push.Registration{phoneWith("a1-phone-token"), web}, draft: push.MessageDraft{Token: "a1-phone-token"}, sent: []string{"a1-phone-token"}},
		"an unknown token":   {tokens: []push.Registration{web}, draft: push.MessageDraft{Token: "a1-phone-token"}, excluded: push.Unknown},
		"a token, opted out": {tokens: []push.Registration{phoneWith("a1-phone-token")}, patch: `{"optedOut":true}`, draft: push.MessageDraft{Token: "a1-phone-token"}, excluded: push.OptedOut},
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
				if _, err := h.SetSettings(t.Context(), c.settings, nil); err != nil {
					t.Fatal(err)
				}
			}
			if c.draft.Token == "" {
				c.draft.Customer = "anna"
			}
			ref := h.accept(c.draft)

			h.wantSettlement(h.receive(ref, 1), queue.Ack)

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

// due lists what tick would publish within a year.
func (h *messageHarness) due() (ids []string) {
	h.t.Helper()
	list, err := h.DueMessages(h.t.Context(), h.clock.Now().Add(365*24*time.Hour))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, x := range list {
		ids = append(ids, x.Message)
	}
	return ids
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

	h.wantSettlement(h.receive(h.accept(push.MessageDraft{Customer: "anna"}), 1), queue.Ack) // stores the control tokens

	for name, draft := range map[string]push.MessageDraft{"to a customer": {Customer: "anna"}, "to a token": {Token: "a1-phone-token"}} {
		h.d.settings = &settingsCache{store: h.Store, now: h.clock.Now}
		before, requests := srv.Usage(), h.phones.Stats().Requests
		ref := h.accept(draft)
		h.wantSettlement(h.receive(ref, 1), queue.Ack)
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

// Every further copy of a message finds its results and sends nothing.
func TestCopiesOfAMessageSendNothing(t *testing.T) {
	t.Parallel()
	h := newMessageHarness(t)
	h.register("anna", phoneWith("a1-phone-token"))
	ref := h.accept(push.MessageDraft{Customer: "anna"})
	for _, attempt := range []int{1, 1, 2, 7} {
		h.wantSettlement(h.receive(ref, attempt), queue.Ack)
	}
	h.want("sent", h.sent(ref), map[string]int{"a1-phone-token": 1})
}

// A crash between any two steps sends at most once more, and the message ends. A phone
// never gets it more than maxCrashes times, whatever crashes.
func TestACrashedMessageIsSentAtMostOnceMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		crashes int
		tick    bool // every further copy is tick's
		most    int
		state   push.State
		result  string
	}{
		"one crash":                      {1, false, 2, push.Completed, "accepted"},
		"one crash, then a copy of tick": {1, true, 2, push.Completed, "accepted"},
		"many crashes":                   {20, false, maxCrashes, push.Completed, "failed"},
		"many crashes, copies of tick":   {20, true, maxCrashes, push.Completed, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newMessageHarness(t)
			h.register("anna", phoneWith("a1-phone-token"))
			life := push.Duration(10 * time.Hour)
			ref := h.accept(push.MessageDraft{Customer: "anna", Lifetime: &life})
			for attempt := range c.crashes {
				deps := h.deps
				deps.Store = &crashesAfterSending{ledger: h.Store}
				receiveBy(t, newDeliverer(deps), ref, h.attempt(c.tick, attempt+1))
				h.clock.Add(5 * time.Minute)
			}

			for attempt := range 3 {
				h.receive(ref, h.attempt(c.tick, c.crashes+attempt+1))
				h.clock.Add(5 * time.Minute)
			}

			if n := h.sent(ref)["a1-phone-token"]; n < 1 || n > c.most {
				t.Errorf("the phone got the message %d times, want 1 to %d", n, c.most)
			}
			h.want("results", h.results(ref), map[string]string{push.TokenID("a1-phone-token"): c.result})
			h.want("state", h.show(ref).State, c.state)
		})
	}
}

// attempt returns the attempt of the next delivery. tick publishes a new Pub/Sub message,
// whose first attempt that is.
func (h *messageHarness) attempt(tick bool, of int) int {
	h.t.Helper()
	if !tick || of == 1 {
		return of
	}
	list, err := h.DueMessages(h.t.Context(), h.clock.Now())
	if err != nil {
		h.t.Fatal(err)
	}
	for _, x := range list {
		if _, err := h.MarkMessagePublished(h.t.Context(), x, h.clock.Now()); err != nil {
			h.t.Fatal(err)
		}
	}
	return 1
}

// crashesAfterSending is the store of a call that is killed once FCM has answered: no
// result is stored any more.
type crashesAfterSending struct{ ledger }

var errCrashed = errors.New("the instance is gone")

func (s *crashesAfterSending) SaveMessage(ctx context.Context, m *push.Message) error {
	if len(m.Batch.PendingTargets()) < len(m.Batch.Results) {
		return errCrashed
	}
	return s.ledger.SaveMessage(ctx, m)
}

// Of two copies that tick and Pub/Sub deliver side by side one has the lease.
func TestALeasedMessageIsLeftAlone(t *testing.T) {
	t.Parallel()
	h := newMessageHarness(t)
	h.register("anna", phoneWith("a1-phone-token"))
	ref := h.accept(push.MessageDraft{Customer: "anna"})
	m := h.show(ref)
	if err := h.LeaseMessage(t.Context(), m, push.Lease{Owner: "another", Until: h.clock.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	h.wantSettlement(h.receive(ref, 2), queue.Ack)
	h.want("sent", h.sent(ref), map[string]int{})
	h.want("due", h.due(), []string{ref.Message})
}

// The first delivery stores no lease. What another function stores about the message
// meanwhile does not take its results away: they would be lost, and the message sent
// again.
func TestFirstDeliveryKeepsItsResults(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(h *messageHarness, ref push.MessageRef){
		"a dead letter is postponed": func(h *messageHarness, ref push.MessageRef) {
			h.wantSettlement(h.receiveDeadLetter(ref), queue.Ack)
		},
		"tick publishes it again": func(h *messageHarness, _ push.MessageRef) {
			h.clock.Add(5 * time.Minute)
			h.attempt(true, 2)
		},
		"both": func(h *messageHarness, ref push.MessageRef) {
			h.wantSettlement(h.receiveDeadLetter(ref), queue.Ack)
			h.clock.Add(5 * time.Minute)
			h.attempt(true, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newMessageHarness(t)
			h.register("anna", phoneWith("a1-phone-token"))
			ref := h.accept(push.MessageDraft{Customer: "anna"})
			deps := h.deps
			deps.Store = &savesLater{ledger: h.Store, before: func() { meanwhile(h, ref) }}

			h.wantSettlement(receiveBy(t, newDeliverer(deps), ref, 1), queue.Ack)

			h.want("results", h.results(ref), map[string]string{push.TokenID("a1-phone-token"): "accepted"})
			h.want("state", h.show(ref).State, push.Completed)
			h.want("due", h.due(), []string(nil))
			h.wantSettlement(h.receive(ref, 1), queue.Ack)
			h.want("sent", h.sent(ref), map[string]int{"a1-phone-token": 1})
		})
	}
}

// A first delivery leaves what another call knows: its lease, and its results.
func TestFirstDeliveryOverwritesNoOtherCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(h *messageHarness, ref push.MessageRef)
		state     push.State
	}{
		"a lease": {func(h *messageHarness, ref push.MessageRef) {
			if err := h.LeaseMessage(h.t.Context(), h.show(ref), push.Lease{Owner: "another", Until: h.clock.Now().Add(time.Minute)}); err != nil {
				h.t.Fatal(err)
			}
		}, push.Accepted},
		"results": {func(h *messageHarness, ref push.MessageRef) {
			h.phones.SetOutcome("a1-phone-token", "UNREGISTERED")
			h.wantSettlement(h.receive(ref, 1), queue.Ack)
		}, push.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newMessageHarness(t)
			h.register("anna", phoneWith("a1-phone-token"))
			ref := h.accept(push.MessageDraft{Customer: "anna"})
			deps := h.deps
			var kept *push.Message
			deps.Store = &savesLater{ledger: h.Store, before: func() { c.meanwhile(h, ref); kept = h.show(ref) }}

			h.wantSettlement(receiveBy(t, newDeliverer(deps), ref, 1), queue.Ack)

			h.want("message", h.show(ref), kept)
			h.want("state", h.show(ref).State, c.state)
		})
	}
}

// savesLater does something before the first save of a message.
type savesLater struct {
	ledger
	before func()
}

func (s *savesLater) SaveMessage(ctx context.Context, m *push.Message) error {
	if before := s.before; before != nil {
		s.before = nil
		before()
	}
	return s.ledger.SaveMessage(ctx, m)
}

// A dead letter of a message that no call has sent is published again a minute later.
func TestDeadLetterOfAMessageWaitsAMinute(t *testing.T) {
	t.Parallel()
	h := newMessageHarness(t)
	h.register("anna", phoneWith("a1-phone-token"))
	ref := h.accept(push.MessageDraft{Customer: "anna"})
	h.wantSettlement(h.receiveDeadLetter(ref), queue.Ack)

	list, err := h.DueMessages(t.Context(), h.clock.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 {
		t.Fatalf("%d messages are due, want 1", len(list))
	}
	if wait := list[0].At.Sub(h.clock.Now()).Round(time.Second); wait != deadLetterWait {
		t.Errorf("the message is due in %s, want %s", wait, deadLetterWait)
	}
}

func TestInvalidTokenOfAMessageIsFlagged(t *testing.T) {
	t.Parallel()
	h := newMessageHarness(t)
	h.register("anna", phoneWith("gone-phone-token"), phoneWith("a1-phone-token"))
	h.phones.SetOutcome("gone-phone-token", "UNREGISTERED")
	ref := h.accept(push.MessageDraft{Customer: "anna"})

	h.wantSettlement(h.receive(ref, 1), queue.Ack)

	h.want("results", h.results(ref), map[string]string{push.TokenID("gone-phone-token"): "invalid UNREGISTERED", push.TokenID("a1-phone-token"): "accepted"})
	c, err := h.Customer(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	token, _ := c.Token(push.TokenID("gone-phone-token"))
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

	h.wantSettlement(h.receive(ref, 1), queue.Ack)

	h.want("results", h.results(ref), map[string]string{push.TokenID("a1-phone-token"): "refused"})
	c, err := h.Customer(t.Context(), "anna")
	if err != nil {
		t.Fatal(err)
	}
	h.want("reachable", c.Reachable(), true)
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

			h.wantSettlement(h.receive(ref, 1), queue.Ack)
			h.want("state while it waits", h.show(ref).State, push.Accepted)
			h.want("due", h.due(), []string{ref.Message})

			if c.mended {
				h.phones.SetOutcome("a1-phone-token", "OK")
				h.clock.Add(5 * time.Minute)
			} else {
				h.clock.Add(push.DefaultMessageLifetime + time.Minute)
			}
			h.d = newDeliverer(h.deps)
			h.wantSettlement(h.receive(ref, 1), queue.Ack)

			h.want("results", h.results(ref), map[string]string{push.TokenID("a1-phone-token"): c.want})
			h.want("state", h.show(ref).State, c.state)
			h.want("due at the end", h.due(), []string(nil))
		})
	}
}

// A message that cannot be read is given up when it is a dead letter.
func TestUndecodableMessageIsClosedByItsDeadLetter(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	h := messageHarnessOver(t, cloud.DB())
	h.register("anna", phoneWith("a1-phone-token"))
	ref := h.accept(push.MessageDraft{Customer: "anna"})
	if _, err := cloud.DB().Doc("messages/"+ref.Message).Update(t.Context(), []sdk.Update{{Path: "draft", Value: "{"}}); err != nil {
		t.Fatal(err)
	}
	h.wantSettlement(h.receive(ref, 1), queue.Redeliver)

	h.wantSettlement(h.receiveDeadLetter(ref), queue.Ack)
	h.want("due", h.due(), []string(nil))
	h.want("sent", h.sent(ref), map[string]int{})
}
