package fcm

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"
)

const (
	project = "demo-carillon"
	token   = "token-0123456789:abc"
)

func start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// admin returns a client of the Go Admin SDK for the server.
func admin(t testing.TB, s *Server, opts ...option.ClientOption) *messaging.Client {
	t.Helper()
	opts = append([]option.ClientOption{option.WithEndpoint(s.URL() + "/v1"), option.WithoutAuthentication()}, opts...)
	app, err := firebase.NewApp(t.Context(), &firebase.Config{ProjectID: project}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := app.Messaging(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A reply is an answer with its whole body.
type reply struct {
	code   int
	header http.Header
	body   string
	proto  int
}

// post sends the JSON of a request with the client of the server.
func post(t testing.TB, s *Server, body string) reply {
	t.Helper()
	return call(t, s.Client(), http.MethodPost, s.URL()+"/v1/projects/"+project+"/messages:send", body)
}

func call(t testing.TB, c *http.Client, method, url, body string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), method, url, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(b), resp.ProtoMajor}
}

func toToken(token string) string { return `{"message":{"token":"` + token + `","data":{"a":"b"}}}` }

// listen serves a handler on its own port and returns its URL.
func listen(t testing.TB, srv *http.Server) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	return "http://" + l.Addr().String()
}

// phone addresses a message to a registration token. The SDK deprecates the field in favour
// of installation ids. Senders use both.
func phone(token string, m messaging.Message) *messaging.Message {
	//lint:ignore SA1019 most senders still have tokens
	m.Token = token
	return &m
}
