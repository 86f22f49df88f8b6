package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestFlagOfAnErasedCustomerHasEvents: the call that flagged a customer's last token
// crashed before it published the event. Then the customer was erased, and perhaps came
// back, before the batch is delivered again. The erasure makes the event of the token;
// the repeated flag has to make that of the availability.
func TestFlagOfAnErasedCustomerHasEvents(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	first := w.register(t, "anna", "t").Events[0].Data.(push.AvailabilityData)
	w.clock.Add(time.Minute)
	flag := store.Flag{Mailing: "m", Customer: "anna", TokenID: push.TokenID("t"), Code: push.CodeUnregistered, At: w.clock.Now(), BatchCreatedAt: w.clock.Now()}
	flagged := func() store.FlagResult {
		res, err := w.FlagToken(t.Context(), flag)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	flagged() // its events are lost
	w.clock.Add(time.Second)
	events, err := w.EraseCustomer(t.Context(), "anna")
	if err != nil {
		t.Fatalf("w.EraseCustomer: %v", err)
	}
	check.MustEqual(t, kinds(events), "token.invalidated customer.erased", "kinds(events)")
	once, again := flagged(), flagged()
	check.MustEqual(t, once.Set, false, "after the erasure: once.Set")
	check.MustEqual(t, kinds(once.Events), "anna=false", "after the erasure: kinds(once.Events)")
	check.MustEqual(t, again.Events[0].ID, once.Events[0].ID, "after the erasure: again.Events[0].ID")
	published := once.Events[0].Data.(push.AvailabilityData)
	w.clock.Add(time.Second)
	if _, err := w.PatchCustomer(t.Context(), "anna", push.CustomerPatch{}); err != nil {
		t.Fatal(err)
	}
	f := flagged()
	check.Equal(t, f.Set, false, "flag after the customer came back: f.Set")
	if len(f.Events) != 1 {
		t.Fatalf("flag after the customer came back: %d entries, want %v: %+v", len(f.Events), 1, f.Events)
	}
	check.Equal(t, f.Events[0].ID, once.Events[0].ID, "flag after the customer came back: f.Events[0].ID")
	w.clock.Add(time.Second)
	back := w.register(t, "anna", "u").Events[0].Data.(push.AvailabilityData)
	if published.Version <= first.Version {
		t.Errorf("versions: published.Version = %v, want more than %v", published.Version, first.Version)
	}
	if back.Version <= published.Version {
		t.Errorf("versions: back.Version = %v, want more than %v", back.Version, published.Version)
	}
	if late := flagged(); len(late.Events) != 0 {
		t.Errorf("anna can be reached, and the flag says %s", kinds(late.Events))
	}
}

// TestRemovedFlagHasAnEvent: the call that set a flag may have crashed before it
// published the event. A call that removes the flag makes the event again.
func TestRemovedFlagHasAnEvent(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *harness) []push.Event{
		"registered again": func(t *testing.T, w *harness) []push.Event { return w.register(t, "anna", "t").Events },
		"moved":            func(t *testing.T, w *harness) []push.Event { return w.register(t, "bert", "t").Events },
		"unregistered": func(t *testing.T, w *harness) []push.Event {
			events, err := w.UnregisterToken(t.Context(), "anna", push.TokenID("t"))
			if err != nil {
				t.Fatal(err)
			}
			return events
		},
		"erased": func(t *testing.T, w *harness) []push.Event {
			events, err := w.EraseCustomer(t.Context(), "anna")
			if err != nil {
				t.Fatal(err)
			}
			return events
		},
	} {
		for after, wantEvent := range map[time.Duration]bool{time.Hour: true, 8 * 24 * time.Hour: false} {
			t.Run(fmt.Sprintf("%s after %s", name, after), func(t *testing.T) {
				t.Parallel()
				w := newHarness(t)
				w.register(t, "anna", "t")
				w.clock.Add(time.Minute)
				lost := w.flag(t, "m", "anna", "t", w.clock.Now()).Events[0]
				w.clock.Add(after)

				var again []string
				for _, e := range end(t, w) {
					if e.Type == push.TokenInvalidated {
						again = append(again, e.ID+" "+e.Subject)
					}
				}
				var want []string
				if wantEvent {
					want = []string{lost.ID + " customers/anna"}
				}
				check.Equal(t, again, want, "ids and subjects of the events that were made again")

				unpublished, err := w.ListUnpublishedEvents(t.Context(), 10)
				if err != nil {
					t.Fatal(err)
				}
				stored := slices.ContainsFunc(unpublished, func(e push.Event) bool { return e.ID == lost.ID })
				check.Equal(t, stored, wantEvent, "whether the event is in the outbox")
			})
		}
	}
}
