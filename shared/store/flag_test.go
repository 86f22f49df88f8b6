package store_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

func (w *world) flag(t testing.TB, mailing, customer, token string, cut time.Time) store.FlagResult {
	t.Helper()
	res, err := w.Flag(t.Context(), store.Flag{Mailing: mailing, Customer: customer, TokenID: push.TokenID(token),
		Code: push.CodeUnregistered, Status: "NOT_FOUND", At: w.clock.Now(), CutAt: cut})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestLateFlagsLose(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "anna", "t")
	cut := w.clock.Now().Add(time.Minute)
	w.clock.Add(2 * time.Minute)
	w.register(t, "anna", "t") // seen again, nothing else
	w.clock.Add(time.Minute)
	if res := w.flag(t, "m", "anna", "t", cut); res.Set || len(res.Events) != 0 {
		t.Errorf("a batch cut before the last registration flagged: %+v", res)
	}
	if !w.tokenOf(t, "anna", "t").Valid() {
		t.Error("the token is invalid")
	}
}

// TestRepeatedFlagsTellAgain: whoever flagged died before publishing, and the
// token is gone by the time of the next try.
func TestRepeatedFlagsTellAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "anna", "t")
	w.clock.Add(time.Minute)
	cut := w.clock.Now()
	first := w.flag(t, "m", "anna", "t", cut)
	again := w.flag(t, "m", "anna", "t", cut)
	if !again.Set || kinds(again.Events) != kinds(first.Events) || again.Events[0].ID != first.Events[0].ID || again.Events[1].ID != first.Events[1].ID {
		t.Errorf("first %v, again %v", first, again)
	}
	if _, err := w.Unregister(t.Context(), "anna", push.TokenID("t")); err != nil {
		t.Fatal(err)
	}
	late := w.flag(t, "m", "anna", "t", cut)
	if late.Set || len(late.Events) != 1 || late.Events[0].ID != first.Events[1].ID {
		t.Errorf("after the token is gone: %+v", late)
	}
}

func TestUnflagTakesBackItsOwnOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.register(t, "anna", "t")
	w.clock.Add(time.Minute)
	w.flag(t, "m", "anna", "t", w.clock.Now())
	d := push.Dead{Customer: "anna", TokenID: push.TokenID("t")}
	if took, _, err := w.UnflagToken(t.Context(), "other", d); took || err != nil {
		t.Errorf("another mailing took the flag back: %v", err)
	}
	took, events, err := w.UnflagToken(t.Context(), "m", d)
	if !took || err != nil || kinds(events) != "anna=true" || w.Count("outbox") != 2 {
		t.Errorf("%v %v %s; %d events in the outbox", took, err, kinds(events), w.Count("outbox"))
	}
	w.clock.Add(push.TokenLife + 48*time.Hour)
	w.expire(t)
	if took, _, err := w.UnflagToken(t.Context(), "", d); took || err != nil || w.tokenOf(t, "anna", "t").Valid() {
		t.Errorf("a token's age was taken back: %v", err)
	}
}

// TestUnflagGoesOn: what has been taken back costs no write again, so that a
// call that was cut short goes on where it was; two tokens of one customer are
// one write.
func TestUnflagGoesOn(t *testing.T) {
	t.Parallel()
	var begun atomic.Int64
	w := newWorld(t, grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
		if strings.HasSuffix(method, "/BeginTransaction") {
			begun.Add(1)
		}
		return next(ctx, method, req, reply, cc, o...)
	}))
	w.mailing(t, "m", push.Audience{Everyone: true})
	sh := w.begin(t, "m")
	sh.Done = true
	if err := w.Cut(t.Context(), sh, []*push.Batch{batch("m", 0, "a", "b", "c", "d")}); err != nil {
		t.Fatal(err)
	}
	b, err := w.Batch(t.Context(), push.Ref{Mailing: "m", Batch: "00-000000"})
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"a", "b", "c", "d"} {
		customer := map[string]string{"a": "anna", "b": "anna", "c": "carl", "d": "gone"}[token]
		w.register(t, customer, token)
		w.clock.Add(time.Second)
		w.flag(t, "m", customer, token, w.clock.Now())
		b.Dead = append(b.Dead, push.Dead{Customer: customer, TokenID: push.TokenID(token), Code: push.CodeUnregistered, At: w.clock.Now()})
	}
	b.Close(push.ReceiptUnregistered)
	b.Settled = true
	if err := w.SaveBatch(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Erase(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ took, writes int }{{3, 2}, {0, 0}} {
		before := begun.Load()
		took, _, err := w.Unflag(t.Context(), "m")
		if writes := int(begun.Load() - before); err != nil || took != want.took || writes != want.writes {
			t.Errorf("%d taken back in %d transactions (%v), want %+v", took, writes, err, want)
		}
	}
	if !w.tokenOf(t, "anna", "b").Valid() || !w.tokenOf(t, "carl", "c").Valid() {
		t.Error("a flag still stands")
	}
}
