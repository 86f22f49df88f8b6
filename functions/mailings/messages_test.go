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
)

// sent is what POST and GET /v1/messages answer.
type sent struct {
	ID       string
	State    push.State
	Excluded push.Exclusion
	Tokens   []struct{ ID, Result, Code string }
}

func (w *harness) send(body string, code int, header ...string) sent {
	w.t.Helper()
	return testcloud.Decode[sent](w.Ask("POST", "/v1/messages", body, header...), code)
}

// A message is stored, and its id and customer are published.
func TestMessageIsAcceptedAndPublished(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("messages")
	got := w.send(`{"customer":"anna","message":{"notification":{"title":"+{{ values.points }}"}},"values":{"points":50},"lifetime":"10m"}`, http.StatusAccepted)

	m, err := w.store.ReadMessage(t.Context(), got.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{push.Accepted, "anna", map[string]any{"points": 50.0}, w.clock.Now().Add(10 * time.Minute)}
	if diff := cmp.Diff(want, []any{m.State, m.Customer, m.Values, m.ExpiresAt.UTC()}); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if data, want := w.Published("messages", 1)[0].Data, `{"message":"`+got.ID+`","customer":"anna"}`; data != want {
		t.Errorf("published %s, want %s", data, want)
	}
	if shown := testcloud.Decode[sent](w.Ask("GET", "/v1/messages/"+got.ID, ""), http.StatusOK); shown.State != push.Accepted {
		t.Errorf("the state of the message is %s, want %s", shown.State, push.Accepted)
	}
}

// The same key and body is the same message, and is published again, because the first
// request may have failed to; the same key with another body is refused.
func TestMessageOfTheSameKeyIsTheSame(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("messages")
	first := w.send(message, http.StatusAccepted, "Idempotency-Key", "k")
	again := w.Ask("POST", "/v1/messages", message, "Idempotency-Key", "k")
	if got := testcloud.Decode[sent](again, http.StatusAccepted).ID; got != first.ID {
		t.Errorf("the second try gave message %s, want %s", got, first.ID)
	}
	if got := again.Header.Get("Idempotency-Replayed"); got != "true" {
		t.Errorf("Idempotency-Replayed is %q, want true", got)
	}
	w.Published("messages", 2)
	if got := w.Ask("POST", "/v1/messages", strings.Replace(message, "anna", "bob", 1), "Idempotency-Key", "k"); got.Code != http.StatusConflict {
		t.Errorf("another body: %v, want 409", got)
	}
	if got := w.send(message, http.StatusAccepted).ID; got == first.ID {
		t.Error("a message without a key has the id of another one")
	}
}

// Every fault of a message is named at once.
func TestFaultsOfAMessageAreNamed(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	long := strings.Repeat("x", 5000)
	for name, c := range map[string]struct {
		body string
		want []string
	}{
		"nothing":             {`{}`, []string{"body.customer", "body.message"}},
		"two recipients":      {`{"customer":"a","token":"b","message":{"data":{"a":"b"}}}`, []string{"body.customer"}},
		"an unknown field":    {`{"customer":"a","message":{"data":{"a":"b"}},"dryRun":true}`, []string{"body.dryRun"}},
		"a target":            {`{"customer":"a","message":{"data":{"a":"b"},"token":"t"}}`, []string{"body.message.token"}},
		"an unknown name":     {`{"customer":"a","message":{"data":{"a":"{{ foo }}"}}}`, []string{"body.message.data.a"}},
		"a nested value":      {`{"customer":"a","message":{"data":{"a":"b"}},"values":{"a":{"b":1}}}`, []string{"body.values.a"}},
		"a large payload":     {`{"customer":"a","message":{"data":{"a":"` + long + `"}}}`, []string{"body.message"}},
		"large once rendered": {`{"customer":"a","message":{"data":{"a":"{{ values.a }}{{ values.a }}{{ values.a }}"}},"values":{"a":"` + long[:2000] + `"}}`, []string{"body.message"}},
		"an unknown platform": {`{"customer":"a","message":{"data":{"a":"b"}},"only":{"platforms":["tv"]}}`, []string{"body.only.platforms[0]"}},
		"a short lifetime":    {`{"customer":"a","message":{"data":{"a":"b"}},"lifetime":"1ms"}`, []string{"body.lifetime"}},
		"several": {`{"customer":"a","message":{"data":{"a":"{{ foo }}"}},"values":{"a":[]},"devices":"some","lifetime":"1ms"}`,
			[]string{"body.devices", "body.lifetime", "body.message.data.a", "body.values.a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := testcloud.At(t, w.URL).Ask("POST", "/v1/messages", c.body)
			if got.Code != http.StatusUnprocessableEntity {
				t.Fatalf("answered %v, want 422", got)
			}
			places := slices.Compact(slices.Sorted(slices.Values(got.Places())))
			if diff := cmp.Diff(c.want, places); diff != "" {
				t.Errorf("places of the faults (-want +got):\n%s", diff)
			}
		})
	}
	for _, wait := range []string{"x", "-1s", "31s"} {
		if got := w.Ask("POST", "/v1/messages?wait="+wait, message); got.Code != http.StatusUnprocessableEntity {
			t.Errorf("wait=%s: %v, want 422", wait, got)
		}
	}
	if got := w.Ask("GET", "/v1/messages/unknown", ""); got.Code != http.StatusNotFound {
		t.Errorf("an unknown message: %v, want 404", got)
	}
}

// Values may be used in messages to one customer, and not in mailings.
func TestMailingsHaveNoValues(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	got := w.Ask("POST", "/v1/mailings", `{"message":{"notification":{"title":"{{ values.points }}"}},"audience":{"everyone":true}}`)
	if got.Code != http.StatusUnprocessableEntity {
		t.Errorf("a mailing with values: %v, want 422", got)
	}
}

// With wait the answer is 200 with the result, or 202 if it does not come in time.
func TestWaitAnswersWithTheResult(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("messages")
	const key = "waits"
	id := push.MessageID("", key)
	done := make(chan error, 1)
	go func() { done <- w.settleOnceStored(id) }()

	got := testcloud.Decode[sent](w.Ask("POST", "/v1/messages?wait=20s", message, "Idempotency-Key", key), http.StatusOK)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got.State != push.Completed {
		t.Errorf("the state is %s, want %s", got.State, push.Completed)
	}
	if got.Excluded != push.ExcludedUnknown {
		t.Errorf("it is excluded as %q, want %q", got.Excluded, push.ExcludedUnknown)
	}
	if late := testcloud.Decode[sent](w.Ask("POST", "/v1/messages?wait=1ms", message), http.StatusAccepted); late.State != push.Accepted {
		t.Errorf("without a result the state is %s, want %s", late.State, push.Accepted)
	}
}

// Of many messages each is accepted or refused by itself.
func TestManyMessagesHaveTheirOwnResults(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("messages")
	type many struct {
		Messages []struct {
			ID       string
			Replayed bool
			Problem  *testcloud.Problem
		}
	}
	bad := `{"customer":"anna","message":{"data":{"a":"{{ foo }}"}}}`
	body := `{"messages":[` + message + `,` + bad + `,` + strings.Replace(message, "anna", "bob", 1) + `]}`
	first := testcloud.Decode[many](w.Ask("POST", "/v1/messages:batch", body, "Idempotency-Key", "k"), http.StatusOK).Messages
	if len(first) != 3 {
		t.Fatalf("%d results, want 3", len(first))
	}
	if first[0].ID == "" {
		t.Error("the first message was not accepted")
	}
	p := first[1].Problem
	if p == nil {
		t.Fatal("the faulty message has no problem, want one")
	}
	check.Equal(t, p.Status, http.StatusUnprocessableEntity, "status of the problem")
	if first[2].ID == first[0].ID {
		t.Error("two messages of a request have the same id")
	}
	w.Published("messages", 2)

	again := testcloud.Decode[many](w.Ask("POST", "/v1/messages:batch", body, "Idempotency-Key", "k"), http.StatusOK).Messages
	for i := range again {
		if again[i].ID != first[i].ID {
			t.Errorf("the second try gave message %d the id %s, want %s", i, again[i].ID, first[i].ID)
		}
	}
	for name, list := range map[string]string{"none": "", "too many": testcloud.Many(push.MaxMessages+1, message)} {
		if got := w.Ask("POST", "/v1/messages:batch", `{"messages":[`+list+`]}`); got.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d, want 422", name, got.Code)
		}
	}
}

// settleOnceStored does what deliver does for a message of an unknown customer.
func (w *harness) settleOnceStored(id string) error {
	for range 1000 {
		m, err := w.store.ReadMessage(w.t.Context(), id)
		if err == nil {
			m.PickTargets(nil, push.DefaultSettings(), nil, w.clock.Now())
			m.Batch.Settled = true
			return w.store.SaveMessage(w.t.Context(), m)
		}
		if !push.IsNotFound(err) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("message %s was not stored", id)
}
