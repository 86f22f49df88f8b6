package customers

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	"carillon.example/emulators/testcloud/check"
)

// TestAnExportThatBreaksOffIsNoWhole, where the functions framework serves it as
// in the cloud: it would make a whole answer of one whose handler panicked.
func TestAnExportThatBreaksOffIsNoWhole(t *testing.T) {
	ctx := t.Context()
	h := New(Deps{Store: failingStore()})
	if err := funcframework.RegisterHTTPFunctionContext(ctx, "/", h.ServeHTTP); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	go func() { _ = funcframework.StartHostPort("127.0.0.1", port) }() // ends with the tests: it has no other end
	var resp *http.Response
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if resp, err = http.Get("http://127.0.0.1:" + port + "/v1/exports/availability"); err == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	check.Equal(t, resp.StatusCode, http.StatusOK, "status")
	if err == nil {
		t.Error("the error is nil, want one that says why")
	}
	check.NotContains(t, string(body), "panic", "body")
}
