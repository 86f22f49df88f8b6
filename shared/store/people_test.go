package store_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

func (w *harness) customer(t testing.TB, id string) *push.Customer {
	t.Helper()
	c, err := w.ReadCustomer(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w *harness) tokenOf(t testing.TB, customer, token string) *push.Token {
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
	w := newHarness(t)
	first := w.register(t, "anna", "t")
	check.Equal(t, first.Created, true, "the first registration: first.Created")
	check.Equal(t, kinds(first.Events), "anna=true", "the first registration: kinds(first.Events)")
	w.clock.Add(time.Hour)
	again := w.register(t, "anna", "t")
	check.Equal(t, again.Created, false, "again: again.Created")
	check.Equal(t, len(again.Events), 0, "again: number of entries in again.Events")
	check.Equal(t, again.Token.AddedAt, first.Token.AddedAt, "again: again.Token.AddedAt")
	check.Equal(t, again.Token.SeenAt, w.clock.Now(), "again: again.Token.SeenAt")
	w.clock.Add(time.Hour)
	res := w.flag(t, "m", "anna", "t", w.clock.Now())
	check.Equal(t, res.Set, true, "flagging: res.Set")
	check.Equal(t, kinds(res.Events), "token.invalidated anna=false", "flagging: kinds(res.Events)")
	w.clock.Add(time.Hour)
	back := w.register(t, "anna", "t")
	check.Equal(t, back.Created, false, "valid again: back.Created")
	check.Equal(t, kinds(back.Events), "token.invalidated anna=true", "valid again: kinds(back.Events)")
	check.Equal(t, back.Token.AddedAt, w.clock.Now(), "valid again: back.Token.AddedAt")
	check.Equal(t, back.Token.Valid(), true, "valid again: back.Token.Valid()")
	got := w.tokenOf(t, "anna", "t")
	check.Equal(t, got.AddedAt, back.Token.AddedAt, "stored: got.AddedAt")
	check.Equal(t, got.Expires, push.ExpiryDay(push.Android, w.clock.Now(), push.TokenLife), "stored: got.Expires")
}

func TestRegisteringMovesAToken(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "t")
	w.clock.Add(time.Minute)
	moved, err := w.RegisterToken(t.Context(), "bert", push.Registration{Kind: push.KindToken, Value: "t", App: "shop"})
	if err != nil {
		t.Fatalf("the moved token: %v", err)
	}
	check.Equal(t, moved.Token.Platform, push.Android, "the moved token: moved.Token.Platform")
	if moved.Token.Expires == "" {
		t.Errorf("the moved token: moved.Token.Expires = %v, want another value", moved.Token.Expires)
	}
	check.Equal(t, moved.Created, true, "the moved token: moved.Created")
	check.Equal(t, kinds(moved.Events), "bert=true anna=false", "the moved token: kinds(moved.Events)")
	c := w.customer(t, "anna")
	check.Equal(t, len(c.Tokens), 0, "the former owner: number of entries in c.Tokens")
	check.Equal(t, c.HasValidToken(), false, "the former owner: c.Reachable()")
	if res := w.flag(t, "m", "anna", "t", w.clock.Now()); res.Set {
		t.Error("a token was flagged at a customer who lost it")
	}
}

// TestSurplusTokensAreDropped: invalid tokens are dropped first, then those that were
// not seen for the longest time. A dropped token leaves the index too. The token that
// is being registered stays.
func TestSurplusTokensAreDropped(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
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
		_, still := c.FindToken(push.TokenID(gone))
		check.Equal(t, still, false, "after a registration beyond the limit: still")
		check.Equal(t, len(c.Tokens), push.MaxTokens, "after a registration beyond the limit: number of entries in c.Tokens")
		if _, still := w.dump(t)["tokens/"+push.TokenID(gone)]; still {
			t.Errorf("%s is in the index still", gone)
		}
	}
}

func TestUnregister(t *testing.T) {
	t.Parallel()
	w, l := newLossyHarness(t)
	w.register(t, "anna", "t")
	w.register(t, "anna", "u")
	events, err := w.UnregisterToken(t.Context(), "anna", push.TokenID("t"))
	if err != nil {
		t.Fatalf("w.UnregisterToken: %v", err)
	}
	check.Equal(t, len(events), 0, "number of entries in events")
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
	c := w.customer(t, "anna")
	check.Equal(t, c.HasValidToken(), false, "after the last token is gone: c.Reachable()")
	check.Equal(t, len(w.dump(t)), 1, "after the last token is gone: number of documents")
	check.Equal(t, w.Count("outbox"), 2, "after the last token is gone: number of events in the outbox")
}

// TestVersionsGrowAfterAnErasure: a listener that drops events with old versions gets
// those of a customer who comes back.
func TestVersionsGrowAfterAnErasure(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
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
		t.Fatalf("events: %s", kinds(events))
	}
	last, ids := int64(0), map[string]bool{}
	for _, e := range events {
		v := e.Data.(push.AvailabilityData).Version
		if v <= last {
			t.Errorf("version: v = %v, want more than %v", v, last)
		}
		if v >= 1<<53 {
			t.Errorf("version: v = %v, want less than %v", v, 1<<53)
		}
		check.Equal(t, ids[e.ID], false, "version: ids[e.ID]")
		last, ids[e.ID] = v, true
	}
}

// TestEventsStayInTheOutboxUntilPublished: the commit that stores a change stores its
// events in the outbox, and they stay there until they are published.
func TestEventsStayInTheOutboxUntilPublished(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	done := w.register(t, "anna", "t")
	if owed, err := w.ListUnpublishedEvents(ctx, 10); err != nil {
		t.Fatalf("unpublished events before the writer's time is over: %v", err)
	} else {
		check.Equal(t, len(owed), 0, "unpublished events before the writer's time is over: number of entries in owed")
	}
	w.clock.Add(time.Minute)
	owed, err := w.ListUnpublishedEvents(ctx, 10)
	if err != nil {
		t.Fatalf("unpublished events after the writer's time: %v", err)
	}
	check.MustEqual(t, len(owed), 1, "unpublished events after the writer's time: number of entries in owed")
	want, _ := json.Marshal(done.Events[0].Data)
	got := owed[0]
	check.Equal(t, got.ID, done.Events[0].ID, "unpublished events after the writer's time: got.ID")
	check.Equal(t, got.Type, push.AvailabilityChanged, "unpublished events after the writer's time: got.Type")
	check.Equal(t, got.Subject, "customers/anna", "unpublished events after the writer's time: got.Subject")
	check.Equal(t, got.Time, done.Events[0].Time, "unpublished events after the writer's time: got.Time")
	check.Equal(t, string(got.Data.(json.RawMessage)), string(want), "unpublished events after the writer's time: string(got.Data.(json.RawMessage))")
	err = w.MarkEventsPublished(ctx, owed...)
	if err != nil {
		t.Fatalf("after the events are published: %v", err)
	}
	check.Equal(t, w.Count("outbox"), 0, "after the events are published: number of events in the outbox")
}

func TestRegisteringWithItsAnswerLost(t *testing.T) {
	t.Parallel()
	w, l := newLossyHarness(t)
	l.whenLost(t, "registering", func() error {
		_, err := w.RegisterToken(t.Context(), "anna", push.Registration{Kind: push.KindToken, Value: "t"})
		return err
	})
	l.whenLost(t, "erasing", func() error {
		_, err := w.EraseCustomer(t.Context(), "anna")
		return err
	})
	check.Equal(t, w.Count("outbox"), 3, "number of events in the outbox")
	check.Equal(t, len(w.dump(t)), 0, "number of documents")
}
