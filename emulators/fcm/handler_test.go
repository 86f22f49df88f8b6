package fcm_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon.example/emulators/fcm"
)

// A request to the handler has the effect of a request to the server.
func TestHandlerWithoutNetwork(t *testing.T) {
	t.Parallel()
	s, err := fcm.Start("127.0.0.1:0", fcm.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/projects/p/messages:send", strings.NewReader(`{"message":{"token":"called-directly:1","data":{"mailing_id":"m"}}}`)))
	switch {
	case w.Code != http.StatusOK:
		t.Fatalf("code %v, want %v", w.Code, http.StatusOK)
	case !strings.Contains(w.Body.String(), "projects/p/messages/"):
		t.Fatalf(`body %q, want "projects/p/messages/" in it`, w.Body.String())
	}
	switch got := s.Messages(fcm.Filter{Mailing: "m"}); {
	case len(got) != 1:
		t.Errorf("kept: %v messages, want 1", len(got))
	case got[0].Token != "called-directly:1":
		t.Errorf(`kept: token %q, want "called-directly:1"`, got[0].Token)
	}
}
