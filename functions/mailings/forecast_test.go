package mailings_test

import (
	"fmt"
	"net/http"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
)

type progress struct {
	SecondsLeft *int64              `json:"secondsLeft"`
	Customers   push.CustomerTotals `json:"customers"`
}

// A mailing that is sending says how long it still takes: what it has not come to yet
// counts as what came before.
func TestSecondsLeft(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	m := w.hand(`{"message":{"notification":{"title":"a"}},"audience":{"everyone":true},"ratePerMinute":600}`)
	ask := func() progress {
		t.Helper()
		return testcloud.Decode[progress](w.Ask("GET", "/v1/mailings/"+m.ID, ""), http.StatusOK)
	}
	if got := ask(); got.SecondsLeft != nil {
		t.Errorf("before it starts %d seconds are left, want none", *got.SecondsLeft)
	}

	shards := []push.Shard{{Mailing: m.ID, Upto: "", Estimated: 300}}
	if _, err := w.store.StartMailing(t.Context(), m.ID, push.AllDevices, nil, shards); err != nil {
		t.Fatal(err)
	}
	sh, err := w.store.ReadShard(t.Context(), m.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: m.ID, Batch: "00-000000"}, CreatedAt: w.clock.Now(), Results: make([]push.Result, 200)}
	for i := range b.Results {
		b.Targets = append(b.Targets, push.Target{Customer: fmt.Sprint("c", i/2), Token: fmt.Sprint("token-", i), Kind: push.KindToken, Platform: push.Android})
	}
	sh.Targeted, sh.Batches, sh.After = 100, 1, "k"
	if err := w.store.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}

	got := ask()
	if got.Customers.Estimated != 300 {
		t.Errorf("estimated %d customers, want 300", got.Customers.Estimated)
	}
	// 200 messages wait, and 200 customers are to come, who have two tokens each.
	if got.SecondsLeft == nil {
		t.Fatal("a mailing that is sending does not say how long it takes")
	}
	if *got.SecondsLeft != 60 {
		t.Errorf("%d seconds are left, want 60", *got.SecondsLeft)
	}
}
