package push_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"carillon.example/shared/push"
)

// TestRecipientsOfABatch: each customer's tokens come back with their results, in
// order, and those of a target that an erasure has emptied do not.
func TestRecipientsOfABatch(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var targets []push.Target
		var results []push.Result
		want := map[string][]push.Recipient{}
		for i := range rapid.IntRange(0, 40).Draw(t, "targets") {
			x := push.Target{
				Customer: rapid.SampledFrom([]string{"", "anna", "ben", "cleo", "dan"}).Draw(t, "customer"),
				Token:    fmt.Sprint("token-", i),
				Kind:     rapid.SampledFrom([]push.Kind{push.KindToken, push.KindFID}).Draw(t, "kind"),
				Platform: rapid.SampledFrom([]push.Platform{"", push.Android, push.IOS, push.Web}).Draw(t, "platform"),
				App:      rapid.SampledFrom([]string{"", "shop", "driver"}).Draw(t, "app"),
			}
			result := push.Result(rapid.ByteRange(0, 8).Draw(t, "result"))
			targets, results = append(targets, x), append(results, result)
			if x.Customer != "" {
				want[x.Customer] = append(want[x.Customer], push.Recipient{TokenID: push.TokenID(x.Token), Kind: x.Kind, Platform: x.Platform, App: x.App, Result: result})
			}
		}

		b := push.EncodeRecipients(targets)
		for _, customer := range []string{"anna", "ben", "cleo", "dan", "nobody", ""} {
			got, err := push.FindRecipients(b, results, push.CustomerKey(customer))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want[customer], got); d != "" {
				t.Errorf("recipients of %q (-want +got):\n%s", customer, d)
			}
		}
	})
}

// TestRecipientsAreSmall: they stay for two months.
func TestRecipientsAreSmall(t *testing.T) {
	t.Parallel()
	targets := make([]push.Target, push.MaxBatch)
	for i := range targets {
		targets[i] = push.Target{Customer: fmt.Sprint("customer-", i), Token: fmt.Sprint("token-", i), App: "shop"}
	}
	if n := len(push.EncodeRecipients(targets)); n > 32*push.MaxBatch {
		t.Errorf("the recipients of a full batch have %d bytes, want at most 32 each", n)
	}
}

func FuzzFindRecipients(f *testing.F) {
	f.Add(push.EncodeRecipients([]push.Target{{Customer: "c", Token: "t", App: "shop"}}), 1)
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f}, 0)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 0 || n > push.MaxBatch {
			return
		}
		found, err := push.FindRecipients(b, make([]push.Result, n), push.CustomerKey("c"))
		if err == nil && len(found) > n {
			t.Fatalf("%d recipients of %d targets", len(found), n)
		}
	})
}

// TestNamesOfResults are those of the API.
func TestNamesOfResults(t *testing.T) {
	t.Parallel()
	for result, want := range map[push.Result]string{
		push.ResultPending: "pending", push.ResultAccepted: "accepted", push.ResultUnregistered: "invalid", push.ResultInvalidArgument: "invalid",
		push.ResultRefused: "refused", push.ResultFailed: "failed", push.ResultExpired: "expired", push.ResultCancelled: "cancelled",
		push.ResultWrongSender: "invalid", 99: "unknown",
	} {
		if got := result.String(); got != want {
			t.Errorf("result %d is %q, want %q", byte(result), got, want)
		}
	}
}
