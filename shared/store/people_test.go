package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
)

func (w *world) customer(t testing.TB, id string) *push.Customer {
	t.Helper()
	c, err := w.Customer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *world) tokenOf(t testing.TB, customer, token string) *push.Token {
	t.Helper()
	x, ok := w.customer(t, customer).FindToken(push.TokenID(token))
	if !ok {
		t.Fatalf("%s does not have token %s", customer, token)
	}
	return x
}

// kinds are the types of events and what they say of availability.
func kinds(events []push.Event) string {
	var out []string
	for _, e := range events {
		s := e.Type
		if d, ok := e.Data.(push.AvailabilityData); ok {
			s = fmt.Sprintf("%s=%v", d.Customer, d.PushAvailable)
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

func TestRegisteringAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register(t, "anna", "t")
	if !first.Created || kinds(first.Events) != "anna=true" {
		t.Errorf("first: created %v, events %s", first.Created, kinds(first.Events))
	}
	w.clock.Add(time.Hour)
	again := w.register(t, "anna", "t")
	if again.Created || len(again.Events) != 0 || !again.Token.AddedAt.Equal(first.Token.AddedAt) || !again.Token.SeenAt.Equal(w.clock.Now()) {
		t.Errorf("again: %+v", again)
	}
	w.clock.Add(time.Hour)
	if res := w.flag(t, "m", "anna", "t", w.clock.Now()); !res.Set || kinds(res.Events) != "token.invalidated anna=false" {
		t.Errorf("flagging: %v %s", res.Set, kinds(res.Events))
	}
	w.clock.Add(time.Hour)
	back := w.register(t, "anna", "t")
	if back.Created || kinds(back.Events) != "token.invalidated anna=true" || !back.Token.AddedAt.Equal(w.clock.Now()) || !back.Token.Valid() {
		t.Errorf("valid again: %+v", back)
	}
	if got := w.tokenOf(t, "anna", "t"); !got.AddedAt.Equal(back.Token.AddedAt) || got.Expires != push.ExpiryDay(push.Android, w.clock.Now(), push.TokenLife) {
		t.Errorf("stored %+v", got)
	}
}

func TestMovingATokenTakesItFromWhoeverHadIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "anna", "t")
	w.clock.Add(time.Minute)
	moved, err := w.RegisterToken(t.Context(), "bert", push.Registration{Kind: push.KindToken, Value: "t", App: "shop"})
	if err != nil || moved.Token.Platform != push.Android || moved.Token.Expires == "" {
		t.Errorf("what device it is was lost on the way: %+v %v", moved.Token, err)
	}
	if !moved.Created || kinds(moved.Events) != "bert=true anna=false" {
		t.Errorf("created %v, events %s", moved.Created, kinds(moved.Events))
	}
	if c := w.customer(t, "anna"); len(c.Tokens) != 0 || c.HasValidToken() {
		t.Errorf("anna still has %v", c.Tokens)
	}
	if res := w.flag(t, "m", "anna", "t", w.clock.Now()); res.Set {
		t.Error("a token was flagged at a customer who lost it")
	}
}

// TestTheCap: invalid ones go first, then the longest unseen; who goes leaves
// the index, too, and the one that is being registered stays.
func TestTheCap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range push.MaxTokens {
		w.register(t, "anna", fmt.Sprintf("t%02d", i))
		w.clock.Add(time.Minute)
	}
	w.flag(t, "m", "anna", "t07", w.clock.Now())
	w.register(t, "anna", "t00")
	for i, gone := range []string{"t07", "t01"} {
		w.clock.Add(time.Minute)
		w.register(t, "anna", fmt.Sprintf("new%d", i))
		c := w.customer(t, "anna")
		if _, still := c.FindToken(push.TokenID(gone)); still || len(c.Tokens) != push.MaxTokens {
			t.Errorf("registering new%d: %d tokens, %s stays: %v", i, len(c.Tokens), gone, still)
		}
		if _, still := w.dump(t)["tokens/"+push.TokenID(gone)]; still {
			t.Errorf("%s is in the index still", gone)
		}
	}
}

