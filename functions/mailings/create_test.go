package mailings_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	got := w.Ask("POST", "/v1/mailings", plain)
	m := testcloud.Decode[brief](got, http.StatusAccepted)
	check.Equal(t, m.State, push.Accepted, "%s: state", got.Request)
	check.Equal(t, got.Header.Get("Location"), "/v1/mailings/"+m.ID, "%s: header Location", got.Request)
	check.Equal(t, got.Header.Get("Idempotency-Replayed"), "", "%s: header Idempotency-Replayed", got.Request)
	var message push.DispatchMessage
	err := json.Unmarshal([]byte(w.Published("dispatch", 1)[0].Data), &message)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, message, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart}, "the dispatch message")
	kept, err := w.store.ReadMailing(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, kept.Proven, true, "Proven")
	check.Equal(t, kept.State, push.Accepted, "state")
	check.Equal(t, kept.CreatedAt, w.clock.Now(), "CreatedAt")
	check.Equal(t, string(kept.Message), `{"notification":{"title":"a"}}`, "Message")
	if n := len(w.phones.Messages(phones.Filter{})); n != 0 {
		t.Errorf("proving the payload sent to %d phones, want none", n)
	}
	if again := w.hand(plain); again.ID == m.ID {
		t.Error("without a key, the same body is another mailing")
	}
}

func TestCreateForLater(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	body := `{"message":{"data":{"a":"b"}},"audience":{"segments":{"any":["x"]}},"sendAt":"2026-11-01T13:00:00Z","lifetime":"2h"}`
	m := w.hand(body, "Idempotency-Key", "later")
	if m.State != push.Scheduled {
		t.Errorf("it is %s", m.State)
	}
	w.Published("dispatch", 0)
	w.Ask("POST", "/v1/mailings/"+m.ID+"/cancel", "")
	w.clock.Add(3 * time.Hour) // sendAt is in the past now, and the body was right when it came
	again := w.Ask("POST", "/v1/mailings", body, "Idempotency-Key", "later")
	was := testcloud.Decode[brief](again, http.StatusAccepted)
	check.Equal(t, was, m, "the mailing")
	check.Equal(t, again.Header.Get("Idempotency-Replayed"), "true", "second answer: header Idempotency-Replayed")
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	first := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	m := testcloud.Decode[brief](first, http.StatusAccepted)
	w.Ask("POST", "/v1/mailings/"+m.ID+"/cancel", "")
	again := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	check.Equal(t, again.Body, first.Body, "body of the second answer")
	check.Equal(t, again.Code, first.Code, "status of the second answer")
	check.Equal(t, again.Header.Get("Location"), first.Header.Get("Location"), "header Location of the second answer")
	check.Equal(t, first.Header.Get("Idempotency-Replayed"), "", "header Idempotency-Replayed of the first answer")
	check.Equal(t, again.Header.Get("Idempotency-Replayed"), "true", "header Idempotency-Replayed of the second answer")
	if got := w.Ask("POST", "/v1/mailings", strings.Replace(plain, `"a"`, `"b"`, 1), "Idempotency-Key", "k"); got.Code != http.StatusConflict {
		t.Errorf("another body: %d %s", got.Code, got.Body)
	}
	if other := w.hand(plain, "Idempotency-Key", "l"); other.ID == m.ID {
		t.Error("another key gave the same mailing")
	}
	if n := w.stored(); n != 2 {
		t.Errorf("%d mailings are recorded, want 2", n)
	}
	got := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", strings.Repeat("k", 300))
	testcloud.CheckCode(t, got, 422)
	check.Contains(t, got.Body, "header.Idempotency-Key", "a long key: body")
	for _, keys := range [][]string{{""}, {" "}, {"k", "l"}, {"", "l"}} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", w.URL+"/v1/mailings", strings.NewReader(plain))
		r.RequestURI = ""
		r.Header.Set("Content-Type", "application/json")
		r.Header["Idempotency-Key"] = keys
		got := w.Send(r)
		testcloud.CheckCode(t, got, 422)
		check.Contains(t, got.Body, "header.Idempotency-Key", "keys %q: body", keys)
	}
	if n := w.stored(); n != 2 {
		t.Errorf("%d mailings are recorded, want 2", n)
	}
}

func TestOneKeyManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	ids := make(chan string)
	for range 8 {
		go func() {
			got := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "race")
			if got.Code != http.StatusAccepted {
				t.Errorf("%d %s", got.Code, got.Body)
			}
			ids <- got.Header.Get("Location")
		}()
	}
	seen := map[string]bool{}
	for range 8 {
		seen[<-ids] = true
	}
	check.Equal(t, len(seen), 1, "number of mailings that one key made")
	check.Equal(t, w.stored(), 1, "stored mailings")
}

func TestPublishingFails(t *testing.T) {
	t.Parallel()
	w := newHarness(t) // without a topic dispatch
	got := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	if got.Code != http.StatusServiceUnavailable {
		t.Fatalf("%s was answered %v, want %d", got.Request, got, http.StatusServiceUnavailable)
	}
	if got.Header.Get("Retry-After") == "" {
		t.Fatalf("%s: header Retry-After is empty, want a value", got.Request)
	}
	if got.Header.Get("Location") != "" {
		t.Fatalf("%s: header Location is %q, want none", got.Request, got.Header.Get("Location"))
	}
	if n := w.stored(); n != 1 {
		t.Fatalf("%d mailings are recorded", n)
	}
	w.Topic("dispatch")
	again := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	m := testcloud.Decode[brief](again, http.StatusAccepted)
	message := w.Published("dispatch", 1)[0].Data
	check.Contains(t, message, m.ID, "the dispatch message")
	check.Equal(t, w.stored(), 1, "stored mailings")
}

// TestPublishingFailsWithoutAKey: a client without a key would hand in a second mailing, so
// the first is accepted, and tick starts it although its message was not published.
func TestPublishingFailsWithoutAKey(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	m := w.hand(plain)
	active, err := w.store.ListDueMailings(t.Context(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(active) != 1 {
		t.Fatalf("number of active mailings is %v, want 1: %+v", len(active), active)
	}
	check.Equal(t, active[0].ID, m.ID, "active mailing")
	check.Equal(t, active[0].State, push.Accepted, "state of the active mailing")
}

// TestASoonStartIsPublished: tick's next round might come after the start of a
// mailing that is scheduled within two minutes, and its lifetime may be one. Of a
// later one nothing is published.
func TestASoonStartIsPublished(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	w.hand(`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"sendAt":"2026-11-01T12:02:00Z"}`)
	soon := w.hand(`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"sendAt":"2026-11-01T12:00:30Z","lifetime":"1m"}`)
	var message push.DispatchMessage
	if err := json.Unmarshal([]byte(w.Published("dispatch", 1)[0].Data), &message); err != nil {
		t.Fatal(err)
	}
	if want := (push.DispatchMessage{Mailing: soon.ID, Shard: push.DispatchStart}); message != want {
		t.Errorf("published %+v, want %+v", message, want)
	}
}
