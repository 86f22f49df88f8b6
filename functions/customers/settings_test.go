package customers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"carillon.example/shared/cloud"
)

func TestSettingsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	env := map[string]string{"GOOGLE_CLOUD_PROJECT": "p"}
	set, err := cloud.Load[settings](env)
	if err != nil || set.MaxTokens != 20 || set.TokenLife.Hours() != 270*24 || set.EventsTopic != "push-events" {
		t.Errorf("%+v, %v", set, err)
	}
	env["MAX_TOKENS"], env["TOKEN_LIFE"] = "0", "1h"
	_, err = cloud.Load[settings](env)
	if err == nil || !strings.Contains(err.Error(), "MAX_TOKENS") || !strings.Contains(err.Error(), "TOKEN_LIFE") {
		t.Errorf("no customer may have a token, and tokens live an hour: %v", err)
	}
}

// TestSettingsOfTheAPI: both directions.
func TestSettingsOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got["devices"] != "all" {
		t.Errorf("at first: %v", got)
	}
	for _, d := range []string{"latest", "all"} {
		w.want(http.StatusOK, "PUT", "/v1/settings", fmt.Sprintf(`{"devices":%q}`, d))
		if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got["devices"] != d {
			t.Errorf("got %v, want %s", got, d)
		}
	}
	w.want(http.StatusOK, "PUT", "/v1/settings", `{"devices":"all","muted":"skip"}`)
	if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got["muted"] != "skip" {
		t.Errorf("muted is %v, want skip", got["muted"])
	}
	w.want(http.StatusOK, "PUT", "/v1/settings", `{"devices":"all"}`)
	if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got["muted"] != "send" {
		t.Errorf("left out, muted is %v, want send", got["muted"])
	}
	w.want(http.StatusOK, "PUT", "/v1/settings", `{"devices":"all","wrongSender":"keep"}`)
	if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got["wrongSender"] != "keep" {
		t.Errorf("wrongSender is %v, want keep", got["wrongSender"])
	}
	w.want(http.StatusOK, "PUT", "/v1/settings", `{"devices":"all"}`)
	if got := w.want(http.StatusOK, "GET", "/v1/settings", ""); got["wrongSender"] != "flag" {
		t.Errorf("left out, wrongSender is %v, want flag", got["wrongSender"])
	}
	w.want(http.StatusUnprocessableEntity, "PUT", "/v1/settings", `{"devices":"all","wrongSender":"no"}`)
	w.want(http.StatusUnprocessableEntity, "PUT", "/v1/settings", `{"devices":"all","muted":"no"}`)
	w.want(http.StatusUnprocessableEntity, "PUT", "/v1/settings", `{"devices":"some"}`)
	w.want(http.StatusUnprocessableEntity, "PUT", "/v1/settings", `{}`)
}
