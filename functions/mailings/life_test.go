package mailings_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// shown is what GET /v1/mailings/{id} answers.
type shown struct {
	brief
	PausedBecause string     `json:"pausedBecause"`
	StartedAt     *time.Time `json:"startedAt"`
	CompletedAt   *time.Time `json:"completedAt"`
	push.Draft
	push.Totals
}

func (w *world) show(id string) shown {
	w.t.Helper()
	return decode[shown](w.t, w.ask("GET", "/v1/mailings/"+id, ""), http.StatusOK)
}

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
	b := &push.Batch{Ref: push.Ref{Mailing: id, Batch: "00-000000"}, CutAt: w.clock(), Receipts: make([]push.Receipt, len(receipts))}
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

func TestShow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	m := w.hand(`{"message":{"data":{"a":"b"}},"audience":{"customers":["b","a"]},"devices":"latest","category":"promo","sendAt":"2026-11-01T13:00:00Z","lifetime":"36h","ratePerMinute":600,"link":"https://shop.example/"}`)
	got := w.show(m.ID)
	if got.State != push.Scheduled || got.StartedAt != nil || got.CompletedAt != nil {
		t.Errorf("%+v", got)
	}
	if string(got.Message) != `{"data":{"a":"b"}}` || !slices.Equal(got.Audience.Customers, []string{"b", "a"}) || got.Devices != push.Latest ||
		got.Category != "promo" || time.Duration(*got.Lifetime) != 36*time.Hour || *got.RatePerMinute != 600 || got.Link != "https://shop.example/" {
		t.Errorf("the rest of the mailing came as %+v", got.Draft)
	}
	if text := w.ask("GET", "/v1/mailings/"+m.ID, "").text; strings.Contains(text, "$schema") || !strings.Contains(text, `"completedAt":null`) || !strings.Contains(text, `"lifetime":"36h"`) {
		t.Errorf("it reads %s", text)
	}
	for _, id := range []string{"mnone", "m%2Fn", "..%2Fx", "a%00b", "%C3%BC", strings.Repeat("x", 100)} {
		if got := w.ask("GET", "/v1/mailings/"+id, ""); got.status != 404 {
			t.Errorf("%s: %d %s", id, got.status, got.text)
		}
	}
	if got := w.ask("GET", "/v1/mailings/"+strings.Repeat("x", 101), ""); got.status != 422 {
		t.Errorf("a long id: %d %s", got.status, got.text)
	}
}

func TestListNewestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	var want []string
	for i := range 7 {
		if i%3 != 2 { // some at the same instant
			w.pass(time.Second)
		}
		want = append(want, w.hand(plain).ID)
	}
	for _, id := range want[:2] {
		w.ask("POST", "/v1/mailings/"+id+"/cancel", "")
	}
	var got []string
	var times []time.Time
	path, pages := "/v1/mailings?pageSize=3", 0
	for next := "-"; next != ""; pages++ {
		p := decode[page](t, w.ask("GET", path, ""), 200)
		for _, m := range p.Mailings {
			got, times = append(got, m.ID), append(times, m.CreatedAt)
		}
		next = p.NextPageToken
		path = "/v1/mailings?pageSize=3&pageToken=" + next
	}
	if pages != 3 || !slices.IsSortedFunc(times, func(a, b time.Time) int { return b.Compare(a) }) || !times[0].After(times[6]) {
		t.Errorf("%d pages, made at %v", pages, times)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	for state, n := range map[string]int{"cancelled": 2, "accepted": 5, "sending": 0} {
		if p := decode[page](t, w.ask("GET", "/v1/mailings?state="+state, ""), 200); len(p.Mailings) != n {
			t.Errorf("%d mailings are %s, want %d", len(p.Mailings), state, n)
		}
	}
	if text := w.ask("GET", "/v1/mailings?state=expired", "").text; strings.TrimSpace(text) != `{"mailings":[]}` {
		t.Errorf("an empty list reads %s", text)
	}
	for _, q := range []string{"pageSize=0", "pageSize=501", "pageSize=x", "pageToken=x", "pageToken=%21%21", "pageToken=MTIz", "pageToken=" + strings.Repeat("x", 501), "state=odd", "page=2"} {
		name, _, _ := strings.Cut(q, "=")
		got := w.ask("GET", "/v1/mailings?"+q, "")
		if places, said := got.places(t); got.status != 422 || !slices.Equal(places, []string{"query." + name}) {
			t.Errorf("%s: %d %s", q, got.status, said)
		}
	}
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
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
		got := w.ask("POST", "/v1/mailings/"+m.ID+"/"+c.do, "")
		if got.status != c.status {
			t.Errorf("%s: %d %s", c.do, got.status, got.text)
		}
		if c.status == 200 {
			if b := decode[brief](t, got, 200); b.ID != m.ID || b.State != c.state {
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
		if got := w.ask("POST", "/v1/mailings/"+done.ID+"/"+do, ""); got.status != 409 {
			t.Errorf("%s of a completed mailing: %d %s", do, got.status, got.text)
		}
		if got := w.ask("POST", "/v1/mailings/mnone/"+do, ""); got.status != 404 {
			t.Errorf("%s of none: %d %s", do, got.status, got.text)
		}
		if got := w.ask("POST", "/v1/mailings/"+done.ID+"/"+do, `{"why":1}`); got.status != 422 {
			t.Errorf("%s with a body: %d %s", do, got.status, got.text)
		}
		if got := w.ask("GET", "/v1/mailings/"+done.ID+"/"+do, ""); got.status != 405 || got.header.Get("Allow") != "POST" {
			t.Errorf("GET %s: %d %s", do, got.status, got.text)
		}
	}
}

func TestResumeOrdersTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	m := w.hand(plain)
	w.ask("POST", "/v1/mailings/"+m.ID+"/pause", "")
	w.published("dispatch", 1)
	w.ask("POST", "/v1/mailings/"+m.ID+"/resume", "")
	if order := w.published("dispatch", 1)[0]; !strings.Contains(order, m.ID) {
		t.Errorf("ordered %s", order)
	}
}

