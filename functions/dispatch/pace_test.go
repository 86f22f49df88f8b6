package dispatch

import (
	"context"
	"slices"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// TestRateGivesSlots: over any five minutes a mailing with a rate sends that
// rate within 5 %. The lowest rate there is has the fewest batches to even it
// out.
func TestRateGivesSlots(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]func(*world) int{
		"one to three tokens a customer": func(w *world) int { return w.seed(t, 2400) },
		"eight tokens a customer":        func(w *world) int { return w.seedEach(t, 525, 8) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			rateIsKept(t, w, seed(w))
		})
	}
}

func rateIsKept(t *testing.T, w *world, tokens int) {
	t.Helper()
	const window = 5 * time.Minute
	rate := 600
	w.d.Store = prompt{w.d.Store, w}
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

// prompt is a store as if deliver had sent every batch whose slot has come.
type prompt struct {
	ledger
	w *world
}

func (p prompt) CountOpen(ctx context.Context, mailing string) (n int, err error) {
	open, err := p.w.OpenBatches(ctx, mailing)
	for _, b := range open {
		if b.NotBefore.After(p.w.clock.Now()) {
			n++
		}
	}
	return n, err
}

// TestARateStaysTwoMinutesAhead: while nothing is delivered, no more is cut than
// may be sent at once afterwards. Then it goes on from that moment.
func TestARateStaysTwoMinutesAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	rate := 600
	tokens := w.seed(t, 2400)
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	w.start(t, "m")
	for range 6 {
		if len(w.cut(t, "m")) != 1 {
			t.Fatal("the shard was not handed over")
		}
	}
	page := rate / 12
	if n := len(w.targets(t, "m")); n < 3*rate/2 || n > 2*rate+2*page {
		t.Errorf("%d tokens were cut in six minutes without delivery, want two minutes' %d", n, 2*rate)
	}
	w.d.Store = prompt{w.d.Store, w}
	w.carryOut(t, push.DispatchOrder{Mailing: "m"})
	w.checkOnce(t, "m", tokens)
}

// TestSlotsBeyondTheCallAreTicks: customers with many tokens make a page of more
// slots than a call has time for.
func TestSlotsBeyondTheCallAreTicks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.seedEach(t, 50, push.MaxTokens)
	rate := 600
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	w.start(t, "m")
	began := w.clock.Now()
	if orders := w.cut(t, "m"); len(orders) != 1 {
		t.Errorf("then %v was ordered", orders)
	}
	if took := w.clock.Now().Sub(began); took > w.d.CallTimeout {
		t.Errorf("the call took %s of its %s", took, w.d.CallTimeout)
	}
	open, err := w.OpenBatches(t.Context(), "m")
	if err != nil || len(open) <= len(w.refs) || len(w.refs) < 10 {
		t.Fatalf("%d of %d batches were published, %v", len(w.refs), len(open), err)
	}
	for _, b := range open {
		if b.NotBefore.Sub(began) >= w.d.CallTimeout && slices.Contains(w.refs, b.Ref) {
			t.Errorf("batch %s was published before its slot, %s", b.Batch, b.NotBefore.Sub(began))
		}
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
