package devices

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
)

// message stores a message to a customer that is settled, and was for those tokens.
func (w *harness) message(customer string) string {
	w.t.Helper()
	c, err := w.store.ReadCustomer(w.t.Context(), customer)
	if err != nil {
		w.t.Fatal(err)
	}
	m := push.NewMessage("s-"+customer, "digest", push.MessageDraft{Customer: customer, Message: []byte(`{"data":{"a":"b"}}`)}, time.Now())
	if _, _, err := w.store.CreateMessage(w.t.Context(), m); err != nil {
		w.t.Fatal(err)
	}
	m.PickTargets(c, push.DefaultSettings(), nil, time.Now())
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
	w := newHarness(t, nil)
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
		t.Run(c.name, func(t *testing.T) {
			a := w.ask("POST", "/v1/devices/events", person(c.uid), `{"events": [`+fmt.Sprintf(c.event, id)+`]}`)
			if got := testcloud.Decode[push.ReportResult](a, http.StatusAccepted); got != c.want {
				t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
			}
		})
	}
	if a := w.ask("POST", "/v1/devices/events", "", `{"events": []}`); a.Code != http.StatusUnauthorized {
		t.Errorf("without an ID token: %v, want 401", a)
	}
	if a := w.ask("POST", "/v1/devices/events", person("ada"), `{"events": [{"mailing": "m1", "token": "t", "type": "opened", "customer": "eve"}]}`); a.Code != http.StatusUnprocessableEntity {
		t.Errorf("a customer in the event: %v, want 422", a)
	}
}

// A customer's phones report so many events in an hour; other customers are not affected.
func TestACustomerReportsAtMostSoManyEvents(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	w.register(person("ada"), "token-of-ada")
	w.register(person("eve"), "token-of-eve")
	events := func(uid string, n int) testcloud.Answer {
		body := strings.Repeat(`,{"mailing": "m1", "token": "token-of-`+uid+`", "type": "opened"}`, n)
		return w.ask("POST", "/v1/devices/events", person(uid), `{"events": [`+body[1:]+`]}`)
	}
	for range defaultEventsPerHour / push.MaxReports {
		if a := events("ada", push.MaxReports); a.Code != http.StatusAccepted {
			t.Fatalf("an event below the limit: %v, want 202", a)
		}
	}

	refused := events("ada", 1)
	if refused.Code != http.StatusTooManyRequests {
		t.Errorf("an event above the limit: %v, want 429", refused)
	}
	if refused.Header.Get("Retry-After") == "" {
		t.Error("the answer 429 has no Retry-After")
	}
	if a := events("eve", 1); a.Code != http.StatusAccepted {
		t.Errorf("an event of another customer: %v, want 202", a)
	}
}

func TestEventLimit(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	l := newEventLimit(5)
	for _, step := range []struct {
		name  string
		n     int
		after time.Duration
		wait  time.Duration // 0: counted
	}{
		{name: "below the limit", n: 3},
		{name: "too many at once are not counted", n: 3, wait: time.Hour},
		{name: "up to the limit", n: 2},
		{name: "above it", n: 1, after: 59 * time.Minute, wait: time.Minute},
		{name: "in the next hour", n: 5, after: time.Hour},
	} {
		err := l.countEvents("ada", step.n, noon.Add(step.after))
		var limit *push.LimitReached
		errors.As(err, &limit)
		switch {
		case step.wait == 0 && err != nil:
			t.Errorf("%s: %v, want no error", step.name, err)
		case step.wait > 0 && limit == nil:
			t.Errorf("%s: error %v, want that the limit is reached", step.name, err)
		case step.wait > 0 && limit.RetryAfter != step.wait:
			t.Errorf("%s: again after %v, want %v", step.name, limit.RetryAfter, step.wait)
		}
	}
}

func TestEventLimitForgetsWhenTooManyCustomersReport(t *testing.T) {
	t.Parallel()
	now := time.Now()
	l := newEventLimit(1)
	for i := range maxCountedCustomers + 10 {
		if err := l.countEvents(fmt.Sprint("customer-", i), 1, now); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(l.events); n > maxCountedCustomers {
		t.Errorf("it counts %d customers, want at most %d", n, maxCountedCustomers)
	}
}