func TestInvalidTokensAndUnflag(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.topic("dispatch")
	m := w.hand(plain)
	bad := []push.Receipt{push.ReceiptAccepted, push.ReceiptUnregistered, push.ReceiptInvalidArgument, push.ReceiptUnregistered, push.ReceiptRefused}
	w.sent(m.ID, bad...)
	type deads struct {
		Tokens        []push.Dead `json:"tokens"`
		NextPageToken string      `json:"nextPageToken"`
	}
	base := "/v1/mailings/" + m.ID + "/invalid-tokens?pageSize=2"
	first := decode[deads](t, w.ask("GET", base, ""), 200)
	second := decode[deads](t, w.ask("GET", base+"&pageToken="+first.NextPageToken, ""), 200)
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
		if got := w.ask("GET", "/v1/mailings/"+m.ID+"/invalid-tokens?"+q, ""); got.status != 422 {
			t.Errorf("%s: %d %s", q, got.status, got.text)
		}
	}
	none := w.hand(plain)
	if text := w.ask("GET", "/v1/mailings/"+none.ID+"/invalid-tokens", "").text; strings.TrimSpace(text) != `{"tokens":[]}` {
		t.Errorf("an empty list reads %s", text)
	}
	for _, path := range []string{"GET /v1/mailings/mnone/invalid-tokens", "POST /v1/mailings/mnone/unflag"} {
		method, at, _ := strings.Cut(path, " ")
		if got := w.ask(method, at, ""); got.status != 404 {
			t.Errorf("%s: %d %s", path, got.status, got.text)
		}
	}
	// One of them registers again: that flag does not stand any more.
	if _, err := w.store.Register(t.Context(), all[0].Customer, push.Registration{Kind: push.KindToken, Value: fmt.Sprintf("t-%s-1", m.ID)}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{2, 0} {
		got := decode[struct{ Unflagged int }](t, w.ask("POST", "/v1/mailings/"+m.ID+"/unflag", ""), 200)
		if got.Unflagged != want {
			t.Errorf("%d were unflagged, want %d", got.Unflagged, want)
		}
	}
	for _, e := range w.published("push-events", 2) {
		if !strings.Contains(e, push.AvailabilityChanged) || !strings.Contains(e, `"pushAvailable":true`) {
			t.Errorf("told %s", e)
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
		d := push.Dead{Customer: b.Targets[i].Customer, TokenID: push.TokenID(b.Targets[i].Token), Code: codes[r], At: w.clock()}
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
