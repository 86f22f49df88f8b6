package customers

import (
	"encoding/json"
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
	"carillon.example/shared/store"
)

type sentMessages struct {
	Messages []struct {
		Mailing, Name, Title, State string
		DryRun                      bool
		StartedAt, CompletedAt      *time.Time
		Tokens                      []recipientBody
	}
	NextPageToken string
}

// sent asks for what was sent to a customer.
func (w *harness) sent(customer, query string) sentMessages {
	w.t.Helper()
	return testcloud.Decode[sentMessages](w.Ask("GET", "/v1/customers/"+customer+"/messages"+query, ""), http.StatusOK)
}

// results are the results of a customer's tokens in each message, by mailing.
func (s sentMessages) results() map[string][]string {
	out := map[string][]string{}
	for _, m := range s.Messages {
		for _, t := range m.Tokens {
			out[m.Mailing] = append(out[m.Mailing], t.Result)
		}
	}
	return out
}

// device registers a token of a customer and is a target of it.
func (w *harness) device(customer, token string) push.Target {
	w.t.Helper()
	if _, err := w.RegisterToken(w.t.Context(), customer, push.Registration{Kind: push.KindToken, Value: token, Platform: push.Android, App: "shop"}); err != nil {
		w.t.Fatal(err)
	}
	return push.Target{Customer: customer, Token: token, Kind: push.KindToken, Platform: push.Android, App: "shop"}
}

// send starts a mailing with batches of those targets, in the order of their
// customers' keys, and nothing sent yet.
func (w *harness) send(id string, batches ...[]push.Target) {
	w.t.Helper()
	ctx := w.t.Context()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	d := push.Draft{Name: "name of " + id, Message: json.RawMessage(`{"notification":{"title":"title of ` + id + `"}}`), Audience: push.Audience{Everyone: true}}
	_, _, err := w.CreateMailing(ctx, push.NewMailing(id, id, d, w.clock.Now()))
	must(err)
	_, err = w.StartMailing(ctx, id, push.AllDevices, nil, []push.Shard{{Mailing: id}})
	must(err)
	sh, err := w.ReadShard(ctx, id, 0)
	must(err)

	var list []*push.Batch
	for i, targets := range batches {
		slices.SortStableFunc(targets, func(a, b push.Target) int {
			return strings.Compare(push.CustomerKey(a.Customer), push.CustomerKey(b.Customer))
		})
		list = append(list, &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: fmt.Sprintf("00-%06d", i)}, CreatedAt: w.clock.Now(), Targets: targets, Results: make([]push.Result, len(targets))})
		sh.Targeted += int64(len(targets))
	}
	sh.Done, sh.Batches = true, len(list)
	must(w.CreateBatches(ctx, sh, list))
	_, err = w.MarkMailingDispatched(ctx, id)
	must(err)
}

// settle gives the targets of a batch their results, in order.
func (w *harness) settle(mailing string, n int, results ...push.Result) {
	w.t.Helper()
	b, err := w.ReadBatch(w.t.Context(), push.BatchRef{Mailing: mailing, Batch: fmt.Sprintf("00-%06d", n)})
	if err != nil {
		w.t.Fatal(err)
	}
	copy(b.Results, results)
	b.Settled = true
	if err := w.SaveBatch(w.t.Context(), b); err != nil {
		w.t.Fatal(err)
	}
}

