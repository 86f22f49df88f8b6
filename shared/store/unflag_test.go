package store_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// flagAll takes a mailing through dispatch and deliver: batches with one
// customer a token, all of which it flags.
func (w *harness) flagAll(t testing.TB, id string, batches, size int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.StartMailing(t.Context(), id, push.AllDevices, nil, []push.Shard{{Mailing: id}})
	must(err)
	created := w.clock.Now()
	for n := range batches {
		b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: fmt.Sprintf("00-%06d", n)}, CreatedAt: created, Results: make([]push.Result, size)}
		lines := make([]store.ImportLine, size)
		for i := range size {
			name := fmt.Sprintf("%s-%d-%d", id, n, i)
			lines[i] = store.ImportLine{Customer: name, Tokens: []push.Registration{{Kind: push.KindToken, Value: name, Platform: push.Android}}}
			b.Targets = append(b.Targets, push.Target{Customer: name, Token: name, Kind: push.KindToken})
			b.InvalidTokens = append(b.InvalidTokens, push.InvalidToken{Customer: name, TokenID: push.TokenID(name), Code: push.CodeUnregistered, At: created})
		}
		_, events, err := w.ImportCustomers(t.Context(), lines)
		must(err)
		must(w.MarkEventsPublished(t.Context(), events...))
		sh, err := w.ReadShard(t.Context(), id, 0)
		must(err)
		sh.Batches, sh.Done = n+1, n+1 == batches
		flagged := b.InvalidTokens
		must(w.CreateBatches(t.Context(), sh, []*push.Batch{b}))
		b, err = w.ReadBatch(t.Context(), b.BatchRef)
		must(err)
		b.InvalidTokens, b.Settled = flagged, true
		b.ClosePending(push.ResultUnregistered)
		must(w.SaveBatch(t.Context(), b))
		var g errgroup.Group
		g.SetLimit(8)
		for _, d := range flagged {
			g.Go(func() error {
				_, err := w.FlagToken(t.Context(), store.Flag{Mailing: id, Customer: d.Customer, TokenID: d.TokenID, Code: d.Code, At: created, BatchCreatedAt: created})
				return err
			})
		}
		must(g.Wait())
	}
}

