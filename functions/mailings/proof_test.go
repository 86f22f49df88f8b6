package mailings_test

import (
	"slices"
	"strings"
	"testing"

	phones "carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

func TestFCMRefuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	for name, c := range map[string]struct{ message, words string }{
		"an unknown field":      {`{"notification":{"titel":"a"}}`, "titel"},
		"a wrong type":          {`{"notification":{"title":5}}`, "title"},
		"data that is no text":  {`{"data":{"a":5}}`, "data"},
		"a reserved key":        {`{"data":{"from":"x"}}`, "from"},
		"another reserved key":  {`{"data":{"google.x":"x"}}`, "google"},
		"4,097 bytes and more":  {`{"data":{"a":"` + strings.Repeat("x", 4097) + `"}}`, "FCM takes 4096"},
		"large when it is sent": {`{"data":{"a":"` + strings.Repeat("x", 4060) + `"}}`, "FCM takes 4096"},
	} {
		got := w.Ask("POST", "/v1/mailings", `{"message":`+c.message+`,"audience":{"everyone":true}}`)
		if got.Code != 422 || !slices.Equal(got.Places(), []string{"body.message"}) || strings.Contains(got.Body, "FCM refuses it: ") == (c.words == "FCM takes 4096") || !strings.Contains(got.Body, c.words) {
			t.Errorf("%s: %d %s", name, got.Code, got.Body)
		}
	}
	if n := w.stored(); n != 0 {
		t.Errorf("%d mailings are recorded", n)
	}
	w.Published("dispatch", 0)
}

func TestFCMOutOfReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	for _, outcome := range []string{"UNAVAILABLE", "INTERNAL", "QUOTA_PROJECT", "RESET", "UNAUTHENTICATED", "PERMISSION_DENIED"} {
		if err := w.phones.SetOutcomes(phones.Outcome{Token: "/topics/carillon-proof", Outcome: outcome}); err != nil {
			t.Fatal(err)
		}
		m := w.hand(plain)
		kept, err := w.store.ReadMailing(t.Context(), m.ID)
		if err != nil || kept.Proven || kept.State != push.Accepted {
			t.Errorf("%s: recorded %+v, %v", outcome, kept, err)
		}
	}
	w.phones.Close()
	m := w.hand(plain)
	if kept, err := w.store.ReadMailing(t.Context(), m.ID); err != nil || kept.Proven {
		t.Errorf("no FCM at all: recorded %+v, %v", kept, err)
	}
	w.Published("dispatch", 7)
}

// TestLongPayloadsAreNotRefusedForTheTopic: FCM takes less to a topic, which the
// proof is sent to, than to a token.
func TestLongPayloadsAreNotRefusedForTheTopic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	m := w.hand(`{"message":{"data":{"a":"` + strings.Repeat("x", 3000) + `"}},"audience":{"everyone":true}}`)
	if kept, err := w.store.ReadMailing(t.Context(), m.ID); err != nil || kept.Proven {
		t.Errorf("recorded %+v, %v; want it accepted, and not proven", kept, err)
	}
}
