package mailings_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carillon.example/emulators/lab"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// sent takes a mailing through dispatch and a batch with those receipts, one
// customer each, and flags what is invalid.
func (w *world) sent(id string, receipts ...push.Receipt) {
	w.t.Helper()
	ctx, name := w.t.Context(), func(i int) string { return fmt.Sprintf("%s-%d", id, i) }
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	b := &push.Batch{Ref: push.Ref{Mailing: id, Batch: "00-000000"}, CutAt: w.clock.Now(), Receipts: make([]push.Receipt, len(receipts))}
	for i := range receipts {
		_, err := w.store.Register(ctx, "c-"+name(i), push.Registration{Kind: push.KindToken, Value: "t-" + name(i), Platform: push.Android})
		must(err)
		b.Targets = append(b.Targets, push.Target{Customer: "c-" + name(i), Token: "t-" + name(i), Kind: push.KindToken, Platform: push.Android})
	}
	_, err := w.store.Start(ctx, id, push.All, []push.Shard{{Mailing: id}})
	must(err)
	sh, err := w.store.Shard(ctx, id, 0)
	must(err)
	sh.Done, sh.Batches, sh.Targeted = true, 1, int64(len(receipts))
	must(w.store.Cut(ctx, sh, []*push.Batch{b}))
	_, err = w.store.MarkDispatched(ctx, id)
	must(err)
	w.settle(b.Ref, receipts)
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	for _, c := range []struct {
		do     string
		status int
		state  push.State
	}{
		{"resume", 409, push.Accepted},
		{"pause", 200, push.Paused},
		{"pause", 200, push.Paused},
		{"resume", 200, push.Accepted},
		{"pause", 200, push.Paused},
		{"cancel", 200, push.Cancelled},
		{"cancel", 200, push.Cancelled},
		{"pause", 409, push.Cancelled},
		{"resume", 409, push.Cancelled},
	} {
		m := w.hand(plain, "Idempotency-Key", "one")
		got := w.Ask("POST", "/v1/mailings/"+m.ID+"/"+c.do, "")
		if got.Code != c.status {
			t.Errorf("%s: %d %s", c.do, got.Code, got.Body)
		}
		if c.status == 200 {
			if b := lab.Decode[brief](got, 200); b.ID != m.ID || b.State != c.state {
				t.Errorf("%s answers %+v", c.do, b)
			}
		}
		if now := w.show(m.ID); now.State != c.state || (c.state == push.Paused) != (now.PausedBecause == push.ByHand) {
			t.Errorf("after %s it is %s %q", c.do, now.State, now.PausedBecause)
		}
	}
	done := w.hand(plain)
	w.sent(done.ID, push.ReceiptAccepted)
	if now := w.show(done.ID); now.State != push.Completed || now.CompletedAt == nil || now.Tokens.Accepted != 1 {
		t.Fatalf("it is %+v", now)
	}
	for _, do := range []string{"cancel", "pause", "resume"} {
		if got := w.Ask("POST", "/v1/mailings/"+done.ID+"/"+do, ""); got.Code != 409 {
			t.Errorf("%s of a completed mailing: %d %s", do, got.Code, got.Body)
		}
		if got := w.Ask("POST", "/v1/mailings/mnone/"+do, ""); got.Code != 404 {
			t.Errorf("%s of none: %d %s", do, got.Code, got.Body)
		}
		if got := w.Ask("POST", "/v1/mailings/"+done.ID+"/"+do, `{"why":1}`); got.Code != 422 {
			t.Errorf("%s with a body: %d %s", do, got.Code, got.Body)
		}
		if got := w.Ask("GET", "/v1/mailings/"+done.ID+"/"+do, ""); got.Code != 405 || got.Header.Get("Allow") != "POST" {
			t.Errorf("GET %s: %d %s", do, got.Code, got.Body)
		}
	}
}

func TestResumeOrdersTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	m := w.hand(plain)
	w.Ask("POST", "/v1/mailings/"+m.ID+"/pause", "")
	w.Published("dispatch", 1)
	w.Ask("POST", "/v1/mailings/"+m.ID+"/resume", "")
	if order := w.Published("dispatch", 1)[0].Data; !strings.Contains(order, m.ID) {
		t.Errorf("ordered %s", order)
	}
}

