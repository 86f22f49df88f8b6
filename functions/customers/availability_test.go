package customers

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// availability is what GET says of a customer.
func (w *harness) availability(path string) push.Availability {
	w.t.Helper()
	return testcloud.Decode[struct{ Availability push.Availability }](w.Ask("GET", path, ""), http.StatusOK).Availability
}

// TestAvailabilityHasItsReason goes through every state, and wants the same from
// GET, from the export and from the event of each change.
func TestAvailabilityHasItsReason(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	noon := w.clock.Now()
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	token := func(body string) func() {
		return func() {
			if a := w.Ask("POST", anna+"/tokens", body); a.Code >= 300 {
				t.Fatalf("%s was answered %d %s", body, a.Code, a.Body)
			}
		}
	}
	month := 30 * 24 * time.Hour
	for i, c := range []struct {
		what   string
		wait   time.Duration
		do     func()
		want   push.Availability
		events int
	}{
		{"nobody has said anything of notifications", 0, token(`{"token":"a","platform":"ios"}`), push.Availability{State: "reachable", Since: at(0), Evidence: "token_seen"}, 1},
		{"notifications are off", time.Hour, token(`{"token":"a","notifications":"off"}`), push.Availability{State: "muted", Since: at(time.Hour), Evidence: "notifications_off"}, 1},
		{"nothing is said of what was off", time.Hour, token(`{"token":"a"}`), push.Availability{State: "muted", Since: at(time.Hour), Evidence: "notifications_off"}, 0},
		{"on on another phone", time.Hour, token(`{"token":"b","notifications":"on"}`), push.Availability{State: "reachable", Since: at(3 * time.Hour), Evidence: "token_seen"}, 1},
		{"seen within the month", month - time.Hour, func() {}, push.Availability{State: "reachable", Since: at(3 * time.Hour), Evidence: "token_seen"}, 0},
		{"not seen for a month", time.Hour + time.Second, func() {}, push.Availability{State: "silent", Since: at(month + 3*time.Hour), Evidence: "not_seen"}, 0},
		{"the sweep finds it, a day later", 24 * time.Hour, w.sweep, push.Availability{State: "silent", Since: at(month + 3*time.Hour), Evidence: "not_seen"}, 1},
		{"seen again", time.Hour, token(`{"token":"b"}`), push.Availability{State: "reachable", Since: at(month + 28*time.Hour + time.Second), Evidence: "token_seen"}, 1},
		{"the token of the phone that had notifications on is invalid", time.Hour, w.flag("b"), push.Availability{State: "muted", Since: at(month + 29*time.Hour + time.Second), Evidence: "notifications_off"}, 0},
		{"and the other one is invalid", time.Hour, w.flag("a"), push.Availability{State: "unreachable", Since: at(month + 30*time.Hour + time.Second), Evidence: "UNREGISTERED"}, 0},
	} {
		t.Run(c.what, func(t *testing.T) {
			w.clock.Add(c.wait)
			c.do()
			got := w.availability(anna)
			if d := cmp.Diff(c.want, got); d != "" {
				t.Fatalf("%d. %s (-want +got):\n%s", i, c.what, d)
			}
			for _, e := range w.published(c.events) {
				if d := cmp.Diff(c.want, e.Data.Availability); d != "" {
					t.Errorf("%d. %s: the event (-want +got):\n%s", i, c.what, d)
				}
			}
			line := testcloud.Decode[exportLine](w.Ask("GET", "/v1/exports/availability", ""), http.StatusOK)
			check.Equal(t, line.State, c.want.State, "%d. %s: state", i, c.what)
			check.Equal(t, line.Since, c.want.Since, "%d. %s: Since", i, c.what)
			if want := c.want.State != "unreachable"; line.PushAvailable != want {
				t.Errorf("%d. %s: pushAvailable is %t, want %t", i, c.what, line.PushAvailable, want)
			}
		})
	}
}

// sweep is tick's look at the customers whose day has come.
func (w *harness) sweep() {
	w.t.Helper()
	swept, err := w.ExpireTokens(w.t.Context(), store.ExpiryCursor{}, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.queue.PublishEvents(w.t.Context(), swept.Events...); err != nil {
		w.t.Fatal(err)
	}
}

// flag flags a token of anna's.
func (w *harness) flag(token string) func() {
	return func() {
		w.t.Helper()
		_, err := w.FlagToken(w.t.Context(), store.Flag{Mailing: "m", Customer: "anna", TokenID: push.TokenID(token), Code: push.CodeUnregistered, At: w.clock.Now(), BatchCreatedAt: w.clock.Now()})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestAnImportCarriesNotifications(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.importing(2, `{"id":"anna","tokens":[{"token":"a","notifications":"off"}]}`+"\n"+`{"id":"bert","tokens":[{"token":"b","seenAt":"2026-09-01T00:00:00Z"}]}`)
	if got := w.availability(anna); got.State != push.StateMuted {
		t.Errorf("anna, who has notifications off, is %s", got.State)
	}
	if got := w.availability("/v1/customers/bert"); got.State != push.StateSilent {
		t.Errorf("bert, not seen for two months, is %s", got.State)
	}
	w.published(0)
}

func TestARegistrationSetsTheTimeZone(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.want(http.StatusCreated, "POST", anna+"/tokens", `{"token":"a","timeZone":"Europe/Riga"}`)
	w.clock.Add(time.Second)
	w.want(http.StatusOK, "POST", anna+"/tokens", `{"token":"a"}`)
	if got := w.want(http.StatusOK, "GET", anna, "")["timeZone"]; got != "Europe/Riga" {
		t.Errorf("timeZone is %v, want Europe/Riga", got)
	}
	for place, body := range map[string]string{
		"body.timeZone":      `{"token":"a","timeZone":"Riga"}`,
		"body.notifications": `{"token":"a","notifications":"unknown"}`,
		"body.device":        `{"token":"a","device":"` + strings.Repeat("d", push.MaxDevice+1) + `"}`,
	} {
		t.Run(place, func(t *testing.T) {
			a := w.Ask("POST", anna+"/tokens", body)
			testcloud.CheckCode(t, a, http.StatusUnprocessableEntity)
			check.Equal(t, strings.Join(a.Places(), " "), place, "%s: faults", a.Request)
		})
	}
}
