package mailings_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

// recipient is a line of GET /v1/mailings/{id}/recipients.
type recipient struct {
	Customer, TokenID, Platform, App, Variant, Result, Code, Batch string
}

func (w *harness) recipients(path string) (out []recipient) {
	w.t.Helper()
	got := w.Ask("GET", path, "")
	if got.Code != http.StatusOK {
		w.t.Fatalf("%s: %s, want 200", path, got)
	}
	for line := range strings.Lines(got.Body) {
		var r recipient
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			w.t.Fatalf("%q: %v", line, err)
		}
		out = append(out, r)
	}
	return out
}

// Every target is a line, of settled and of open batches; who was erased or has moved
// since is not named.
func TestRecipients(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	const batches, size = 12, 3 // more than one page
	m := w.hand(`{"audience":{"everyone":true},"variants":[{"name":"a","share":0.5,"message":{"data":{"a":"b"}}},{"name":"b","share":0.5,"message":{"data":{"a":"c"}}}]}`)
	if _, err := w.store.StartMailing(t.Context(), m.ID, push.AllDevices, nil, []push.Shard{{Mailing: m.ID}}); err != nil {
		t.Fatal(err)
	}
	sh, err := w.store.ReadShard(t.Context(), m.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []recipient
	for n := range batches {
		b := &push.Batch{BatchRef: push.BatchRef{Mailing: m.ID, Batch: fmt.Sprintf("00-%06d", n)}, CreatedAt: w.clock.Now(), Variants: 2, Results: make([]push.Result, size)}
		for i := range size {
			customer, token := fmt.Sprintf("c%d-%d", n, i), fmt.Sprintf("token-%d-%d", n, i)
			if _, err := w.store.RegisterToken(t.Context(), customer, push.Registration{Kind: push.KindToken, Value: token, Platform: push.IOS, App: "shop"}); err != nil {
				t.Fatal(err)
			}
			b.Targets = append(b.Targets, push.Target{Customer: customer, Token: token, Kind: push.KindToken, Platform: push.IOS, App: "shop", Variant: i % 2})
			want = append(want, recipient{customer, push.TokenID(token), "ios", "shop", string("ab"[i%2]), "pending", "", b.Batch})
		}
		if err := w.store.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
			t.Fatal(err)
		}
		if n == batches-1 {
			continue // it stays open
		}
		b, err := w.store.ReadBatch(t.Context(), b.BatchRef)
		if err != nil {
			t.Fatal(err)
		}
		for i := range size {
			b.Results[i] = push.ResultAccepted
			want[n*size+i].Result = "accepted"
		}
		b.Results[1], b.Settled = push.ResultUnregistered, true
		want[n*size+1].Result, want[n*size+1].Code = "invalid", "UNREGISTERED"
		if err := w.store.SaveBatch(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	path := "/v1/mailings/" + m.ID + "/recipients"
	if diff := cmp.Diff(want, w.recipients(path)); diff != "" {
		t.Errorf("the recipients (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[7*size:], w.recipients(path+"?after=00-000006")); diff != "" {
		t.Errorf("the recipients behind the seventh batch (-want +got):\n%s", diff)
	}

	// A token moves, and another is unregistered: their lines name nobody.
	if _, err := w.store.RegisterToken(t.Context(), "another", push.Registration{Kind: push.KindToken, Value: "token-0-0", Platform: push.IOS}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.UnregisterToken(t.Context(), "c0-2", push.TokenID("token-0-2")); err != nil {
		t.Fatal(err)
	}
	want[0].Customer, want[2].Customer = "", ""
	if diff := cmp.Diff(want[:size], w.recipients(path)[:size]); diff != "" {
		t.Errorf("the recipients after a move (-want +got):\n%s", diff)
	}

	// The customer of an erased token is not named, and neither is the token.
	if _, err := w.store.EraseCustomer(t.Context(), "c11-1"); err != nil {
		t.Fatal(err)
	}
	erased := w.recipients(path)[11*size+1]
	if diff := cmp.Diff(recipient{Platform: "ios", App: "shop", Variant: "b", Result: "cancelled", Batch: "00-000011"}, erased); diff != "" {
		t.Errorf("the line of an erased customer (-want +got):\n%s", diff)
	}

	if got := w.Ask("GET", "/v1/mailings/mnone/recipients", ""); got.Code != http.StatusNotFound {
		t.Errorf("an unknown mailing: %s, want 404", got)
	}
}
