package mailings_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// reports counts what the phone with a token reports now.
func (w *harness) reports(of, token string, types ...push.ReportType) {
	w.t.Helper()
	for _, typ := range types {
		n, err := w.store.RecordReports(w.t.Context(), []push.Report{{Of: of, TokenID: push.TokenID(token), Type: typ, At: w.clock.Now()}}, func(context.Context, ...push.Event) error { return nil })
		if err != nil {
			w.t.Fatalf("reporting %s: %v", typ, err)
		}
		if n.Counted != 1 {
			w.t.Fatalf("reporting %s: Counted is %v, want 1", typ, n.Counted)
		}
	}
}

// TestAMailingShowsWhatPhonesReported: for the whole, each variant and each recipient,
// and no sum of ours changes.
func TestAMailingShowsWhatPhonesReported(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	if _, err := w.store.RegisterToken(ctx, "anna", push.Registration{Kind: push.KindToken, Value: "anna-1", Platform: push.IOS}); err != nil {
		t.Fatal(err)
	}
	id := w.hand(`{"variants":[{"name":"a","share":0.5,"message":{"data":{"a":"b"}}},{"name":"b","share":0.5,"message":{"data":{"a":"c"}}}],"audience":{"everyone":true}}`).ID
	if _, err := w.store.StartMailing(ctx, id, push.AllDevices, nil, []push.Shard{{Mailing: id}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.store.ReadShard(ctx, id, 0)
	if err != nil {
		t.Fatal(err)
	}
	target := push.Target{Customer: "anna", Token: "anna-1", Kind: push.KindToken, Platform: push.IOS, Variant: 1}
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: "00-000000"}, CreatedAt: w.clock.Now(), Variants: 2, Targets: []push.Target{target}, Results: make([]push.Result, 1)}
	if err := w.store.CreateBatches(ctx, sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Hour)
	w.reports(id, "anna-1", push.ReportDelivered, push.ReportOpened)

	type shown struct {
		Reported push.Reported
		Tokens   push.TokenTotals
		Variants map[string]push.Reported
	}
	got := testcloud.Decode[shown](w.Ask("GET", "/v1/mailings/"+id, ""), http.StatusOK)
	one := push.Reported{Delivered: 1, Opened: 1}
	if d := cmp.Diff(one, got.Reported); d != "" {
		t.Errorf("reported (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string]push.Reported{"a": {}, "b": one}, got.Variants); d != "" {
		t.Errorf("by variant (-want +got):\n%s", d)
	}
	check.Equal(t, got.Tokens.Accepted, 0, "tokens accepted")
	check.Equal(t, got.Tokens.Pending, 1, "tokens pending")

	lines := strings.TrimSpace(w.Ask("GET", "/v1/mailings/"+id+"/recipients", "").Body)
	var line struct {
		TokenID string
		Opened  time.Time
	}
	if err := json.Unmarshal([]byte(lines), &line); err != nil {
		t.Fatalf("the recipients are %q: %v", lines, err)
	}
	if !line.Opened.Equal(w.clock.Now()) {
		t.Errorf("opened at %v, want %v", line.Opened, w.clock.Now())
	}
}

// TestAMessageShowsWhatPhonesReported, for the whole and each token.
func TestAMessageShowsWhatPhonesReported(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ctx := t.Context()
	done, err := w.store.RegisterToken(ctx, "anna", push.Registration{Kind: push.KindToken, Value: "anna-1", Platform: push.IOS})
	if err != nil {
		t.Fatal(err)
	}
	m := push.NewMessage("s1", "digest", push.MessageDraft{Customer: "anna", Message: []byte(`{"data":{"a":"b"}}`)}, w.clock.Now())
	if _, _, err := w.store.CreateMessage(ctx, m); err != nil {
		t.Fatal(err)
	}
	m.PickTargets(done.Customer, push.DefaultSettings(), nil, w.clock.Now())
	m.Batch.ClosePending(push.ResultAccepted)
	m.Batch.Settled = true
	if err := w.store.SaveMessage(ctx, m); err != nil {
		t.Fatal(err)
	}
	w.reports("s1", "anna-1", push.ReportOpened)

	type shown struct {
		Reported *push.Reported
		Tokens   []struct{ Opened *time.Time }
	}
	got := testcloud.Decode[shown](w.Ask("GET", "/v1/messages/s1", ""), http.StatusOK)
	if d := cmp.Diff(&push.Reported{Opened: 1}, got.Reported); d != "" {
		t.Errorf("reported (-want +got):\n%s", d)
	}
	if len(got.Tokens) != 1 {
		t.Fatalf("number of Tokens is %v, want 1: %+v", len(got.Tokens), got.Tokens)
	}
	if got.Tokens[0].Opened == nil {
		t.Fatal("opened of the token is nil, want it set")
	}
	check.Equal(t, *got.Tokens[0].Opened, w.clock.Now(), "opened of the token")
}
