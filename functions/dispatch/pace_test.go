package dispatch

import (
	"context"
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
	w.carryOut(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
	w.checkOnce(t, "m", tokens)
	took := w.clock.Now().Sub(began)
	if ideal := time.Duration(tokens) * time.Minute / time.Duration(rate); took > ideal || took < ideal-6*time.Second {
		t.Errorf("%d tokens at %d a minute were published within %s, want about %s less the last batch", tokens, rate, took, ideal)
	}
	size := make([]int, len(w.refs))
	for i, ref := range w.refs {
		b, err := w.ReadBatch(t.Context(), ref)
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
	dataStore
	w *world
}

func (p prompt) CountOpenTargets(ctx context.Context, mailing string) (n int, err error) {
	open, err := p.w.ListOpenBatches(ctx, mailing)
	for _, o := range open {
		if o.NotBefore.After(p.w.clock.Now()) {
			b, err := p.w.ReadBatch(ctx, o.BatchRef)
			if err != nil {
				return 0, err
			}
			n += len(b.Targets)
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
		w.cut(t, "m")
		w.clock.Add(time.Minute)
	}
	if n := len(w.targets(t, "m")); n < 3*rate/2 || n > 3*rate {
		t.Errorf("%d tokens were cut in six minutes without delivery, want two minutes' %d, and a page more at most", n, 2*rate)
	}
	w.d.Store = prompt{w.d.Store, w}
	w.carryOut(t, push.DispatchMessage{Mailing: "m"})
	w.checkOnce(t, "m", tokens)
}

// TestSlotsThatAreNotDueAreTicks: dispatch publishes the first batch alone, and
// asks tick for the others.
func TestSlotsThatAreNotDueAreTicks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.seedEach(t, 50, push.MaxTokens)
	rate := 600
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	w.start(t, "m")
	began := w.clock.Now()
	w.cut(t, "m")
	if took := w.clock.Now().Sub(began); took != 0 {
		t.Errorf("the call slept for %s", took)
	}
	if len(w.refs) != 1 {
		t.Errorf("%d batches were published, want the first alone", len(w.refs))
	}
	if len(w.wakes) != 1 {
		t.Errorf("tick was asked %d times, want once", len(w.wakes))
	}
	open, err := w.ListOpenBatches(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if len(open) < 10 {
		t.Errorf("%d batches were cut", len(open))
	}
	for _, b := range open {
		due := !b.NotBefore.After(began)
		if due == b.PublishedAt.IsZero() {
			t.Errorf("batch %s of the slot %s is stored as published at %s", b.Batch, b.NotBefore.Sub(began), b.PublishedAt)
		}
	}
}

// TestAHighRateHasSeveralShards, each an equal part of the rate, and the sum is
// exact all the same.
func TestAHighRateHasSeveralShards(t *testing.T) {
	t.Parallel()
	rate := 3 * shardRate
	m := &push.Mailing{ID: "m", Draft: push.Draft{Audience: push.Audience{Everyone: true}, RatePerMinute: &rate}}
	list := newShards(m, 10_000_000, time.Now())
	if len(list) != 3 {
		t.Fatalf("%d shards for %d a minute, want 3", len(list), rate)
	}
	m.Shards = len(list)
	w := newWorld(t, nil)
	began, span := w.clock.Now(), time.Minute
	sent, first := 0, map[time.Time]bool{}
	for k := range list {
		c := &shardRun{dispatcher: w.d, mailing: m, shard: &list[k]}
		for n := 0; ; n++ {
			b := c.newBatch(make([]push.Target, c.batchSize()))
			if n == 0 {
				first[b.NotBefore] = true
			}
			if !b.NotBefore.Before(began.Add(span)) {
				break
			}
			sent += len(b.Targets)
		}
	}
	if sent < rate*95/100 || sent > rate*105/100 {
		t.Errorf("the shards have slots for %d in a minute, want %d", sent, rate)
	}
	if len(first) != 3 {
		t.Errorf("the shards begin at %d different times, want 3", len(first))
	}
}

func TestScheduledAndHeldMailingsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.seed(t, 3)
	at := w.clock.Now().Add(time.Hour)
	w.mailing(t, "later", func(d *push.Draft) { d.SendAt = &at })
	w.mailing(t, "held", nil)
	if _, err := w.PauseMailing(t.Context(), "held"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"later", "held"} {
		w.carryOut(t, push.DispatchMessage{Mailing: id, Shard: push.DispatchStart})
		if n := len(w.targets(t, id)); n != 0 {
			t.Errorf("%s: %d tokens were cut", id, n)
		}
	}
	if len(w.wakes) != 1 || w.wakes[0] != "later" {
		t.Errorf("tick was asked to look at %v, want the one that is scheduled", w.wakes)
	}
	w.clock.Add(2 * time.Hour)
	w.carryOut(t, push.DispatchMessage{Mailing: "later", Shard: push.DispatchStart})
	if len(w.targets(t, "later")) == 0 {
		t.Error("a mailing whose time has come was not cut")
	}
}
