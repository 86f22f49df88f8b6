package store_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestErasuresFindTheirBatches: of the batches of a mailing, which are ordered by their last
// keys. Two batches may share a customer, and those of a mailing with hours share their range.
func TestErasuresFindTheirBatches(t *testing.T) {
	t.Parallel()
	const customers = 40
	ids := make([]string, customers)
	for i := range ids {
		ids[i] = fmt.Sprintf("c%d", i)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(push.CustomerKey(a), push.CustomerKey(b)) })
	batch := func(first, last int, members ...int) *push.Batch {
		b := &push.Batch{First: push.CustomerKey(ids[first]), Last: push.CustomerKey(ids[last])}
		for _, i := range members {
			b.Targets = append(b.Targets, push.Target{Customer: ids[i], Token: "token of " + ids[i], Kind: push.KindToken})
		}
		return b
	}
	var ranges, zones []*push.Batch
	for i := 0; i < customers; i += 4 {
		ranges = append(ranges, batch(i, min(i+4, customers-1), i, i+1, i+2, i+3, min(i+4, customers-1))) // the last one is in the next batch, too
	}
	for i := 0; i < customers; i += 20 {
		for zone := range 5 {
			zones = append(zones, batch(i, i+19, i+zone, i+zone+5, i+zone+10, i+zone+15))
		}
	}

	for name, c := range map[string]struct {
		hours   string
		batches []*push.Batch
		erased  []int
	}{
		"one":                             {"", ranges, []int{17}},
		"one in two batches":              {"", ranges, []int{20}},
		"one in two batches of two pages": {"", ranges, []int{9, 20}},
		"the first and the last":          {"", ranges, []int{0, customers - 1}},
		"neighbours":                      {"", ranges, []int{3, 4, 5, 8, 9}},
		"one of a mailing with hours":     {"hours", zones, []int{18}},
		"several of a mailing with hours": {"hours", zones, []int{0, 18, 19, 20, 39}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t)
			w.starts(t, "m")
			w.createSettled(t, "m", c.batches)
			if _, err := w.DB().Doc("mailings/m").Update(t.Context(), []firestore.Update{{Path: "hours", Value: c.hours}}); err != nil {
				t.Fatalf("setting the hours: %v", err)
			}
			for _, i := range c.erased {
				w.register(t, ids[i], "token of "+ids[i])
				if _, err := w.EraseCustomer(t.Context(), ids[i]); err != nil {
					t.Fatalf("erasing %s: %v", ids[i], err)
				}
			}

			w.clock.Add(3 * time.Minute)
			w.expire(t)

			check.Equal(t, w.Count("erasures"), 0, "number of open erasures")
			snaps, err := w.DB().Collection("mailings/m/batches").Documents(t.Context()).GetAll()
			if err != nil {
				t.Fatal(err)
			}
			for i, id := range ids {
				found := 0
				for _, snap := range snaps {
					if b, _ := snap.Data()["recipients"].([]byte); bytes.Contains(b, hashBytes(t, push.CustomerKey(id))[:8]) {
						found++
					}
				}
				if erased := slices.Contains(c.erased, i); erased != (found == 0) {
					t.Errorf("the customer at %d is a recipient in %d batches (erased: %t)", i, found, erased)
				}
			}
		})
	}
}

// createSettled creates batches of the first shard of a mailing, and settles them.
func (w *harness) createSettled(t *testing.T, mailing string, batches []*push.Batch) {
	t.Helper()
	sh, err := w.ReadShard(t.Context(), mailing, 0)
	if err != nil {
		t.Fatal(err)
	}
	var created []*push.Batch
	for i, b := range batches {
		created = append(created, &push.Batch{
			BatchRef: push.BatchRef{Mailing: mailing, Batch: fmt.Sprintf("00-%06d", i)}, CreatedAt: w.clock.Now(),
			First: b.First, Last: b.Last, Targets: b.Targets, Results: make([]push.Result, len(b.Targets)),
		})
		sh.Batches, sh.Targeted = sh.Batches+1, sh.Targeted+int64(len(b.Targets))
	}
	if err := w.CreateBatches(t.Context(), sh, created); err != nil {
		t.Fatal(err)
	}
	for _, b := range created {
		b := w.batchOf(t, b.BatchRef)
		for i := range b.Results {
			b.Results[i] = push.ResultAccepted
		}
		b.Settled = true
		if err := w.SaveBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}
