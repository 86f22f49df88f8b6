package mailings_test

import (
	"strings"
	"testing"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

func TestFCMRefuses(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
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
		t.Run(name, func(t *testing.T) {
			got := w.Ask("POST", "/v1/mailings", `{"message":`+c.message+`,"audience":{"everyone":true}}`)
			testcloud.CheckCode(t, got, 422)
			check.Equal(t, got.Places(), []string{"body.message"}, "%s: faults", name)
			check.Equal(t, strings.Contains(got.Body, "FCM refuses it: "), c.words != "FCM takes 4096", "%s: that the answer names FCM", name)
			check.Contains(t, got.Body, c.words, "%s: body", name)
		})
	}
	if n := w.stored(); n != 0 {
		t.Errorf("%d mailings are recorded", n)
	}
	w.Published("dispatch", 0)
}

func TestFCMOutOfReach(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	for _, outcome := range []string{"UNAVAILABLE", "INTERNAL", "QUOTA_PROJECT", "RESET", "UNAUTHENTICATED", "PERMISSION_DENIED"} {
		t.Run(outcome, func(t *testing.T) {
			if err := w.phones.SetOutcomes(phones.Outcome{Token: "/topics/carillon-proof", Outcome: outcome}); err != nil {
				t.Fatal(err)
			}
			m := w.hand(plain)
			kept, err := w.store.ReadMailing(t.Context(), m.ID)
			if err != nil {
				t.Fatalf("%s: %v", outcome, err)
			}
			check.Equal(t, kept.Proven, false, "%s: Proven", outcome)
			check.Equal(t, kept.State, push.Accepted, "%s: state", outcome)
		})
	}
	w.phones.Close()
	m := w.hand(plain)
	kept, err := w.store.ReadMailing(t.Context(), m.ID)
	if err != nil {
		t.Fatalf("no FCM at all: %v", err)
	}
	check.Equal(t, kept.Proven, false, "no FCM at all: Proven")
	w.Published("dispatch", 7)
}

// TestLongPayloadsAreNotRefusedForTheTopic: FCM takes less to a topic, which the
// proof is sent to, than to a token.
func TestLongPayloadsAreNotRefusedForTheTopic(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	m := w.hand(`{"message":{"data":{"a":"` + strings.Repeat("x", 3000) + `"}},"audience":{"everyone":true}}`)
	kept, err := w.store.ReadMailing(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, kept.Proven, false, "Proven")
}
