package store_test

import (
	"slices"
	"testing"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestErasedBeforeItWasTold: whoever flagged a customer's last token died
// before it could tell, and the customer is erased, and perhaps known again,
// before the batch is taken up once more. Erasing
// changes nothing of who can be reached: it tells only of the mark that goes
// with the token, and the flag has to tell the rest still.
func TestErasedBeforeItWasTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.register(t, "anna", "t").Events[0].Data.(push.AvailabilityData)
	w.clock.Add(time.Minute)
	flag := store.Flag{Mailing: "m", Customer: "anna", TokenID: push.TokenID("t"), Code: push.CodeUnregistered, At: w.clock.Now(), CutAt: w.clock.Now()}
	flagged := func() store.FlagResult {
		res, err := w.FlagToken(t.Context(), flag)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	flagged() // its events are lost
	w.clock.Add(time.Second)
	if events, err := w.EraseCustomer(t.Context(), "anna"); err != nil || kinds(events) != "token.invalidated customer.erased" {
		t.Fatalf("%v %v", events, err)
	}
	once, again := flagged(), flagged()
	if once.Set || kinds(once.Events) != "anna=false" || again.Events[0].ID != once.Events[0].ID {
		t.Fatalf("after the erasure: %+v, and again %+v", once, again)
	}
	told := once.Events[0].Data.(push.AvailabilityData)
	w.clock.Add(time.Second)
	if _, err := w.PatchCustomer(t.Context(), "anna", push.CustomerPatch{}); err != nil {
		t.Fatal(err)
	}
	if f := flagged(); f.Set || len(f.Events) != 1 || f.Events[0].ID != once.Events[0].ID {
		t.Errorf("known again, without a token: %+v", f)
	}
	w.clock.Add(time.Second)
	back := w.register(t, "anna", "u").Events[0].Data.(push.AvailabilityData)
	if told.Version <= first.Version || back.Version <= told.Version {
		t.Errorf("versions %d, %d, %d do not grow", first.Version, told.Version, back.Version)
	}
	if late := flagged(); len(late.Events) != 0 {
		t.Errorf("anna can be reached, and the flag says %s", kinds(late.Events))
	}
}

// TestAMarkThatGoesIsTold: whoever set it may have died before it could tell,
// and finds it gone when the batch is taken up once more.
func TestAMarkThatGoesIsTold(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world) []push.Event{
		"registered again": func(w *world) []push.Event { return w.register(t, "anna", "t").Events },
		"moved":            func(w *world) []push.Event { return w.register(t, "bert", "t").Events },
		"unregistered": func(w *world) []push.Event {
			events, err := w.UnregisterToken(t.Context(), "anna", push.TokenID("t"))
			if err != nil {
				t.Fatal(err)
			}
			return events
		},
		"erased": func(w *world) []push.Event {
			events, err := w.EraseCustomer(t.Context(), "anna")
			if err != nil {
				t.Fatal(err)
			}
			return events
		},
	} {
		for after, told := range map[time.Duration]bool{time.Hour: true, 8 * 24 * time.Hour: false} {
			w := newWorld(t)
			w.register(t, "anna", "t")
			w.clock.Add(time.Minute)
			lost := w.flag(t, "m", "anna", "t", w.clock.Now()).Events[0]
			w.clock.Add(after)
			var again []push.Event
			for _, e := range end(w) {
				if e.Type == push.TokenInvalidated {
					again = append(again, e)
				}
			}
			if told != (len(again) == 1) || told && (again[0].ID != lost.ID || again[0].Subject != "customers/anna") {
				t.Errorf("%s after %s: %+v, lost was %+v", name, after, again, lost)
			}
			owed, err := w.ListUnpublishedEvents(t.Context(), 10)
			if err != nil || told != slices.ContainsFunc(owed, func(e push.Event) bool { return e.ID == lost.ID }) {
				t.Errorf("%s after %s: the outbox has %v, %v", name, after, owed, err)
			}
		}
	}
}
