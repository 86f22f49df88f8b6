package mailings_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// sendMailing does what dispatch and deliver do: it creates one batch with one customer for
// each result, stores the results, and flags the invalid tokens.
func (w *harness) sendMailing(id string, results ...push.Result) {
	w.t.Helper()
	ctx, name := w.t.Context(), func(i int) string { return fmt.Sprintf("%s-%d", id, i) }
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: "00-000000"}, CreatedAt: w.clock.Now(), Results: make([]push.Result, len(results))}
	for i := range results {
		_, err := w.store.RegisterToken(ctx, "c-"+name(i), push.Registration{Kind: push.KindToken, Value: "t-" + name(i), Platform: push.Android})
		must(err)
		b.Targets = append(b.Targets, push.Target{Customer: "c-" + name(i), Token: "t-" + name(i), Kind: push.KindToken, Platform: push.Android})
	}
	_, err := w.store.StartMailing(ctx, id, push.AllDevices, nil, []push.Shard{{Mailing: id}})
	must(err)
	sh, err := w.store.ReadShard(ctx, id, 0)
	must(err)
	sh.Done, sh.Batches, sh.Targeted = true, 1, int64(len(results))
	must(w.store.CreateBatches(ctx, sh, []*push.Batch{b}))
	_, err = w.store.MarkMailingDispatched(ctx, id)
	must(err)
	w.settle(b.BatchRef, results)
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
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
		t.Run(c.do, func(t *testing.T) {
			m := w.hand(plain, "Idempotency-Key", "one")
			got := w.Ask("POST", "/v1/mailings/"+m.ID+"/"+c.do, "")
			if got.Code != c.status {
				t.Errorf("%s: %d %s", c.do, got.Code, got.Body)
			}
			if c.status == 200 {
				b := testcloud.Decode[brief](got, 200)
				check.Equal(t, b.ID, m.ID, "%s: ID", c.do)
				check.Equal(t, b.State, c.state, "%s: state", c.do)
			}
			now := w.show(m.ID)
			check.Equal(t, now.State, c.state, "after %s: state", c.do)
			check.Equal(t, now.PausedReason == push.PausedByHand && now.PausedBecause == push.PausedTextByHand, c.state == push.Paused, "after %s: that it is paused by hand", c.do)
		})
	}

	done := w.hand(plain)
	w.sendMailing(done.ID, push.ResultAccepted)
	now := w.show(done.ID)
	if now.State != push.Completed {
		t.Fatalf("state is %v, want %v", now.State, push.Completed)
	}
	if now.CompletedAt == nil {
		t.Fatal("CompletedAt is nil, want it set")
	}
	if now.Tokens.Accepted != 1 {
		t.Fatalf("tokens accepted is %v, want 1", now.Tokens.Accepted)
	}

	for _, do := range []string{"cancel", "pause", "resume"} {
		t.Run(do, func(t *testing.T) {
			if got := w.Ask("POST", "/v1/mailings/"+done.ID+"/"+do, ""); got.Code != 409 {
				t.Errorf("%s of a completed mailing: %d %s", do, got.Code, got.Body)
			}
			if got := w.Ask("POST", "/v1/mailings/mnone/"+do, ""); got.Code != 404 {
				t.Errorf("%s of none: %d %s", do, got.Code, got.Body)
			}
			if got := w.Ask("POST", "/v1/mailings/"+done.ID+"/"+do, `{"why":1}`); got.Code != 422 {
				t.Errorf("%s with a body: %d %s", do, got.Code, got.Body)
			}
			got := w.Ask("GET", "/v1/mailings/"+done.ID+"/"+do, "")
			testcloud.CheckCode(t, got, 405)
			check.Equal(t, got.Header.Get("Allow"), "POST", "GET %s: header Allow", do)
		})
	}
}