func TestInvalidTokensAndUnflag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	m := w.hand(plain)
	bad := []push.Receipt{push.ReceiptAccepted, push.ReceiptUnregistered, push.ReceiptInvalidArgument, push.ReceiptUnregistered, push.ReceiptRefused}
	w.sent(m.ID, bad...)
	type deads struct {
		Tokens        []push.Dead `json:"tokens"`
		NextPageToken string      `json:"nextPageToken"`
	}
	base := "/v1/mailings/" + m.ID + "/invalid-tokens?pageSize=2"
	first := lab.Decode[deads](w.Ask("GET", base, ""), 200)
	second := lab.Decode[deads](w.Ask("GET", base+"&pageToken="+first.NextPageToken, ""), 200)
	all := slices.Concat(first.Tokens, second.Tokens)
	if len(first.Tokens) != 2 || len(all) != 3 || second.NextPageToken != "" {
		t.Fatalf("two pages: %+v %+v", first, second)
	}
	for i, want := range []string{push.CodeUnregistered, push.CodeInvalidArgument, push.CodeUnregistered} {
		d := all[i]
		if d.Code != want || d.Customer != fmt.Sprintf("c-%s-%d", m.ID, i+1) || d.TokenID == "" || d.At.IsZero() {
			t.Errorf("%d: %+v", i, d)
		}
	}
	for _, q := range []string{"pageSize=0", "pageSize=501", "pageToken=x", "pageToken=a.-1.b", "pageToken=.x.y"} {
		if got := w.Ask("GET", "/v1/mailings/"+m.ID+"/invalid-tokens?"+q, ""); got.Code != 422 {
			t.Errorf("%s: %d %s", q, got.Code, got.Body)
		}
	}
	none := w.hand(plain)
	if text := w.Ask("GET", "/v1/mailings/"+none.ID+"/invalid-tokens", "").Body; strings.TrimSpace(text) != `{"tokens":[]}` {
		t.Errorf("an empty list reads %s", text)
	}
	for _, path := range []string{"GET /v1/mailings/mnone/invalid-tokens", "POST /v1/mailings/mnone/unflag"} {
		method, at, _ := strings.Cut(path, " ")
		if got := w.Ask(method, at, ""); got.Code != 404 {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	// One of them registers again: that flag does not stand any more.
	if _, err := w.store.Register(t.Context(), all[0].Customer, push.Registration{Kind: push.KindToken, Value: fmt.Sprintf("t-%s-1", m.ID)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 0} {
		got := lab.Decode[struct{ Unflagged int }](w.Ask("POST", "/v1/mailings/"+m.ID+"/unflag", ""), 200)
		if got.Unflagged != want {
			t.Errorf("%d were unflagged, want %d", got.Unflagged, want)
		}
	}
	for _, e := range w.Published("push-events", 2) {
		if !strings.Contains(e.Data, push.AvailabilityChanged) || !strings.Contains(e.Data, `"pushAvailable":true`) {
			t.Errorf("told %s", e.Data)
		}
	}
	for _, d := range all {
		if c, err := w.store.Customer(t.Context(), d.Customer); err != nil || !c.Reachable() {
			t.Errorf("%s: %+v, %v", d.Customer, c, err)
		}
	}
}

// settle books those receipts as deliver does.
func (w *world) settle(ref push.Ref, receipts []push.Receipt) {
	w.t.Helper()
	ctx := w.t.Context()
	b, err := w.store.Batch(ctx, ref)
	if err != nil {
		w.t.Fatal(err)
	}
	codes := map[push.Receipt]string{push.ReceiptUnregistered: push.CodeUnregistered, push.ReceiptInvalidArgument: push.CodeInvalidArgument}
	copy(b.Receipts, receipts)
	for i, r := range receipts {
		if codes[r] == "" {
			continue
		}
		d := push.Dead{Customer: b.Targets[i].Customer, TokenID: push.TokenID(b.Targets[i].Token), Code: codes[r], At: w.clock.Now()}
		b.Dead = append(b.Dead, d)
		flag := store.Flag{Mailing: ref.Mailing, Customer: d.Customer, TokenID: d.TokenID, Code: d.Code, At: d.At, CutAt: b.CutAt}
		if res, err := w.store.Flag(ctx, flag); err != nil || !res.Set {
			w.t.Fatalf("%+v, %v", res, err)
		}
	}
	b.Settled = true
	if err := w.store.SaveBatch(ctx, b); err != nil {
		w.t.Fatal(err)
	}
	silent := func(context.Context, ...push.Event) error { return nil }
	if _, err := w.store.Finish(ctx, ref.Mailing, silent); err != nil {
		w.t.Fatal(err)
	}
}
