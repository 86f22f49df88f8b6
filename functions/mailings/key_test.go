package mailings_test

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/functions/mailings"
	"carillon.example/shared/queue"
)

// by are the headers of a request of that caller, with a key.
func by(caller, key string) []string {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"email":"` + caller + `","email_verified":true}`))
	return []string{"Authorization", "Bearer e30." + claims + ".SIGNATURE_REMOVED_BY_GOOGLE", "Idempotency-Key", key}
}

// TestAKeyIsOfItsCaller: one caller's key is not another's, and quotes around it are
// no part of it.
func TestAKeyIsOfItsCaller(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	ann := w.hand(plain, by("ann@shop.example", "k-1")...)
	for name, c := range map[string]struct {
		header []string
		same   bool
	}{
		"the same":        {by("ann@shop.example", "k-1"), true},
		"quoted":          {by("Ann@shop.example", `"k-1"`), true},
		"another caller":  {by("bob@shop.example", "k-1"), false},
		"nobody known":    {[]string{"Idempotency-Key", "k-1"}, false},
		"another key":     {by("ann@shop.example", `"k-1""`), false},
		"a quote too few": {by("ann@shop.example", `"k-1`), false},
		"a key of quotes": {by("ann@shop.example", `"\"k-1\""`), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := w.hand(plain, c.header...); (got.ID == ann.ID) != c.same {
				t.Errorf("%s: the same mailing is %v, want %v", name, got.ID == ann.ID, c.same)
			}
		})
	}
	if got := w.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", `""`); got.Code != http.StatusUnprocessableEntity {
		t.Errorf("an empty key in quotes: %v", got)
	}
}

// TestMailingsNameWhoMadeThem: in the answer, in the list and in the event.
func TestMailingsNameWhoMadeThem(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	m := w.hand(plain, by("ann@shop.example", "k")...)
	type created struct {
		CreatedBy string `json:"createdBy"`
	}
	if got := testcloud.Decode[created](w.Ask("GET", "/v1/mailings/"+m.ID, ""), 200); got.CreatedBy != "ann@shop.example" {
		t.Errorf("shown as made by %q", got.CreatedBy)
	}
	list := testcloud.Decode[struct{ Mailings []created }](w.Ask("GET", "/v1/mailings", ""), 200)
	if len(list.Mailings) != 1 {
		t.Fatalf("number of Mailings is %v, want 1: %+v", len(list.Mailings), list.Mailings)
	}
	check.Equal(t, list.Mailings[0].CreatedBy, "ann@shop.example", "createdBy of the listed mailing")
}

// TestAKeyMayBeRequired: then a mailing without one is refused, and not stored.
func TestAKeyMayBeRequired(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	q := queue.New(w.PubSub(), queue.Topics{Dispatch: "dispatch"})
	t.Cleanup(q.Stop)
	site := testcloud.Serve(t, mailings.New(mailings.Deps{Store: w.store, Queue: q, Proof: acceptingProver{}, Log: slog.New(slog.DiscardHandler), RequireKey: true}))
	got := site.Ask("POST", "/v1/mailings", plain)
	testcloud.CheckCode(t, got, http.StatusBadRequest)
	if len(got.Errors) != 1 {
		t.Fatalf("without a key: number of faults is %v, want 1: %+v", len(got.Errors), got.Errors)
	}
	check.Equal(t, got.Errors[0].Location, "header.Idempotency-Key", "without a key: place of the fault")
	if n := w.stored(); n != 0 {
		t.Errorf("%d mailings are stored", n)
	}
	if got := site.Ask("POST", "/v1/mailings", plain, "Idempotency-Key", "k"); got.Code != http.StatusAccepted {
		t.Errorf("with a key: %v", got)
	}
}