func TestUnregister(t *testing.T) {
	t.Parallel()
	w, l := newLossyWorld(t)
	w.register(t, "anna", "t")
	w.register(t, "anna", "u")
	if events, err := w.UnregisterToken(t.Context(), "anna", push.TokenID("t")); err != nil || len(events) != 0 {
		t.Errorf("%v %v", events, err)
	}
	if _, err := w.UnregisterToken(t.Context(), "anna", push.TokenID("t")); !push.IsNotFound(err) {
		t.Errorf("taken twice: %v", err)
	}
	if _, err := w.UnregisterToken(t.Context(), "nobody", push.TokenID("u")); !push.IsNotFound(err) {
		t.Errorf("taken from nobody: %v", err)
	}
	l.whenLost(t, "unregistering", func() error {
		_, err := w.UnregisterToken(t.Context(), "anna", push.TokenID("u"))
		return err
	})
	if c := w.customer(t, "anna"); c.HasValidToken() || len(w.dump(t)) != 1 || w.Count("outbox") != 2 {
		t.Errorf("left: %+v, %d events in the outbox", c, w.Count("outbox"))
	}
}

// TestVersionsGrowBeyondErasing: who drops what is older than what was seen
// hears of a customer who comes back.
func TestVersionsGrowBeyondErasing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var events []push.Event
	for range 2 {
		events = append(events, w.register(t, "anna", "t").Events...)
		w.clock.Add(time.Second)
		more, err := w.EraseCustomer(t.Context(), "anna")
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, more...)
		w.clock.Add(time.Second)
	}
	events = slices.DeleteFunc(events, func(e push.Event) bool { return e.Type == push.CustomerErased })
	if kinds(events) != "anna=true anna=false anna=true anna=false" {
		t.Fatalf("told: %s", kinds(events))
	}
	last, ids := int64(0), map[string]bool{}
	for _, e := range events {
		v := e.Data.(push.AvailabilityData).Version
		if v <= last || v >= 1<<53 || ids[e.ID] {
			t.Errorf("version %d after %d, id %s", v, last, e.ID)
		}
		last, ids[e.ID] = v, true
	}
}

// TestAKilledInstanceOwesItsEvents: the events are in the outbox with the commit
// that stores the fact, and stay until they are told.
func TestAKilledInstanceOwesItsEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	done := w.register(t, "anna", "t")
	if owed, err := w.UnpublishedEvents(ctx, 10); err != nil || len(owed) != 0 {
		t.Errorf("owed at once: %v %v; whoever registered has not had the time to publish", owed, err)
	}
	w.clock.Add(time.Minute)
	owed, err := w.UnpublishedEvents(ctx, 10)
	if err != nil || len(owed) != 1 {
		t.Fatalf("owed: %v %v", owed, err)
	}
	want, _ := json.Marshal(done.Events[0].Data)
	got := owed[0]
	if got.ID != done.Events[0].ID || got.Type != push.AvailabilityChanged || got.Subject != "customers/anna" || !got.Time.Equal(done.Events[0].Time) || string(got.Data.(json.RawMessage)) != string(want) {
		t.Errorf("owed %+v, want %+v", got, done.Events[0])
	}
	if err := w.MarkEventsPublished(ctx, owed...); err != nil || w.Count("outbox") != 0 {
		t.Errorf("told, and still owed: %v", err)
	}
}

func TestRegisteringWithItsAnswerLost(t *testing.T) {
	t.Parallel()
	w, l := newLossyWorld(t)
	l.whenLost(t, "registering", func() error {
		_, err := w.RegisterToken(t.Context(), "anna", push.Registration{Kind: push.KindToken, Value: "t"})
		return err
	})
	l.whenLost(t, "erasing", func() error {
		_, err := w.EraseCustomer(t.Context(), "anna")
		return err
	})
	if w.Count("outbox") != 3 || len(w.dump(t)) != 0 {
		t.Errorf("%d events in the outbox, and stored %v", w.Count("outbox"), w.dump(t))
	}
}