// unflagAll does what dispatch does, one group after the other.
func (w *harness) unflagAll(t testing.TB, id string) (took int) {
	t.Helper()
	l, err := w.LeaseUnflag(t.Context(), id, w.clock.Now().Add(time.Minute))
	if err != nil {
		t.Fatalf("leasing the unflag: %v", err)
	}
	if l == nil {
		t.Fatal("leasing the unflag: l is nil, want a value")
	}
	for last := false; !last; {
		p, err := w.ReadUnflagPage(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		n, events, err := w.UnflagTokens(t.Context(), id, p.Tokens)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.MarkEventsPublished(t.Context(), events...); err != nil {
			t.Fatal(err)
		}
		took += n
		l.FinishPage(p)
		if last = p.Last; last {
			break
		}
		if err := w.SaveUnflagCursor(t.Context(), l, w.clock.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.EndUnflag(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	return took
}

func (w *harness) startUnflag(t testing.TB, id string) *push.Mailing {
	t.Helper()
	m, err := w.StartUnflag(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (w *harness) progress(t testing.TB, id string) *push.Unflag {
	t.Helper()
	m, err := w.ReadMailingHeader(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	u, err := w.ReadUnflagProgress(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestAfterUnflagNothingIsFlagged: a late message of a batch must not undo what
// was taken back; a flag that is not taken back yet still counts as set, or its
// batch would forget it before the unflag comes to it.
func TestAfterUnflagNothingIsFlagged(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	w.begin(t, "m")
	w.register(t, "anna", "early")
	w.register(t, "carl", "late")
	w.clock.Add(time.Minute)
	created := w.clock.Now()
	first := w.flag(t, "m", "anna", "early", created)
	w.startUnflag(t, "m")

	again := w.flag(t, "m", "anna", "early", created)
	if !again.Set {
		t.Error("a flag that still stands does not count as set")
	}
	if kinds(again.Events) != kinds(first.Events) {
		t.Errorf("a flag that is still set has the events %s, want %s", kinds(again.Events), kinds(first.Events))
	}

	refused := w.flag(t, "m", "carl", "late", created)
	if refused.Set {
		t.Error("a flag was set after the unflag began")
	}
	if len(refused.Events) > 0 {
		t.Errorf("a flag that was refused has the events %s", kinds(refused.Events))
	}
	if !w.tokenOf(t, "carl", "late").Valid() {
		t.Error("a token is invalid though its flag was refused")
	}

	if other := w.flag(t, "other", "carl", "late", created); !other.Set {
		t.Error("another mailing's flag was refused, too")
	}
}

// TestAFlagUnderWayLosesToAnUnflag: the mark of the unflag and the flag have an order.
// Whichever comes first, no token stays flagged after the unflag.
func TestAFlagUnderWayLosesToAnUnflag(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	sh := w.begin(t, "m")
	sh.Done = true
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: "m", Batch: "00-000000"}, CreatedAt: w.clock.Now(), Results: make([]push.Result, 40)}
	for i := range b.Results {
		name := fmt.Sprint("c", i)
		w.register(t, name, name)
		b.Targets = append(b.Targets, push.Target{Customer: name, Token: name})
	}
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	b, err := w.ReadBatch(t.Context(), b.BatchRef)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range b.Targets {
		b.InvalidTokens = append(b.InvalidTokens, push.InvalidToken{Customer: x.Customer, TokenID: push.TokenID(x.Token), Code: push.CodeUnregistered, At: w.clock.Now()})
	}
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Minute)

	var g errgroup.Group
	for i, x := range b.Targets {
		g.Go(func() error {
			w.flag(t, "m", x.Customer, x.Token, w.clock.Now())
			return nil
		})
		if i == len(b.Targets)/2 {
			g.Go(func() error {
				_, err := w.StartUnflag(t.Context(), "m")
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	took := w.unflagAll(t, "m")

	for _, x := range b.Targets {
		w.flag(t, "m", x.Customer, x.Token, w.clock.Now())
		if !w.tokenOf(t, x.Customer, x.Token).Valid() {
			t.Errorf("%s is flagged", x.Customer)
		}
	}
	u := w.progress(t, "m")
	check.Equal(t, u.State, push.UnflagCompleted, "the unflag: u.State")
	check.Equal(t, u.Unflagged, int64(took), "the unflag: u.Unflagged")
}

// TestUnflagTakesEachCustomerOnce: two tokens of one customer are one write. A customer
// who was erased, or whose token was registered again, is skipped, and a repeated call
// changes nothing.
func TestUnflagTakesEachCustomerOnce(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	w.begin(t, "m")
	var tokens []store.CustomerTokens
	for _, x := range []struct{ customer, token string }{{"anna", "a"}, {"anna", "b"}, {"carl", "c"}, {"gone", "d"}, {"back", "e"}} {
		w.register(t, x.customer, x.token)
		w.clock.Add(time.Second)
		w.flag(t, "m", x.customer, x.token, w.clock.Now())
		tokens = append(tokens, store.CustomerTokens{Customer: x.customer, Tokens: []string{push.TokenID(x.token)}})
	}
	if _, err := w.EraseCustomer(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	w.register(t, "back", "e")
	w.startUnflag(t, "m")

	for _, want := range []int{3, 0} {
		took, events, err := w.UnflagTokens(t.Context(), "m", tokens)
		if err != nil {
			t.Fatal(err)
		}
		check.Equal(t, took, want, "number of removed flags")
		wantEvents := ""
		if want > 0 {
			wantEvents = "anna=true carl=true"
		}
		check.Equal(t, kinds(events), wantEvents, "events")
	}
	u := w.progress(t, "m")
	check.Equal(t, u.State, push.UnflagRunning, "while it runs: u.State")
	check.Equal(t, u.Unflagged, 3, "while it runs: u.Unflagged")
	if _, err := w.EndUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	u = w.progress(t, "m")
	check.Equal(t, u.State, push.UnflagCompleted, "state in the end")
	check.Equal(t, u.Unflagged, 3, "removed flags in the end")
	if u.CompletedAt == nil {
		t.Error("CompletedAt is nil in the end, want the time")
	}
}

// TestALostAnswerCountsOnce: removed flags are counted by the transaction that removes
// them.
func TestALostAnswerCountsOnce(t *testing.T) {
	t.Parallel()
	w, l := newLossyHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	w.flagAll(t, "m", 1, 5)
	l.whenLost(t, "beginning an unflag", func() error { _, err := w.StartUnflag(t.Context(), "m"); return err })
	var lease *store.UnflagLease
	l.whenLost(t, "leasing an unflag", func() (err error) {
		lease, err = w.LeaseUnflag(t.Context(), "m", w.clock.Now().Add(time.Minute))
		return err
	})
	if lease == nil {
		t.Fatal("a lease whose answer was lost is somebody else's")
	}
	p, err := w.ReadUnflagPage(t.Context(), lease)
	if err != nil {
		t.Fatal(err)
	}
	l.whenLost(t, "taking flags back", func() error { _, _, err := w.UnflagTokens(t.Context(), "m", p.Tokens); return err })
	lease.FinishPage(p)
	l.whenLost(t, "saving an unflag", func() error { return w.SaveUnflagCursor(t.Context(), lease, w.clock.Now().Add(time.Minute)) })
	l.whenLost(t, "ending an unflag", func() error { _, err := w.EndUnflag(t.Context(), "m"); return err })
	u := w.progress(t, "m")
	check.Equal(t, u.State, push.UnflagCompleted, "the unflag: u.State")
	check.Equal(t, u.Unflagged, 5, "the unflag: u.Unflagged")
}

func TestWhenAnUnflagIsRefused(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "waits", push.Audience{Everyone: true})
	if _, err := w.StartUnflag(t.Context(), "waits"); !push.IsStateConflict(err) {
		t.Errorf("of a mailing that never started: %v, want a conflict", err)
	}
	if _, err := w.StartUnflag(t.Context(), "none"); !push.IsNotFound(err) {
		t.Errorf("of no mailing: %v, want not found", err)
	}

	w.mailing(t, "old", push.Audience{Everyone: true})
	w.begin(t, "old")
	w.mailing(t, "known", push.Audience{Everyone: true})
	w.begin(t, "known")
	began := w.startUnflag(t, "known").Unflag.StartedAt
	w.clock.Add(push.DefaultLifetime + store.KeepBatches + time.Second)
	if _, err := w.StartUnflag(t.Context(), "old"); !push.IsStateConflict(err) {
		t.Errorf("after its batches are deleted: %v, want a conflict", err)
	}
	if m := w.startUnflag(t, "known"); !m.Unflag.StartedAt.Equal(began) {
		t.Errorf("asked again, it began at %s, want %s", m.Unflag.StartedAt, began)
	}
}

// TestOneBadCustomerKeepsNoOtherFromIt: a document that cannot be decoded is an error,
// and all others are handled.
func TestOneBadCustomerKeepsNoOtherFromIt(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", push.Audience{Everyone: true})
	w.flagAll(t, "m", 1, 9)
	if _, err := w.DB().Doc("customers/"+push.CustomerKey("m-0-4")).Set(t.Context(), map[string]any{"id": "m-0-4", "tokens": 7}); err != nil {
		t.Fatal(err)
	}
	w.startUnflag(t, "m")
	l, err := w.LeaseUnflag(t.Context(), "m", w.clock.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	p, err := w.ReadUnflagPage(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	took, _, err := w.UnflagTokens(t.Context(), "m", p.Tokens)
	if took != 8 {
		t.Errorf("%d were taken back, want 8", took)
	}
	if !store.IsUndecodable(err) {
		t.Errorf("the error is %v, want one of a document", err)
	}
}
