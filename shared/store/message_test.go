package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

func (w *harness) messageTo(t *testing.T, id string, d push.MessageDraft) *push.Message {
	t.Helper()
	if d.Message == nil {
		d.Message = json.RawMessage(`{"notification":{"title":"x"}}`)
	}
	m := push.NewMessage(id, "digest-"+id, d, w.clock.Now())
	if _, _, err := w.CreateMessage(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// A message is read as it was stored, in each stage of its life.
func TestMessageIsReadAsItWasStored(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "anna-token")
	m := w.messageTo(t, "s1", push.MessageDraft{Customer: "anna", Values: map[string]any{"points": 5.0}})
	same := func(stage string, want *push.Message) *push.Message {
		t.Helper()
		got, err := w.ReadMessage(t.Context(), "s1")
		if err != nil {
			t.Fatal(err)
		}
		ignore := cmp.FilterPath(func(p cmp.Path) bool {
			switch p.Last().String() {
			case ".Revision", ".Touched", ".Recipients", ".Targets", ".InvalidTokens":
				return true
			}
			return false
		}, cmp.Ignore())
		if diff := cmp.Diff(want, got, ignore, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
			t.Errorf("%s (-stored +read):\n%s", stage, diff)
		}
		return got
	}
	m = same("accepted", m)

	m.PickTargets(w.customer(t, "anna"), push.DefaultSettings(), nil, w.clock.Now())
	m.Batch.NotBefore, m.Batch.Reason = w.clock.Now().Add(time.Minute), "FCM is out of reach"
	if err := w.SaveMessage(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m = same("waiting", m)
	if diff := cmp.Diff([]push.Recipient{{TokenID: push.TokenID("anna-token"), Kind: push.KindToken, Platform: push.Android}}, m.Recipients); diff != "" {
		t.Errorf("recipients while it waits (-want +got):\n%s", diff)
	}

	if err := w.LeaseMessage(t.Context(), m, push.Lease{Owner: "me", Until: w.clock.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	m = same("leased", m)
	m.Batch.ReleaseLease(true)
	m.Batch.NotBefore, m.Batch.Reason = time.Time{}, ""
	m.Batch.Results[0], m.Batch.Settled = push.ResultAccepted, true
	if err := w.SaveMessage(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	m = same("settled", m)
	if m.State != push.Completed {
		t.Errorf("the state is %s, want %s", m.State, push.Completed)
	}
	if diff := cmp.Diff([]push.Recipient{{TokenID: push.TokenID("anna-token"), Kind: push.KindToken, Platform: push.Android, Result: push.ResultAccepted}}, m.Recipients); diff != "" {
		t.Errorf("recipients at the end (-want +got):\n%s", diff)
	}
}

// Of two calls that read the same revision one stores its result.
func TestSecondSaveOfAMessageIsAConflict(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.messageTo(t, "s1", push.MessageDraft{Customer: "anna"})
	var copies [2]*push.Message
	for i := range copies {
		m, err := w.ReadMessage(t.Context(), "s1")
		if err != nil {
			t.Fatal(err)
		}
		m.PickTargets(nil, push.DefaultSettings(), nil, w.clock.Now())
		copies[i] = m
	}
	if err := w.SaveMessage(t.Context(), copies[0]); err != nil {
		t.Fatal(err)
	}
	if err := w.SaveMessage(t.Context(), copies[1]); !store.IsRevisionConflict(err) {
		t.Errorf("the second save was answered %v, want a conflict", err)
	}
}

// The list of a customer has mailings and messages in one order, in pages of any size.
func TestListOfACustomerHasMailingsAndMessages(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "c-anna", "anna")
	anna := w.customer(t, "c-anna")
	var want []string
	for i := range 7 {
		w.clock.Add(time.Second)
		id := fmt.Sprint("m", i)
		w.mailing(t, id, push.Audience{Everyone: true})
		sh := w.begin(t, id)
		if err := w.CreateBatches(t.Context(), sh, []*push.Batch{batch(id, 0, "anna")}); err != nil {
			t.Fatal(err)
		}
		want = append([]string{id}, want...)
		for j := range i % 3 {
			w.clock.Add(time.Second)
			id := fmt.Sprintf("s%d-%d", i, j)
			w.messageTo(t, id, push.MessageDraft{Customer: "c-anna"})
			want = append([]string{id}, want...)
		}
		w.messageTo(t, fmt.Sprint("s-bob-", i), push.MessageDraft{Customer: "bob"})
	}

	for size := 1; size <= len(want)+1; size++ {
		var got []string
		for token, pages := "", 0; ; pages++ {
			list, next, err := w.ListCustomerMessages(t.Context(), anna, size, token)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range list {
				if m.Message != nil {
					got = append(got, m.Message.ID)
				} else {
					got = append(got, m.Mailing.ID)
				}
			}
			if token = next; token == "" {
				break
			}
			if pages > 2*len(want) {
				t.Fatalf("pages of %d do not end", size)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in pages of %d (-want +got):\n%s", size, diff)
		}
	}
}

// An erasure deletes the messages to the customer, and those to a token that no call
// has taken yet; those to others stay.
func TestMessagesOfAnErasedCustomerAreDeleted(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.register(t, "anna", "anna-token")
	w.register(t, "bob", "bob-token")
	w.messageTo(t, "s1", push.MessageDraft{Customer: "anna"})
	w.messageTo(t, "s2", push.MessageDraft{Token: "anna-token"})
	w.messageTo(t, "s3", push.MessageDraft{Customer: "bob"})
	w.messageTo(t, "s4", push.MessageDraft{Token: "bob-token"})
	taken, err := w.ReadMessage(t.Context(), "s1")
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Add(time.Second)
	if _, err := w.EraseCustomer(t.Context(), "anna"); err != nil {
		t.Fatal(err)
	}

	for id, want := range map[string]bool{"s1": false, "s2": false, "s3": true, "s4": true} {
		t.Run(id, func(t *testing.T) {
			_, err := w.ReadMessage(t.Context(), id)
			if got := !push.IsNotFound(err); got != want {
				t.Errorf("message %s is there: %t, want %t", id, got, want)
			}
		})
	}
	taken.PickTargets(nil, push.DefaultSettings(), nil, w.clock.Now())
	if err := w.SaveMessage(t.Context(), taken); !store.IsRevisionConflict(err) {
		t.Errorf("the result of an erased message was answered %v, want a conflict", err)
	}
}

// A second try whose first commit was stored finds its own write.
func TestCreatingAMessageTwiceIsOneMessage(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	first := w.messageTo(t, "s1", push.MessageDraft{Customer: "anna"})
	again := push.NewMessage("s1", first.Digest, first.MessageDraft, w.clock.Now())
	stored, created, err := w.CreateMessage(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, created, false, "the second creation: created")
	check.Equal(t, stored.CreatedAt.UnixMicro(), first.CreatedAt.UnixMicro(), "the second creation: stored.CreatedAt.UnixMicro()")
	other := push.NewMessage("s1", "another digest", first.MessageDraft, w.clock.Now())
	if _, _, err := w.CreateMessage(t.Context(), other); !push.IsStateConflict(err) {
		t.Errorf("another body was answered %v, want a conflict", err)
	}
}

// A message that was not stored because of contention is no message that is not found:
// the caller tries again.
func TestContentionWhileAMessageIsStoredIsUnavailable(t *testing.T) {
	t.Parallel()
	aborts := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		if strings.HasSuffix(method, "/Commit") {
			return status.Error(codes.Aborted, "too much contention on these documents")
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	w := newHarness(t, grpc.WithUnaryInterceptor(aborts))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	m := push.NewMessage("s1", "digest", push.MessageDraft{Customer: "anna", Message: json.RawMessage(`{}`)}, w.clock.Now())
	_, _, err := w.CreateMessage(ctx, m)
	if _, ok := errors.AsType[*push.Unavailable](err); !ok {
		t.Errorf("storing it was answered %v, want *push.Unavailable", err)
	}
}

// tick publishes nothing again that a call of deliver has stored something about since
// it was listed.
func TestMessageThatChangedIsNotMarkedAsPublished(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	m := w.messageTo(t, "s1", push.MessageDraft{Customer: "anna"})
	due, err := w.ListDueMessages(t.Context(), w.clock.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if len(due) != 1 {
		t.Fatalf("%d messages are due, want 1", len(due))
	}
	m.PickTargets(nil, push.DefaultSettings(), nil, w.clock.Now())
	m.Batch.Settled = true
	if err := w.SaveMessage(t.Context(), m); err != nil {
		t.Fatal(err)
	}

	marked, err := w.MarkMessagePublished(t.Context(), due[0], w.clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if marked {
		t.Error("a settled message was recorded as published")
	}
}

// TestAMessageIsPublishedAgainInTime: the time until a message is published again doubles
// while no call works on it, and has a limit. Once a call has worked on it, it is short again,
// however old the message is.
func TestAMessageIsPublishedAgainInTime(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	m := w.messageTo(t, "s1", push.MessageDraft{Customer: "anna"})
	publishAfter := func(passed, want time.Duration) {
		t.Helper()
		w.clock.Add(passed)
		due, err := w.ListDueMessages(t.Context(), w.clock.Now())
		if err != nil {
			t.Fatalf("listing what is due: %v", err)
		}
		if len(due) != 1 {
			t.Fatalf("%s later %d messages are due, want 1", passed, len(due))
		}
		if marked, err := w.MarkMessagePublished(t.Context(), due[0], w.clock.Now()); err != nil || !marked {
			t.Fatalf("marking it as published: %t, %v", marked, err)
		}

		for at, n := range map[time.Duration]int{want - time.Second: 0, want: 1} {
			due, err := w.ListDueMessages(t.Context(), w.clock.Now().Add(at))
			if err != nil {
				t.Fatalf("listing what is due in %s: %v", at, err)
			}
			if len(due) != n {
				t.Errorf("%d messages are due in %s, want %d", len(due), at, n)
			}
		}
	}
	for _, step := range []struct{ passed, want time.Duration }{
		{2 * time.Minute, 2 * time.Minute}, {2 * time.Minute, 4 * time.Minute}, {4 * time.Minute, 8 * time.Minute},
		{8 * time.Minute, 10 * time.Minute}, {10 * time.Minute, 10 * time.Minute}, {20 * time.Minute, 10 * time.Minute},
	} {
		publishAfter(step.passed, step.want)
	}

	m, err := w.ReadMessage(t.Context(), m.ID)
	if err != nil {
		t.Fatalf("reading the message: %v", err)
	}
	if err := w.LeaseMessage(t.Context(), m, push.Lease{Owner: "a", Until: w.clock.Now().Add(time.Minute)}); err != nil {
		t.Fatalf("leasing the message: %v", err)
	}
	publishAfter(time.Minute, 2*time.Minute)
}
