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
	"carillon.example/shared/push"
)

func TestCreate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	got := w.Ask("POST", "/v1/mailings", plain)
	m := testcloud.Decode[brief](got, http.StatusAccepted)
	if m.State != push.Accepted || got.Header.Get("Location") != "/v1/mailings/"+m.ID || got.Header.Get("Idempotency-Replayed") != "" {
		t.Errorf("%+v %v", m, got.Header)
	}
	var order push.DispatchMessage
	if err := json.Unmarshal([]byte(w.Published("dispatch", 1)[0].Data), &order); err != nil || order != (push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart}) {
		t.Errorf("ordered %+v, %v", order, err)
	}
	kept, err := w.store.ReadMailing(t.Context(), m.ID)
	if err != nil || !kept.Proven || kept.State != push.Accepted || !kept.CreatedAt.Equal(w.clock.Now()) || string(kept.Message) != `{"notification":{"title":"a"}}` {
		t.Errorf("recorded %+v, %v", kept, err)
	}
	if n := len(w.phones.Messages(phones.Filter{})); n != 0 {
		t.Errorf("proving the payload rang %d phones", n)
	}
	if again := w.hand(plain); again.ID == m.ID {
		t.Error("without a key, the same body is another mailing")
	}
}

func TestCreateForLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
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
	if was := testcloud.Decode[brief](again, http.StatusAccepted); was != m || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("again: %+v, %v", was, again.Header)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	first := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	m := testcloud.Decode[brief](first, http.StatusAccepted)
	w.Ask("POST", "/v1/mailings/"+m.ID+"/cancel", "")
	again := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	if again.Body != first.Body || again.Code != first.Code || again.Header.Get("Location") != first.Header.Get("Location") {
		t.Errorf("first %s, then %d %s", first.Body, again.Code, again.Body)
	}
	if first.Header.Get("Idempotency-Replayed") != "" || again.Header.Get("Idempotency-Replayed") != "true" {
		t.Error("Idempotency-Replayed does not tell the first from the second")
	}
	if got := w.Ask("POST", "/v1/mailings", strings.Replace(plain, `"a"`, `"b"`, 1), "Idempotency-Key", "k"); got.Code != http.StatusConflict {
		t.Errorf("another body: %d %s", got.Code, got.Body)
	}
	if other := w.hand(plain, "Idempotency-Key", "l"); other.ID == m.ID {
		t.Error("another key gave the same mailing")
	}
	if n := w.stored(); n != 2 {
		t.Errorf("%d mailings are recorded, want 2", n)
	}
	if got := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", strings.Repeat("k", 300)); got.Code != 422 || !strings.Contains(got.Body, "header.Idempotency-Key") {
		t.Errorf("a long key: %d %s", got.Code, got.Body)
	}
	for _, keys := range [][]string{{""}, {" "}, {"k", "l"}, {"", "l"}} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", w.URL+"/v1/mailings", strings.NewReader(plain))
		r.RequestURI = ""
		r.Header.Set("Content-Type", "application/json")
		r.Header["Idempotency-Key"] = keys
		if got := w.Send(r); got.Code != 422 || !strings.Contains(got.Body, "header.Idempotency-Key") {
			t.Errorf("keys %q: %d %s", keys, got.Code, got.Body)
		}
	}
	if n := w.stored(); n != 2 {
		t.Errorf("%d mailings are recorded, want 2", n)
	}
}

func TestOneKeyManyRequestsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
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
	if len(seen) != 1 || w.stored() != 1 {
		t.Errorf("one key made %v, %d recorded", seen, w.stored())
	}
}

func TestPublishingFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // without a topic dispatch
	got := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	if got.Code != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || got.Header.Get("Location") != "" {
		t.Fatalf("%d %v %s", got.Code, got.Header, got.Body)
	}
	if n := w.stored(); n != 1 {
		t.Fatalf("%d mailings are recorded", n)
	}
	w.Topic("dispatch")
	again := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k")
	m := testcloud.Decode[brief](again, http.StatusAccepted)
	if order := w.Published("dispatch", 1)[0].Data; !strings.Contains(order, m.ID) || w.stored() != 1 {
		t.Errorf("ordered %s, %d recorded", order, w.stored())
	}
}

// TestPublishingFailsWithoutAKey: whoever has no key would hand in a second
// mailing, so the first is accepted: tick starts what nobody ordered.
func TestPublishingFailsWithoutAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.hand(plain)
	active, err := w.store.ListDueMailings(t.Context(), time.Now())
	if err != nil || len(active) != 1 || active[0].ID != m.ID || active[0].State != push.Accepted {
		t.Errorf("tick would see %v, %v", active, err)
	}
}

// TestASoonStartIsPublished: tick's next round might come after the start of a
// mailing that is scheduled within two minutes, and its lifetime may be one. Of a
// later one nothing is published.
func TestASoonStartIsPublished(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	w.hand(`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"sendAt":"2026-11-01T12:02:00Z"}`)
	soon := w.hand(`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"sendAt":"2026-11-01T12:00:30Z","lifetime":"1m"}`)
	var order push.DispatchMessage
	if err := json.Unmarshal([]byte(w.Published("dispatch", 1)[0].Data), &order); err != nil {
		t.Fatal(err)
	}
	if want := (push.DispatchMessage{Mailing: soon.ID, Shard: push.DispatchStart}); order != want {
		t.Errorf("ordered %+v, want %+v", order, want)
	}
}
