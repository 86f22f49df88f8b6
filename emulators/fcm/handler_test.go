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
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "projects/p/messages/") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := s.Messages(fcm.Filter{Mailing: "m"}); len(got) != 1 || got[0].Token != "called-directly:1" {
		t.Errorf("kept %+v", got)
	}
}
