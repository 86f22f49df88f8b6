package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// stalled sends the head of a request and only the beginning of its body. It reads the
// answer, and waits until the server closes the connection.
func stalled(t *testing.T, site *testcloud.Client, head string) *http.Response {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(site.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}

	if _, err := fmt.Fprintf(conn, "%s\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{", head); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatalf("%s was not answered: %v", head, err)
	}

	_, _ = io.Copy(io.Discard, res.Body) // the read below checks the end of the connection
	if _, err := r.ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%s was answered, but the server waits for the rest of its body", head)
	}
	return res
}

// TestABodyThatDoesNotComeHoldsNoCall checks that a request which is refused without its
// body is answered at once, and that other bodies have a time limit. Then the connection
// ends.
func TestABodyThatDoesNotComeHoldsNoCall(t *testing.T) {
	t.Parallel()
	a := api.New("slow", slog.New(slog.DiscardHandler), api.Options{Timeout: time.Second, Callers: push.Callers{}})
	ok := func(context.Context, *thingInput) (*output, error) { return &output{}, nil }
	huma.Register(a, huma.Operation{Method: http.MethodPost, Path: "/things", OperationID: "post"}, ok)
	huma.Register(a, huma.Operation{Method: http.MethodGet, Path: "/things", OperationID: "get"}, func(context.Context, *struct{}) (*output, error) { return &output{}, nil })
	huma.Register(a, api.RequirePermission(push.PermissionSend, huma.Operation{Method: http.MethodPut, Path: "/things", OperationID: "put"}), ok)
	site := testcloud.Serve(t, a)
	for head, want := range map[string]int{
		"POST /things HTTP/1.1":      408,
		"PUT /things HTTP/1.1":       403,
		"GET /things HTTP/1.1":       200,
		"POST /nothing HTTP/1.1":     404,
		"DELETE /things HTTP/1.1":    405,
		"POST /things?a=%% HTTP/1.1": 400,
	} {
		t.Run(head, func(t *testing.T) {
			t.Parallel()
			res := stalled(t, site, head)
			if res.StatusCode != want {
				t.Errorf("answered %d, want %d", res.StatusCode, want)
			}
			if !res.Close {
				t.Errorf("the connection stays open")
			}
		})
	}
}

// TestAConnectionGoesOnAfterABody checks that the deadline for a body is removed after it.
func TestAConnectionGoesOnAfterABody(t *testing.T) {
	t.Parallel()
	w := small(t)
	for range 3 {
		a := w.do("POST", "/things", asJSON, `{"name":"a"}`)
		if a.Code != 200 {
			t.Errorf("answered %v, want 200", a)
		}
		if got := a.Header.Get("Connection"); got != "" {
			t.Errorf("the header Connection is %q, want none", got)
		}
	}
}
