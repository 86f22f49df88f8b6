package dispatch

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// large is a mailing in shards of its own, which a test chooses.
func (w *harness) large(t *testing.T, id string, shards int) {
	t.Helper()
	w.mailing(t, id, nil)
	var list []push.Shard
	for k := range shards {
		list = append(list, push.Shard{Mailing: id, Number: k, From: shardBound(k, shards), After: shardBound(k, shards), Upto: shardBound(k+1, shards)})
	}
	if _, err := w.StartMailing(t.Context(), id, push.AllDevices, nil, list); err != nil {
		t.Fatal(err)
	}
}

// workOnAllShards handles one message for each shard, and returns how many targets of the
// mailing are open after that.
func (w *harness) workOnAllShards(t *testing.T, id string, shards int) int {
	t.Helper()
	for k := range shards {
		if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: id, Shard: k}); err != nil {
			t.Fatal(err)
		}
	}
	n, err := w.CountOpenTargets(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestUnsentTargetsOfAllMailingsAreLimited: while nothing is sent, the first mailing has
// targets for two minutes of the quota. Each later mailing has a quarter of its part in
// addition. One that is paused does not keep the others waiting.
func TestUnsentTargetsOfAllMailingsAreLimited(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.d.QuotaPerMinute = 1000 // 2,000 may be ahead
	const shards, page = 2, store.DocumentPage
	w.people(t, 8*store.DocumentPage, func(int) int { return 1 })
	ids := []string{"a", "b", "c"}
	for _, id := range ids {
		w.large(t, id, shards)
	}
	before := 0
	for i := range 3 {
		w.clock.Add(time.Minute) // what dispatch has read of other mailings is cached for a second
		before += w.workOnAllShards(t, ids[i], shards)
	}
	if most := 2000 + 3*page; before > most {
		t.Errorf("%d tokens are ahead of three mailings, want two minutes' 2,000 and a page each", before)
	}
	for round := range 3 {
		w.clock.Add(time.Minute)
		now := 0
		for _, id := range ids {
			now += w.workOnAllShards(t, id, shards)
		}
		if now > before+page {
			t.Errorf("round %d: nothing was sent, and %d tokens are ahead, after %d", round, now, before)
		}
		before = now
	}

	ofC, err := w.CountOpenTargets(t.Context(), "c")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		if _, err := w.PauseMailing(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	w.settleAll(t, "c")
	w.clock.Add(time.Minute)
	if after := w.workOnAllShards(t, "c", shards); after < 2000 {
		t.Errorf("beside two paused mailings %d tokens are ahead, after %d before; want the whole 2,000", after, ofC)
	}
}

// TestASecondMailingGetsAPartOfTheLimit: a mailing that was alone got targets for nearly two
// minutes. A second mailing still gets a part of its share.
func TestASecondMailingGetsAPartOfTheLimit(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.d.QuotaPerMinute = 1000 // 2,000 may be ahead
	w.people(t, 1900, func(int) int { return 1 })
	w.large(t, "a", 2)
	if n := w.workOnAllShards(t, "a", 2); n != 1900 {
		t.Fatalf("a mailing that is alone has %d targets, want all 1,900", n)
	}
	w.large(t, "b", 2)
	w.clock.Add(time.Minute)
	n := w.workOnAllShards(t, "b", 2)
	if n == 0 {
		t.Errorf("number of targets beside 1,900 that are not sent is %v, want some", n)
	}
	if n > store.DocumentPage {
		t.Errorf("number of targets beside 1,900 that are not sent is %v, want at most %v", n, store.DocumentPage)
	}
}

// TestLanes: a mailing of one page and one with a low rate do not wait behind
// large ones.
func TestLanes(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.people(t, store.DocumentPage+10, func(int) int { return 1 })
	low, high := 600, 600_000
	for name, c := range map[string]struct {
		change func(*push.Draft)
		want   push.Lane
	}{
		"one customer":     {func(d *push.Draft) { d.Audience = push.Audience{Customers: []string{"c1"}} }, push.LaneSmall},
		"more than a page": {nil, push.LaneLarge},
		"low rate":         {func(d *push.Draft) { d.RatePerMinute = &low }, push.LaneSmall},
		"high rate":        {func(d *push.Draft) { d.RatePerMinute = &high }, push.LaneLarge},
	} {
		t.Run(name, func(t *testing.T) {
			id := "m" + fmt.Sprintf("%x", name)
			w.mailing(t, id, c.change)
			w.start(t, id)
			w.refs, w.lanes = nil, nil
			w.workOnFirstShard(t, id)
			if len(w.lanes) == 0 {
				t.Fatal("nothing was published")
			}
			for _, lane := range w.lanes {
				if lane != c.want {
					t.Errorf("published in the lane %q, want %q", lane, c.want)
				}
			}
			open, err := w.ListOpenBatches(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range open {
				if b.Lane != c.want {
					t.Errorf("batch %s is stored in the lane %q, want %q", b.Batch, b.Lane, c.want)
				}
			}
		})
	}
}

// TestLargeAttributesMakeSmallPages: a page stays small in memory, and grows where
// attributes turn out to be small.
func TestLargeAttributesMakeSmallPages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		bytes, least, most int
	}{
		"large": {30_000, 10, 60},
		"small": {10, 200, store.DocumentPage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t, nil)
			var targetsByPage []int
			w.failing.Before(func(call *storetest.Call) error {
				n := 0
				for _, b := range storetest.Arg[[]*push.Batch](call, 1) {
					n += len(b.Targets)
				}
				targetsByPage = append(targetsByPage, n)
				return nil
			}, storetest.CreateBatches)
			value := string(slices.Repeat([]byte("x"), c.bytes))
			for from := 0; from < 400; from += 50 {
				var lines []store.ImportLine
				for i := from; i < from+50; i++ {
					lines = append(lines, store.ImportLine{Customer: fmt.Sprint("c", i), Patch: push.CustomerPatch{Attributes: map[string]any{"a": value}},
						Tokens: []push.Registration{{Kind: push.KindToken, Value: fmt.Sprint("token-", i), Platform: push.Android}}})
				}
				if _, _, err := w.ImportCustomers(t.Context(), lines); err != nil {
					t.Fatal(err)
				}
			}
			w.mailing(t, "m", func(d *push.Draft) {
				d.Message = json.RawMessage(`{"notification":{"title":"{{ customer.a | truncate: 5 }}"}}`)
			})
			w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
			w.checkOnce(t, "m", 400)
			largest := slices.Max(targetsByPage)
			check.Between(t, largest, c.least, c.most, "number of targets of the largest page")
		})
	}
}
