package devices

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
)

// message stores a message to a customer that is settled, and was for those tokens.
func (w *world) message(customer string) string {
	w.t.Helper()
	c, err := w.store.ReadCustomer(w.t.Context(), customer)
	if err != nil {
		w.t.Fatal(err)
	}
	m := push.NewMessage("s-"+customer, "digest", push.MessageDraft{Customer: customer, Message: []byte(`{"data":{"a":"b"}}`)}, time.Now())
	if _, _, err := w.store.CreateMessage(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	m.Pick(c, push.DefaultSettings(), nil, time.Now())
	m.Batch.ClosePending(push.ResultAccepted)
	m.Batch.Settled = true
	if err := w.store.SaveMessage(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	return m.ID
}

// TestAPhoneReportsItsOwnMessagesOnly: whatever it says, only what was sent to the
// customer of the ID token counts.
func TestAPhoneReportsItsOwnMessagesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.register(person("ada"), "token-of-ada")
	w.register(person("eve"), "token-of-eve")
	id := w.message("ada")
	for _, c := range []struct {
		name, uid, event string
		want             push.ReportResult
	}{
		{"another's message", "eve", `{"message": %q, "token": "token-of-ada", "type": "opened"}`, push.ReportResult{Unknown: 1}},
		{"another's message on the own phone", "eve", `{"message": %q, "token": "token-of-eve", "type": "opened"}`, push.ReportResult{Unknown: 1}},
		{"the own message on another's phone", "ada", `{"message": %q, "token": "token-of-eve", "type": "opened"}`, push.ReportResult{Unknown: 1}},
		{"the own message", "ada", `{"message": %q, "token": "token-of-ada", "type": "opened"}`, push.ReportResult{Counted: 1}},
		{"its id as data.mailing_id has it", "ada", `{"mailing": %q, "token": "token-of-ada", "type": "opened"}`, push.ReportResult{Repeated: 1}},
	} {
		a := w.ask("POST", "/v1/devices/events", person(c.uid), `{"events": [`+fmt.Sprintf(c.event, id)+`]}`)
		if got := testcloud.Decode[push.ReportResult](a, http.StatusAccepted); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if a := w.ask("POST", "/v1/devices/events", "", `{"events": []}`); a.Code != http.StatusUnauthorized {
		t.Errorf("without an ID token: %v, want 401", a)
	}
	if a := w.ask("POST", "/v1/devices/events", person("ada"), `{"events": [{"mailing": "m1", "token": "t", "type": "opened", "customer": "eve"}]}`); a.Code != http.StatusUnprocessableEntity {
		t.Errorf("a customer in the event: %v, want 422", a)
	}
}
