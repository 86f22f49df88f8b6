package customers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/cloud"
)

func TestSettingsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"GOOGLE_CLOUD_PROJECT": "p"}
	set, err := cloud.Load[settings](env)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, set.MaxTokens, 20, "MaxTokens")
	check.Equal(t, set.TokenLife.Hours(), 270*24, "hours of TokenLife")
	check.Equal(t, set.EventsTopic, "push-events", "EventsTopic")
	env["MAX_TOKENS"], env["TOKEN_LIFE"] = "0", "1h"
	_, err = cloud.Load[settings](env)
	if err == nil {
		t.Fatal("MAX_TOKENS=0 and TOKEN_LIFE=1h: the error is nil, want one that says why")
	}
	check.Contains(t, err.Error(), "MAX_TOKENS", "MAX_TOKENS=0 and TOKEN_LIFE=1h: error")
	check.Contains(t, err.Error(), "TOKEN_LIFE", "MAX_TOKENS=0 and TOKEN_LIFE=1h: error")
}

// TestSettingsOfTheAPI: both directions.
func TestSettingsOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got["devices"] != "all" {
		t.Errorf("at first: %v", got)
	}
	for _, d := range []string{"latest", "all"} {
		w.want(http.StatusOK, "PUT", "/v1/settings", fmt.Sprintf(`{"devices":%q}`, d))
		if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got["devices"] != d {
			t.Errorf("got %v, want %s", got, d)
		}
	}
	for name, c := range map[string]struct{ other, byDefault string }{
		"muted":       {"skip", "send"},
		"wrongSender": {"keep", "flag"},
	} {
		w.want(http.StatusOK, "PUT", "/v1/settings", fmt.Sprintf(`{"devices":"all",%q:%q}`, name, c.other))
		if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got[name] != c.other {
			t.Errorf("%s is %v, want %s", name, got[name], c.other)
		}
		w.want(http.StatusOK, "PUT", "/v1/settings", `{"devices":"all"}`)
		if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got[name] != c.byDefault {
			t.Errorf("left out, %s is %v, want %s", name, got[name], c.byDefault)
		}
	}

	// What was read is stored again as it is, but for who and when.
	w.want(http.StatusOK, "PUT", "/v1/settings", `{"devices":"all","changedBy":"somebody else","changedAt":"2020-01-01T00:00:00Z"}`)
	got := w.want(http.StatusOK, "GET", "/v1/settings", "")
	if got["changedBy"] != nil {
		t.Errorf("changed by %v, want nothing: the caller is not known", got["changedBy"])
	}
	if at, _ := time.Parse(time.RFC3339, fmt.Sprint(got["changedAt"])); at.Year() < 2026 {
		t.Errorf("changed at %v, want the time of the last request", got["changedAt"])
	}

	w.want(http.StatusUnprocessableEntity, "PUT", "/v1/settings", `{"devices":"all","wrongSender":"no"}`)
	w.want(http.StatusUnprocessableEntity, "PUT", "/v1/settings", `{"devices":"all","muted":"no"}`)
	w.want(http.StatusUnprocessableEntity, "PUT", "/v1/settings", `{"devices":"some"}`)
	w.want(http.StatusUnprocessableEntity, "PUT", "/v1/settings", `{}`)
}

// The window of the settings is kept as it came, and every fault of it is named.
func TestWindowOfTheSettings(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	const window = `{"from":"09:00","to":"21:00","days":["mon","sat"],"timeZone":"Europe/Riga"}`
	w.want(http.StatusOK, "PUT", "/v1/settings", `{"devices":"all","window":`+window+`}`)
	got := w.want(http.StatusOK, "GET", "/v1/settings", "")
	want := map[string]any{"from": "09:00", "to": "21:00", "days": []any{"mon", "sat"}, "timeZone": "Europe/Riga"}
	if diff := cmp.Diff(want, got["window"]); diff != "" {
		t.Errorf("the window (-want +got):\n%s", diff)
	}

	answer := fmt.Sprint(w.want(http.StatusUnprocessableEntity, "PUT", "/v1/settings",
		`{"devices":"all","window":{"from":"9","to":"25:00","days":["mon","mon"],"timeZone":"Mars"}}`))
	for _, place := range []string{"window.from", "window.to", "window.days[1]", "window.timeZone"} {
		if !strings.Contains(answer, place) {
			t.Errorf("the faults do not name %s: %s", place, answer)
		}
	}

	w.want(http.StatusOK, "PUT", "/v1/settings", `{"devices":"all"}`)
	if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got["window"] != nil {
		t.Errorf("left out, the window is %v, want none", got["window"])
	}
}
