package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

func (w *harness) mailing(t *testing.T, id string, a push.Audience) *push.Mailing {
	t.Helper()
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"x"}}`), Audience: a, Category: "promo"}
	m, created, err := w.CreateMailing(t.Context(), push.NewMailing(id, "digest", d, w.clock.Now()))
	if err != nil {
		t.Fatalf("recording mailing: %v", err)
	}
	check.MustEqual(t, created, true, "recording mailing: created")
	return m
}

func TestMailingIsRecordedOnce(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	var g errgroup.Group
	results := make([]bool, 8)
	for i := range results {
		g.Go(func() (err error) {
			d := push.Draft{Message: json.RawMessage(`{}`), Audience: push.Audience{Everyone: true}}
			_, results[i], err = w.CreateMailing(t.Context(), push.NewMailing("m1", "same", d, w.clock.Now()))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	winners := 0
	for _, created := range results {
		if created {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d calls recorded the mailing, want one", winners)
	}
	other := push.NewMailing("m1", "another", push.Draft{Audience: push.Audience{Everyone: true}, Message: json.RawMessage(`{}`)}, w.clock.Now())
	if _, _, err := w.CreateMailing(t.Context(), other); !push.IsStateConflict(err) {
		t.Errorf("the same key with another body gave %v, want a conflict", err)
	}
}

func TestMailingComesBackAsItWas(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	long := make([]string, 9_000)
	for i := range long {
		long[i] = fmt.Sprintf("%0200d", i)
	}
	at, life, rate := w.clock.Now().Add(time.Hour), push.Duration(48*time.Hour), 6000
	d := push.Draft{Message: json.RawMessage(`{"data":{"a":"b"},"x":1.50}`), Link: "https://x.example/", Audience: push.Audience{Customers: long},
		Devices: push.LatestDevice, SendAt: &at, Lifetime: &life, RatePerMinute: &rate, DryRun: true}
	want := push.NewMailing("big", "d", d, w.clock.Now())
	if _, _, err := w.CreateMailing(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, err := w.ReadMailing(t.Context(), "big")
	if err != nil {
		t.Fatal(err)
	}
	want.Revision = got.Revision
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stored and read (-want +got):\n%s", diff)
	}
	check.Equal(t, got.State, push.Scheduled, "state: got.State")
	check.Equal(t, got.ExpiresAt, at.Add(48*time.Hour), "state: got.ExpiresAt")
	for _, id := range []string{"none", "", "a/b", "..", strings.Repeat("x", 2000)} {
		if _, err := w.ReadMailing(t.Context(), id); !push.IsNotFound(err) {
			t.Errorf("mailing %.20q: %v, want not found", id, err)
		}
	}
}

func TestMailingsNewestFirstByPages(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for i := range 7 {
		w.mailing(t, fmt.Sprintf("m%d", i), push.Audience{Everyone: true})
		if i%2 == 0 {
			w.clock.Add(time.Second) // two mailings have the same time
		}
	}
	if _, err := w.CancelMailing(t.Context(), "m3"); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for token := ""; ; {
		list, next, err := w.ListMailings(t.Context(), "", "", 3, token)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			ids = append(ids, m.ID)
		}
		if token = next; token == "" {
			break
		}
	}
	if got := strings.Join(ids, " "); got != "m6 m5 m4 m3 m2 m1 m0" {
		t.Errorf("listed %s", got)
	}
	list, _, err := w.ListMailings(t.Context(), push.Cancelled, "", 3, "")
	if err != nil {
		t.Fatalf("cancelled ones: %v", err)
	}
	if len(list) != 1 {
		t.Fatalf("cancelled ones: %d entries, want %v: %+v", len(list), 1, list)
	}
	check.Equal(t, list[0].ID, "m3", "cancelled ones: list[0].ID")
	if _, _, err := w.ListMailings(t.Context(), "", "", 3, "no token"); err == nil {
		t.Error("a page token that was not given out was accepted")
	}
}

func TestLifeOfAMailing(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	steps := []struct {
		do       func(context.Context, string) (*push.Mailing, error)
		state    push.State
		conflict bool
	}{
		{w.PauseMailing, push.Paused, false}, {w.PauseMailing, push.Paused, false}, {w.ResumeMailing, push.Accepted, false}, {w.ResumeMailing, "", true},
		{w.CancelMailing, push.Cancelled, false}, {w.CancelMailing, push.Cancelled, false}, {w.PauseMailing, "", true}, {w.ResumeMailing, "", true},
	}
	for i, s := range steps {
		m, err := s.do(t.Context(), "m")
		if s.conflict {
			if !push.IsStateConflict(err) {
				t.Errorf("step %d: %v, want a conflict", i, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		check.Equal(t, m.State, s.state, "state after step %d", i)
	}
	if _, err := w.CancelMailing(t.Context(), "nobody"); !push.IsNotFound(err) {
		t.Errorf("cancelling what is not there: %v", err)
	}
}

// TestTotalsReconcileAndFreeze: totals reconcile while the mailing runs, and are frozen
// once when it ends.
func TestTotalsReconcileAndFreeze(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	sh := w.begin(t, "m")
	sh.Targeted, sh.Excluded, sh.Done = 2, push.Excluded{NoValidToken: 1, OptedOut: 2, Category: 3, Unknown: 4}, true
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{batch("m", 0, "a", "b"), batch("m", 1, "c")}); err != nil {
		t.Fatal(err)
	}

	m, err := w.ReadMailing(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.ReadTotals(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, got.Customers.Matched, 12, "while it runs: got.Customers.Matched")
	check.Equal(t, got.Tokens.Targeted, 3, "while it runs: got.Tokens.Targeted")
	check.Equal(t, got.Tokens.Pending, 3, "while it runs: got.Tokens.Pending")

	dispatched, err := w.MarkMailingDispatched(t.Context(), "m")
	if err != nil {
		t.Fatalf("after the last shard: %v", err)
	}
	check.MustEqual(t, dispatched, true, "after the last shard: dispatched")

	for i, ref := range []string{"00-000000", "00-000001"} {
		early, err := w.FreezeMailing(t.Context(), "m")
		if err != nil {
			t.Fatalf("freezing with %d open batches: %v", 2-i, err)
		}
		if early != nil {
			t.Fatalf("the mailing was frozen with %d open batches, want not yet", 2-i)
		}
		b, err := w.ReadBatch(t.Context(), push.BatchRef{Mailing: "m", Batch: ref})
		if err != nil {
			t.Fatal(err)
		}
		b.ClosePending(push.ResultAccepted)
		b.Settled = true
		if err := w.SaveBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}

	m, err = w.FreezeMailing(t.Context(), "m")
	if err != nil {
		t.Fatalf("freezing after the last batch: %v", err)
	}
	if m == nil {
		t.Fatal("freezing after the last batch: m is nil, want a value")
	}
	check.MustEqual(t, m.State, push.Completed, "freezing after the last batch: m.State")

	again, err := w.FreezeMailing(t.Context(), "m")
	if err != nil {
		t.Fatalf("freezing a second time: %v", err)
	}
	if again != nil {
		t.Errorf("freezing a second time: again = %v, want nil", again)
	}

	if err := w.MarkCompletedPublished(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	if m, err = w.ReadMailing(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	check.Equal(t, m.Active, false, "frozen: m.Active")
	if m.Totals == nil {
		t.Fatal("frozen: m.Totals is nil, want a value")
	}
	check.Equal(t, m.Totals.Tokens.Accepted, 3, "frozen: m.Totals.Tokens.Accepted")
	check.Equal(t, m.Totals.Tokens.Pending, 0, "frozen: m.Totals.Tokens.Pending")
	check.Equal(t, m.CompletedAt.IsZero(), false, "frozen: m.CompletedAt.IsZero()")
}

// TestPauseReasonStaysAfterTheEnd: a mailing may end while it is paused, with the last
// answers of FCM. The reason of the pause stays, unless it was paused by hand.
func TestPauseReasonStaysAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for reason, want := range map[push.PauseReason]push.PauseReason{push.PausedWrongSender: push.PausedWrongSender, push.PausedByHand: ""} {
		t.Run(string(reason), func(t *testing.T) {
			id := "m" + string(reason[:2])
			w.mailing(t, id, push.Audience{Everyone: true})
			sh := w.begin(t, id)
			sh.Targeted, sh.Done = 1, true
			if err := w.CreateBatches(t.Context(), sh, []*push.Batch{batch(id, 0, "a")}); err != nil {
				t.Fatal(err)
			}
			b, err := w.ReadBatch(t.Context(), push.BatchRef{Mailing: id, Batch: "00-000000"})
			if err != nil {
				t.Fatal(err)
			}
			b.ClosePending(push.ResultRefused)
			b.Settled = true
			if err := w.SaveBatch(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if _, err := w.MarkMailingDispatched(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			if _, err := w.PauseMailingFor(t.Context(), id, reason, "what was found"); err != nil {
				t.Fatal(err)
			}
			m, err := w.FreezeMailing(t.Context(), id)
			if err != nil {
				t.Fatalf("freezing: %v", err)
			}
			if m == nil {
				t.Fatal("FreezeMailing returned no mailing, want the frozen one")
			}
			check.Equal(t, m.State, push.Completed, "state")
			check.Equal(t, m.PausedReason, want, "the reason of the pause")
		})
	}
}

// TestNoEndBeforeTheLastBatch: a mailing does not end while its batches are being
// created, nor if it got a batch after its open batches were counted.
func TestNoEndBeforeTheLastBatch(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	sh := w.begin(t, "m")
	m, err := w.FreezeMailing(t.Context(), "m")
	if err != nil {
		t.Fatalf("freezing before all batches exist: %v", err)
	}
	if m != nil {
		t.Errorf("freezing before all batches exist: m = %v, want nil", m)
	}

	sh.Targeted, sh.Done = 1, true
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{batch("m", 0, "a")}); err != nil {
		t.Fatal(err)
	}
	dispatched, err := w.MarkMailingDispatched(t.Context(), "m")
	if err != nil {
		t.Fatalf("w.MarkMailingDispatched: %v", err)
	}
	check.MustEqual(t, dispatched, true, "dispatched")

	if m, err := w.Freeze(t.Context(), "m"); err != nil {
		t.Fatalf("freezing with a pending token: %v", err)
	} else {
		if m != nil {
			t.Errorf("freezing with a pending token: m = %v, want nil", m)
		}
	}
}
