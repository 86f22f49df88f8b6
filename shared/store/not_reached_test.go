package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// importSegmented imports customers c0 to c<n-1> with one token each; every fifth has none.
// Customers whose number is divisible by k are in the segment dk, for k = 2, 3 and 5.
func importSegmented(t *testing.T, s *store.Store, n int) {
	t.Helper()
	lines := make([]store.ImportLine, n)
	for i := range lines {
		segments := []string{"all"}
		for _, k := range []int{2, 3, 5} {
			if i%k == 0 {
				segments = append(segments, fmt.Sprint("d", k))
			}
		}
		lines[i] = store.ImportLine{Customer: fmt.Sprint("c", i), Patch: push.CustomerPatch{Segments: &segments}}
		if i%5 != 1 {
			lines[i].Tokens = []push.Registration{{Kind: push.KindToken, Value: fmt.Sprintf("token-of-c%d", i), Platform: push.Android}}
		}
	}
	refused, _, err := s.ImportCustomers(t.Context(), lines)
	if err := errors.Join(append(refused, err)...); err != nil {
		t.Fatal(err)
	}
}

// Whenever a mailing is cancelled, what it matched and what it did not reach are its
// whole audience, for every kind of audience and for several calls at work.
func TestMatchedAndNotReachedAreTheAudience(t *testing.T) {
	t.Parallel()
	const customers = 240
	w := newHarness(t)
	importSegmented(t, w.Store, customers)

	ids, tokens := []string{"unknown"}, []string{"an-unknown-token"}
	for i := range customers / 2 {
		ids, tokens = append(ids, fmt.Sprint("c", i)), append(tokens, fmt.Sprintf("token-of-c%d", i))
	}
	listed := int64(len(ids))
	ids = append(ids, "c0", "c1") // twice
	for name, c := range map[string]struct {
		audience push.Audience
		size     int64
	}{
		"everyone":     {push.Audience{Everyone: true}, customers},
		"one segment":  {push.Audience{Segments: &push.Segments{All: []string{"d3"}}}, customers / 3},
		"any of two":   {push.Audience{Segments: &push.Segments{Any: []string{"d2", "d3"}}}, customers * 2 / 3},
		"all of two":   {push.Audience{Segments: &push.Segments{All: []string{"d2", "d3"}}}, customers / 6},
		"all and none": {push.Audience{Segments: &push.Segments{All: []string{"d2"}, None: []string{"d3"}}}, customers / 3},
		"any and all":  {push.Audience{Segments: &push.Segments{Any: []string{"d2", "d3"}, All: []string{"d5"}}}, customers * 2 / 15},
		"customers":    {push.Audience{Customers: ids}, listed},
		"tokens":       {push.Audience{Tokens: tokens}, listed},
	} {
		for round := range 6 {
			t.Run(fmt.Sprint(name, " ", round), func(t *testing.T) {
				t.Parallel()
				r := rand.New(rand.NewPCG(uint64(round), uint64(len(name))))
				id := fmt.Sprintf("m-%s-%d", strings.ReplaceAll(name, " ", ""), round)
				w.cancelledAtRandom(t, id, c.audience, r)

				m, err := w.ReadMailing(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				if m.Totals == nil {
					t.Fatal("the mailing has no totals")
				}
				got := m.Totals.Customers
				if got.Matched+got.NotReached != c.size {
					t.Errorf("matched %d + not reached %d, want %d together", got.Matched, got.NotReached, c.size)
				}
			})
		}
	}
}

// cancelledAtRandom lets three calls of dispatch work on a mailing, and cancels it
// before it starts, after a random number of pages, or not at all.
func (w *harness) cancelledAtRandom(t *testing.T, id string, a push.Audience, r *rand.Rand) {
	t.Helper()
	ctx := t.Context()
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: a}
	if _, _, err := w.CreateMailing(ctx, push.NewMailing(id, "digest", d, w.clock.Now())); err != nil {
		t.Fatal(err)
	}
	pages, cancelAt, size := make(chan struct{}, 1000), r.IntN(12), 1+r.IntN(30)
	var g errgroup.Group
	if cancelAt > 0 {
		bounds := []string{"", "b0", "m0", ""}
		shards := make([]push.Shard, 3)
		for k := range shards {
			shards[k] = push.Shard{Mailing: id, Number: k, From: bounds[k], After: bounds[k], Upto: bounds[k+1]}
		}
		m, err := w.StartMailing(ctx, id, push.AllDevices, nil, shards)
		if err != nil {
			t.Fatal(err)
		}
		for k := range shards {
			g.Go(func() error { return w.workOnPages(ctx, m, k, size, pages) })
		}
	}

	for range cancelAt - 1 {
		select {
		case <-pages:
		case <-time.After(200 * time.Millisecond): // every shard is done
		}
	}
	if _, err := w.EndMailing(ctx, id, push.Cancelled, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := w.FreezeMailing(ctx, id); err != nil && !store.IsRevisionConflict(err) {
		t.Fatal(err)
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.FreezeMailing(ctx, id); err != nil {
		t.Fatal(err)
	}
}

// workOnPages works on a shard until it is done or another call has ended it.
func (w *harness) workOnPages(ctx context.Context, m *push.Mailing, k, size int, pages chan<- struct{}) error {
	sh, err := w.ReadShard(ctx, m.ID, k)
	if err != nil {
		return err
	}
	if m, err = w.ReadMailing(ctx, m.ID); err != nil {
		return err
	}
	audience, err := w.OpenAudience(ctx, m)
	if err != nil {
		return err
	}

	for !sh.Done {
		p, err := audience.ReadPage(ctx, sh.After, sh.Upto, size)
		if err != nil {
			return err
		}
		sh.Targeted += int64(len(p.Members))
		sh.Excluded.NoValidToken += p.Excluded.NoValidToken
		sh.After, sh.Done = p.Last, p.Last == ""
		if err := w.CreateBatches(ctx, sh, nil); err != nil {
			if store.IsRevisionConflict(err) {
				return nil
			}
			return err
		}
		pages <- struct{}{}
	}
	return nil
}

// TestEstimateIsKnownAtTheStart: the number of customers is estimated before the first
// of them gets the mailing.
func TestEstimateIsKnownAtTheStart(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	importSegmented(t, w.Store, 50)
	for name, c := range map[string]struct {
		audience push.Audience
		want     int
	}{
		"everyone":  {push.Audience{Everyone: true}, 50},
		"segment":   {push.Audience{Segments: &push.Segments{All: []string{"d5"}}}, 10},
		"customers": {push.Audience{Customers: []string{"c1", "c2", "c1"}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			m := w.mailing(t, "m-"+name, c.audience)
			audience, err := w.OpenAudience(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			n, err := audience.EstimateSize(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n != c.want {
				t.Errorf("estimated %d customers, want %d", n, c.want)
			}

			shards := []push.Shard{{Mailing: m.ID, Estimated: int64(n)}}
			if m, err = w.StartMailing(t.Context(), m.ID, push.AllDevices, nil, shards); err != nil {
				t.Fatal(err)
			}
			totals, err := w.ReadTotals(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			if got := totals.Customers.Estimated; got != int64(c.want) {
				t.Errorf("the totals have %d estimated customers, want %d", got, c.want)
			}
		})
	}
}

// TestRangesAreCountedInParts: a large audience is counted for each first digit of the
// keys alone, with any bounds.
func TestRangesAreCountedInParts(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	importSegmented(t, w.Store, 200)
	var keys []string
	for i := range 200 {
		keys = append(keys, push.CustomerKey(fmt.Sprint("c", i)))
	}
	slices.Sort(keys)
	for _, bounds := range [][2]string{{"", ""}, {"", keys[20]}, {keys[20], ""}, {keys[20], keys[21]}, {keys[7], keys[150]}, {"5", "6"}, {"v", ""}, {"", "0"}, {keys[199], ""}} {
		want := 0
		for _, k := range keys {
			if k > bounds[0] && (bounds[1] == "" || k <= bounds[1]) {
				want++
			}
		}
		got, err := store.CountCustomersInParts(t.Context(), w.Store, bounds[0], bounds[1])
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("keys of %q to %q: counted %d, want %d", bounds[0], bounds[1], got, want)
		}
	}
}