// TestWhatWasSentToACustomer: every result of every token, of mailings that are
// under way and of those that are settled, the newest first.
func TestWhatWasSentToACustomer(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	all := []push.Result{push.ResultAccepted, push.ResultUnregistered, push.ResultInvalidArgument, push.ResultRefused,
		push.ResultFailed, push.ResultExpired, push.ResultCancelled, push.ResultWrongSender}
	var annas []push.Target
	for i := range all {
		annas = append(annas, w.device("anna", fmt.Sprint("anna-", i)))
	}
	ben := w.device("ben", "ben-0")
	w.send("old", append([]push.Target{}, annas...))
	w.settle("old", 0, all...)
	w.clock.Add(time.Hour)
	w.send("bens", []push.Target{ben})
	w.settle("bens", 0, push.ResultAccepted)
	w.clock.Add(time.Hour)
	w.send("new", []push.Target{annas[0], ben})

	got := w.sent("anna", "")
	if len(got.Messages) != 2 {
		t.Fatalf("number of Messages is %v, want 2: %+v", len(got.Messages), got.Messages)
	}
	if got.Messages[0].Mailing != "new" {
		t.Fatalf("newest mailing is %v, want new", got.Messages[0].Mailing)
	}
	if got.Messages[1].Mailing != "old" {
		t.Fatalf("second mailing is %v, want old", got.Messages[1].Mailing)
	}
	first := got.Messages[0]
	check.Equal(t, first.Name, "name of new", "Name")
	check.Equal(t, first.Title, "title of new", "Title")
	check.Equal(t, first.State, "sending", "state")
	if first.StartedAt == nil {
		t.Error("StartedAt is nil, want it set")
	}
	if first.CompletedAt != nil {
		t.Errorf("CompletedAt is %v, want none", first.CompletedAt)
	}
	want := []recipientBody{{ID: push.TokenID("anna-0"), Kind: push.KindToken, Platform: push.Android, App: "shop", Result: "pending"}}
	if d := cmp.Diff(want, first.Tokens); d != "" {
		t.Errorf("the tokens of the new mailing (-want +got):\n%s", d)
	}

	want = nil
	for i, r := range []string{"accepted", "invalid UNREGISTERED", "invalid INVALID_ARGUMENT", "refused", "failed", "expired", "cancelled", "invalid SENDER_ID_MISMATCH"} {
		x := recipientBody{ID: push.TokenID(fmt.Sprint("anna-", i)), Kind: push.KindToken, Platform: push.Android, App: "shop"}
		_, _ = fmt.Sscan(r, &x.Result, &x.Code) // most have no code
		want = append(want, x)
	}
	if d := cmp.Diff(want, got.Messages[1].Tokens); d != "" {
		t.Errorf("the tokens of the old mailing (-want +got):\n%s", d)
	}
	if d := cmp.Diff(map[string][]string{"new": {"pending"}, "bens": {"accepted"}}, w.sent("ben", "").results()); d != "" {
		t.Errorf("what was sent to ben (-want +got):\n%s", d)
	}
}

// TestACustomerInTwoBatches: the limit of a batch may part the tokens of a customer.
// Neighbours in the order of keys are not mixed up.
func TestACustomerInTwoBatches(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	names := []string{"anna", "ben", "cleo", "dan", "eva", "finn", "gus"}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(push.CustomerKey(a), push.CustomerKey(b)) })
	target := map[string][]push.Target{}
	for _, name := range names {
		target[name] = []push.Target{w.device(name, name+"-0"), w.device(name, name+"-1")}
	}

	// Of seven customers in order the fourth is parted, and the second is in none.
	var first, second []push.Target
	for i, name := range names {
		switch {
		case i == 1:
		case i == 3:
			first, second = append(first, target[name][0]), append(second, target[name][1])
		case i < 3:
			first = append(first, target[name]...)
		default:
			second = append(second, target[name]...)
		}
	}
	w.send("m", first, second)
	w.settle("m", 0, slices.Repeat([]push.Result{push.ResultAccepted}, len(first))...)
	w.settle("m", 1, slices.Repeat([]push.Result{push.ResultExpired}, len(second))...)

	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			want := map[string][]string{"m": {"accepted", "accepted"}}
			switch {
			case i == 1:
				want = map[string][]string{}
			case i == 3:
				want["m"] = []string{"accepted", "expired"}
			case i > 3:
				want["m"] = []string{"expired", "expired"}
			}
			if d := cmp.Diff(want, w.sent(name, "").results()); d != "" {
				t.Errorf("customer %d in order (-want +got):\n%s", i, d)
			}
		})
	}
}

// TestPagesOfWhatWasSent: a page searches so many mailings, and leaves out those
// that the customer was not in. Mailings that have not started are in none.
func TestPagesOfWhatWasSent(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	anna, ben := w.device("anna", "anna-0"), w.device("ben", "ben-0")
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("m%02d", i)
		w.clock.Add(time.Minute)
		if i >= 10 && i < 20 {
			w.send(id, []push.Target{ben})
			continue
		}
		w.send(id, []push.Target{anna})
		want = append([]string{id}, want...)
	}
	if _, _, err := w.CreateMailing(t.Context(), push.NewMailing("later", "later", push.Draft{Message: json.RawMessage(`{}`)}, w.clock.Now())); err != nil {
		t.Fatal(err)
	}

	var got []string
	var sizes []int
	for token := ""; ; {
		page := w.sent("anna", "?pageSize=10&pageToken="+token)
		for _, m := range page.Messages {
			got = append(got, m.Mailing)
		}
		sizes = append(sizes, len(page.Messages))
		if token = page.NextPageToken; token == "" {
			break
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the mailings (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]int{5, 4, 6}, sizes); d != "" {
		t.Errorf("the sizes of the pages (-want +got):\n%s", d)
	}
	w.want(http.StatusUnprocessableEntity, "GET", annasMessages+"?pageSize=21", "")
	w.want(http.StatusUnprocessableEntity, "GET", annasMessages+"?pageToken=nonsense", "")
}

const annasMessages = anna + "/messages"

