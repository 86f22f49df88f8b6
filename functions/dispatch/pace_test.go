package dispatch

import (
	"context"
	"testing"
	"time"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestRateGivesSlots: over any five minutes a mailing with a rate sends that
// rate within 5 %. The lowest rate there is has the fewest batches to even it
// out.
func TestRateGivesSlots(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]func(*harness) int{
		"one to three tokens a customer": func(w *harness) int { return w.seed(t, 2400) },
		"eight tokens a customer":        func(w *harness) int { return w.seedEach(t, 525, 8) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newHarness(t, nil)
			rateIsKept(t, w, seed(w))
		})
	}
}

func rateIsKept(t *testing.T, w *harness, tokens int) {
	t.Helper()
	const window = 5 * time.Minute
	rate := 600
	w.countFutureSlots(t.Context())
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	began := w.clock.Now()
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
	w.checkOnce(t, "m", tokens)
	took := w.clock.Now().Sub(began)
	ideal := time.Duration(tokens) * time.Minute / time.Duration(rate)
	check.Between(t, took, ideal-6*time.Second, ideal, "the time in which %d tokens at %d a minute were published", tokens, rate)
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
		want := rate * int(window/time.Minute)
		check.Between(t, n, want*95/100, want*105/100, "number of tokens in the five minutes from %s", from.Sub(began))
	}
	if windows < 20 {
		t.Errorf("only %d windows of five minutes were looked at in %s", windows, took)
	}
}

// countFutureSlots lets the store count open tokens as if deliver had sent every batch
// whose slot has come.
func (w *harness) countFutureSlots(ctx context.Context) {
	w.failing.Before(func(c *storetest.Call) error {
		open, err := w.ListOpenBatches(ctx, storetest.Arg[string](c, 0))
		if err != nil {
			return err
		}

		n := 0
		for _, o := range open {
			if o.NotBefore.After(w.clock.Now()) {
				b, err := w.ReadBatch(ctx, o.BatchRef)
				if err != nil {
					return err
				}
				n += len(b.Targets)
			}
		}
		c.Answer(n)
		return nil
	}, storetest.CountOpenTargets)
}

// TestARateStaysTwoMinutesAhead: while nothing is delivered, no more targets are created than
// may be sent at once afterwards. Then it goes on from that moment.
func TestARateStaysTwoMinutesAhead(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	rate := 600
	tokens := w.seed(t, 2400)
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	w.start(t, "m")
	for range 6 {
		w.workOnFirstShard(t, "m")
		w.clock.Add(time.Minute)
	}
	n := len(w.targets(t, "m"))
	check.Between(t, n, 3*rate/2, 3*rate, "number of targets created in six minutes without delivery")
	w.countFutureSlots(t.Context())
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m"})
	w.checkOnce(t, "m", tokens)
}

// TestSlotsThatAreNotDueAreTicks: dispatch publishes the first batch alone, and
// asks tick for the others.
func TestSlotsThatAreNotDueAreTicks(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seedEach(t, 50, push.MaxTokens)
	rate := 600
	w.mailing(t, "m", func(d *push.Draft) { d.RatePerMinute = &rate })
	w.start(t, "m")
	began := w.clock.Now()
	w.workOnFirstShard(t, "m")
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
		t.Errorf("%d batches were created", len(open))
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
	w := newHarness(t, nil)
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
	check.Between(t, sent, rate*95/100, rate*105/100, "number of slots of all shards in a minute")
	if len(first) != 3 {
		t.Errorf("the shards begin at %d different times, want 3", len(first))
	}
}

func TestScheduledAndPausedMailingsAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.seed(t, 3)
	at := w.clock.Now().Add(time.Hour)
	w.mailing(t, "later", func(d *push.Draft) { d.SendAt = &at })
	w.mailing(t, "paused", nil)
	if _, err := w.PauseMailing(t.Context(), "paused"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"later", "paused"} {
		w.handleUntilDone(t, push.DispatchMessage{Mailing: id, Shard: push.DispatchStart})
		if n := len(w.targets(t, id)); n != 0 {
			t.Errorf("%s: %d targets were created, want none", id, n)
		}
	}
	if len(w.wakes) != 1 {
		t.Fatalf("number of wakes is %v, want 1: %+v", len(w.wakes), w.wakes)
	}
	check.Equal(t, w.wakes[0], "later", "wakes[0]")
	w.clock.Add(2 * time.Hour)
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "later", Shard: push.DispatchStart})
	if len(w.targets(t, "later")) == 0 {
		t.Error("no batch of a mailing whose time has come was created")
	}
}
