package dispatch

import (
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestRateGivesSlots: over any five minutes a mailing with a rate sends that
// rate within 5 %.
func TestRateGivesSlots(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.d.CallTimeout = time.Hour
	tokens := w.seed(t, 200)
	rate := 600
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	began := w.clock.Now()
	w.carryOut(t, push.DispatchOrder{Mailing: "m", Shard: push.Start})
	w.checkOnce(t, "m", tokens)
	took := w.clock.Now().Sub(began)
	ideal := time.Duration(tokens) * time.Minute / time.Duration(rate)
	if took > ideal || took < ideal-6*time.Second {
		t.Errorf("%d tokens at %d a minute were published within %s, want about %s less the last batch", tokens, rate, took, ideal)
	}
}

func TestScheduledAndHeldMailingsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.seed(t, 3)
	at := w.clock.Now().Add(time.Hour)
	w.mailing(t, "later", func(d *push.Draft) { d.SendAt = &at })
	w.mailing(t, "held", nil)
	if _, err := w.Pause(t.Context(), "held"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"later", "held"} {
		w.carryOut(t, push.DispatchOrder{Mailing: id, Shard: push.Start})
		if n := len(w.targets(t, id)); n != 0 {
			t.Errorf("%s: %d tokens were cut", id, n)
		}
	}
	w.clock.Add(2 * time.Hour)
	w.carryOut(t, push.DispatchOrder{Mailing: "later", Shard: push.Start})
	if len(w.targets(t, "later")) == 0 {
		t.Error("a mailing whose time has come was not cut")
	}
}