// TestNothingFromBeforeAnErasure: who was erased is not known, and who comes back
// has nothing of before, though the batches of that time are still there.
func TestNothingFromBeforeAnErasure(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	anna, ben := w.device("anna", "anna-0"), w.device("ben", "ben-0")
	w.send("settled", []push.Target{anna, ben})
	w.settle("settled", 0, push.ResultAccepted, push.ResultAccepted)
	w.send("open", []push.Target{anna, ben})
	w.clock.Add(time.Hour)
	w.want(http.StatusNoContent, "DELETE", "/v1/customers/anna", "")

	w.want(http.StatusNotFound, "GET", annasMessages, "")
	w.clock.Add(time.Second)
	w.send("after", []push.Target{w.device("anna", "anna-0")})
	if d := cmp.Diff(map[string][]string{"after": {"pending"}}, w.sent("anna", "").results()); d != "" {
		t.Errorf("what was sent to anna (-want +got):\n%s", d)
	}
	if got := len(w.sent("ben", "").Messages); got != 2 {
		t.Errorf("ben was sent %d messages, want 2: they were not ben's to lose", got)
	}
	w.want(http.StatusNotFound, "GET", "/v1/customers/nobody/messages", "")
}

// TestWhatWasSentIsKeptAMonth: an answer does not wait for TTL, and does not miss
// what TTL has deleted.
func TestWhatWasSentIsKeptAMonth(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.send("m", []push.Target{w.device("anna", "anna-0")})
	w.settle("m", 0, push.ResultAccepted)
	m, err := w.ReadMailingHeader(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}

	w.clock.Add(m.ExpiresAt.Sub(w.clock.Now()) + store.KeepBatches - time.Minute)
	if got := len(w.sent("anna", "").Messages); got != 1 {
		t.Errorf("a minute before its time %d messages are listed, want 1", got)
	}
	w.clock.Add(2 * time.Minute)
	if got := len(w.sent("anna", "").Messages); got != 0 {
		t.Errorf("after its time %d messages are listed, want none", got)
	}

	w.send("deleted", []push.Target{w.device("anna", "anna-0")})
	if _, err := w.DB().Doc("mailings/deleted/batches/00-000000").Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := len(w.sent("anna", "").Messages); got != 0 {
		t.Errorf("%d messages are listed of a mailing without batches, want none", got)
	}
}

// TestATokenThatMoved stays in the list of whom it was sent to; the new owner has
// only what was sent since.
func TestATokenThatMoved(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	target := w.device("anna", "phone")
	w.device("anna", "annas-other")
	w.send("before", []push.Target{target})
	w.settle("before", 0, push.ResultAccepted)
	w.clock.Add(time.Hour)
	moved := w.device("ben", "phone")
	w.send("since", []push.Target{moved})
	w.settle("since", 0, push.ResultExpired)

	for customer, want := range map[string]map[string][]string{
		"anna": {"before": {"accepted"}},
		"ben":  {"since": {"expired"}},
	} {
		if d := cmp.Diff(want, w.sent(customer, "").results()); d != "" {
			t.Errorf("what was sent to %s (-want +got):\n%s", customer, d)
		}
	}
}

// TestAThousandCustomersFindTheirOwn in two full batches of one mailing: each has
// one token, and the result that is theirs.
func TestAThousandCustomersFindTheirOwn(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	var all []push.Target
	for i := range 1000 {
		all = append(all, push.Target{Customer: fmt.Sprint("c", i), Token: fmt.Sprint("t", i), Kind: push.KindToken, Platform: push.Web, App: "shop"})
	}
	slices.SortFunc(all, func(a, b push.Target) int {
		return strings.Compare(push.CustomerKey(a.Customer), push.CustomerKey(b.Customer))
	})
	for i := 0; i < len(all); i += 50 {
		w.device(all[i].Customer, all[i].Token)
	}
	w.send("m", all[:500:500], all[500:])
	result := func(i int) push.Result { return push.Result(1 + i%7) }
	for n := range 2 {
		var results []push.Result
		for i := range 500 {
			results = append(results, result(500*n+i))
		}
		w.settle("m", n, results...)
	}

	for i := 0; i < len(all); i += 50 {
		got := w.sent(all[i].Customer, "")
		if len(got.Messages) != 1 {
			t.Fatalf("customer %d in order: number of Messages is %v, want 1: %+v", i, len(got.Messages), got.Messages)
		}
		if len(got.Messages[0].Tokens) != 1 {
			t.Fatalf("customer %d in order: number of tokens is %v, want 1: %+v", i, len(got.Messages[0].Tokens), got.Messages[0].Tokens)
		}
		x := got.Messages[0].Tokens[0]
		check.Equal(t, x.ID, push.TokenID(all[i].Token), "customer %d in order: ID", i)
		check.Equal(t, x.Result, result(i).String(), "customer %d in order: Result", i)
		check.Equal(t, x.Code, result(i).FlagCode(), "customer %d in order: Code", i)
	}
}
