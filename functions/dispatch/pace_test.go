package dispatch

import (
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestRateGivesSlots: over any five minutes a mailing with a rate sends that
// rate within 5 %. The lowest rate there is has the fewest batches to even it
// out.
func TestRateGivesSlots(t *testing.T) {
	t.Parallel()
	const window = 5 * time.Minute
	w := newWorld(t, nil)
	rate := 600
	tokens := w.seed(t, 2400)
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	began := w.clock.Now()
	w.carryOut(t, push.DispatchOrder{Mailing: "m", Shard: push.Start})
	w.checkOnce(t, "m", tokens)
	took := w.clock.Now().Sub(began)
	if ideal := time.Duration(tokens) * time.Minute / time.Duration(rate); took > ideal || took < ideal-6*time.Second {
		t.Errorf("%d tokens at %d a minute were published within %s, want about %s less the last batch", tokens, rate, took, ideal)
	}
	size := make([]int, len(w.refs))
	for i, ref := range w.refs {
		b, err := w.Batch(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		size[i] = len(b.Targets)
	}
	windows := 0
	for i, from := range w.at {
		if from.Add(window).After(began.Add(took)) {
			break
		}
		windows++
		n := 0
		for k := i; k < len(w.at) && w.at[k].Before(from.Add(window)); k++ {
			n += size[k]
		}
		if want := rate * int(window/time.Minute); n < want*95/100 || n > want*105/100 {
			t.Errorf("%d tokens in the five minutes from %s, want %d", n, from.Sub(began), want)
		}
	}
	if windows < 20 {
		t.Errorf("only %d windows of five minutes were looked at in %s", windows, took)
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