func TestResumePublishesTheStart(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	m := w.hand(plain)
	w.Ask("POST", "/v1/mailings/"+m.ID+"/pause", "")
	w.Published("dispatch", 1)
	w.Ask("POST", "/v1/mailings/"+m.ID+"/resume", "")
	if message := w.Published("dispatch", 1)[0].Data; !strings.Contains(message, m.ID) {
		t.Errorf("the dispatch message is %s, want mailing %s", message, m.ID)
	}
}

func TestInvalidTokensAndUnflag(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	m := w.hand(plain)
	bad := []push.Result{push.ResultAccepted, push.ResultUnregistered, push.ResultInvalidArgument, push.ResultUnregistered, push.ResultRefused}
	w.sendMailing(m.ID, bad...)
	type invalidTokens struct {
		Tokens        []push.InvalidToken `json:"tokens"`
		NextPageToken string              `json:"nextPageToken"`
	}

	base := "/v1/mailings/" + m.ID + "/invalid-tokens?pageSize=2"
	first := testcloud.Decode[invalidTokens](w.Ask("GET", base, ""), 200)
	second := testcloud.Decode[invalidTokens](w.Ask("GET", base+"&pageToken="+first.NextPageToken, ""), 200)
	all := slices.Concat(first.Tokens, second.Tokens)
	if len(first.Tokens) != 2 {
		t.Fatalf("two pages: number of tokens of the first is %v, want 2: %+v", len(first.Tokens), first.Tokens)
	}
	if len(all) != 3 {
		t.Fatalf("two pages: number of tokens of both is %v, want 3: %+v", len(all), all)
	}
	if second.NextPageToken != "" {
		t.Fatalf("two pages: NextPageToken is %q, want none", second.NextPageToken)
	}

	for i, want := range []string{push.CodeUnregistered, push.CodeInvalidArgument, push.CodeUnregistered} {
		t.Run(want, func(t *testing.T) {
			d := all[i]
			check.Equal(t, d.Code, want, "%d: Code", i)
			check.Equal(t, d.Customer, fmt.Sprintf("c-%s-%d", m.ID, i+1), "%d: Customer", i)
			if d.TokenID == "" {
				t.Errorf("%d: TokenID is empty, want a value", i)
			}
			if d.At.IsZero() {
				t.Errorf("%d: At is zero, want a time", i)
			}
		})
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

	// One token is registered again, which removes its flag.
	if _, err := w.store.RegisterToken(t.Context(), all[0].Customer, push.Registration{Kind: push.KindToken, Value: fmt.Sprintf("t-%s-1", m.ID)}); err != nil {
		t.Fatal(err)
	}

	w.Published("dispatch", 2)
	began := w.clock.Now()
	for range 2 { // asking again changes nothing
		got := testcloud.Decode[unflagged](w.Ask("POST", "/v1/mailings/"+m.ID+"/unflag", ""), http.StatusAccepted)
		want := push.Unflag{State: push.UnflagRunning, StartedAt: began}
		if diff := cmp.Diff(unflagged{m.ID, want}, got); diff != "" {
			t.Errorf("the answer (-want +got):\n%s", diff)
		}
		w.clock.Add(time.Second)
	}

	for _, message := range w.Published("dispatch", 2) {
		if want := fmt.Sprintf(`{"mailing":%q,"shard":%d}`, m.ID, push.DispatchUnflag); message.Data != want {
			t.Errorf("published %s, want %s", message.Data, want)
		}
	}

	for _, d := range all {
		if _, _, err := w.store.UnflagTokens(t.Context(), m.ID, []store.CustomerTokens{{Customer: d.Customer, Tokens: []string{d.TokenID}}}); err != nil {
			t.Fatal(err)
		}
	}
	u := w.show(m.ID).Unflag
	if u == nil {
		t.Fatal("while it runs, the unflag is nil, want it set")
	}
	check.Equal(t, u.State, push.UnflagRunning, "state of the unflag while it runs")
	check.Equal(t, u.Unflagged, 2, "number of unflagged tokens while it runs")
	if u.CompletedAt != nil {
		t.Errorf("completedAt of the unflag, while it runs, is %v, want none", u.CompletedAt)
	}

	if _, err := w.store.EndUnflag(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	u = w.show(m.ID).Unflag
	if u == nil {
		t.Fatal("in the end, the unflag is nil, want it set")
	}
	check.Equal(t, u.State, push.UnflagCompleted, "state of the unflag in the end")
	check.Equal(t, u.Unflagged, 2, "number of unflagged tokens in the end")
	if u.CompletedAt == nil {
		t.Error("completedAt of the unflag, in the end, is nil, want it set")
	}

	got := testcloud.Decode[unflagged](w.Ask("POST", "/v1/mailings/"+m.ID+"/unflag", ""), http.StatusAccepted)
	check.Equal(t, got.Unflag.State, push.UnflagCompleted, "state of the unflag, asked again,")
	check.Equal(t, got.Unflag.Unflagged, 2, "number of unflagged tokens, asked again,")
	w.Published("dispatch", 0)
}

// unflagged is what POST /v1/mailings/{id}/unflag answers.
type unflagged struct {
	ID     string
	Unflag push.Unflag
}

// TestUnflagWhoseMessageIsLost: the unflag is stored, so tick publishes its message again.
func TestUnflagWhoseMessageIsLost(t *testing.T) {
	t.Parallel()
	w := newHarness(t) // without a topic dispatch
	m := w.hand(plain)
	w.sendMailing(m.ID, push.ResultUnregistered)
	testcloud.Decode[unflagged](w.Ask("POST", "/v1/mailings/"+m.ID+"/unflag", ""), http.StatusAccepted)
	w.clock.Add(5 * time.Minute)
	due, err := w.store.ListStalledUnflags(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, due, []string{m.ID}, "unflags that are due for tick")
}

// TestUnflagThatIsForbidden: a mailing that has not started has no flags. The batches of an
// old one, which list its flags, are deleted.
func TestUnflagThatIsForbidden(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	waits := w.hand(plain)
	old := w.hand(plain)
	w.sendMailing(old.ID, push.ResultUnregistered)
	if got := w.Ask("POST", "/v1/mailings/"+waits.ID+"/unflag", ""); got.Code != http.StatusConflict {
		t.Errorf("before its start: %d %s", got.Code, got.Body)
	}
	w.clock.Add(push.DefaultLifetime + store.KeepBatches + time.Second)
	if got := w.Ask("POST", "/v1/mailings/"+old.ID+"/unflag", ""); got.Code != http.StatusConflict {
		t.Errorf("after 30 days: %d %s", got.Code, got.Body)
	}
}

// settle stores the results as deliver does, and flags the invalid tokens.
func (w *harness) settle(ref push.BatchRef, results []push.Result) {
	w.t.Helper()
	ctx := w.t.Context()
	b, err := w.store.ReadBatch(ctx, ref)
	if err != nil {
		w.t.Fatal(err)
	}
	codes := map[push.Result]string{push.ResultUnregistered: push.CodeUnregistered, push.ResultInvalidArgument: push.CodeInvalidArgument}
	copy(b.Results, results)
	for i, r := range results {
		if codes[r] == "" {
			continue
		}
		d := push.InvalidToken{Customer: b.Targets[i].Customer, TokenID: push.TokenID(b.Targets[i].Token), Code: codes[r], At: w.clock.Now()}
		b.InvalidTokens = append(b.InvalidTokens, d)
		flag := store.Flag{Mailing: ref.Mailing, Customer: d.Customer, TokenID: d.TokenID, Code: d.Code, At: d.At, BatchCreatedAt: b.CreatedAt}
		res, err := w.store.FlagToken(ctx, flag)
		if err != nil {
			w.t.Fatal(err)
		}
		if !res.Set {
			w.t.Fatal("the token was not flagged, want it flagged")
		}
	}
	b.Settled = true
	if err := w.store.SaveBatch(ctx, b); err != nil {
		w.t.Fatal(err)
	}
	if _, err := queue.FinishMailing(ctx, w.store, &testcloud.EventRecorder[push.Event]{}, ref.Mailing); err != nil {
		w.t.Fatal(err)
	}
}
