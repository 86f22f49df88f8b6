package functions_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon.example/emulators/lab"
	"carillon.example/functions/customers"
	"carillon.example/shared/api"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// pause is how long each attacker rests between two requests.
const pause = 250 * time.Millisecond

// hostile are bodies that cost as much as they can.
func hostile() map[string][3]string {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()[1:]
	}
	big := 4 << 20
	return map[string][3]string{
		"unknown keys":     {"PUT", "/v1/settings", "{" + many(1000, `,"k%d":1`) + "}"},
		"unknown fields":   {"PATCH", "/v1/customers/eve", "{" + many(20_000, `,"k%d":1`) + "}"},
		"deep nesting":     {"PATCH", "/v1/customers/eve", strings.Repeat(`{"a":`, 40_000)},
		"lines of nothing": {"POST", "/v1/imports", many(5000, "\n{\"k%d\":1}")},
		"one long line":    {"POST", "/v1/imports", "{" + many(big/12, `,"k%07d":1`) + "}"},
		"too large":        {"POST", "/v1/customers/eve/tokens", strings.Repeat("x", big)},
		"large settings":   {"PUT", "/v1/settings", strings.Repeat("[", big)},
	}
}

// TestHostileRequestsLeaveOthersAlone: with slow bodies, unknown keys, deep nesting
// and 4 MiB of everything from 50 connections, another caller's registrations are
// all stored. How long they take beside an idle server it logs: attackers, server
// and database share this process's processors, so that the figure says as much
// of the machine as of the code.
func TestHostileRequestsLeaveOthersAlone(t *testing.T) {
	l := lab.New(t)
	l.Topic("push-events")
	q := queue.New(l.PubSub(), queue.Topics{Events: "push-events"})
	t.Cleanup(q.Stop)
	site := lab.Serve(t, customers.New(customers.Deps{Store: store.New(l.DB(), store.Options{}), Queue: q,
		Log: slog.New(slog.DiscardHandler), API: api.Options{Timeout: 20 * time.Second}}))
	register := func(n int) time.Duration {
		began := time.Now()
		path := fmt.Sprintf("/v1/customers/ann%d/tokens", n)
		if a := site.Ask("POST", path, fmt.Sprintf(`{"token":"token-%d","platform":"web"}`, n)); a.Code != http.StatusCreated {
			t.Errorf("a registration was answered %v", a)
		}
		return time.Since(began)
	}
	median := func(first int) time.Duration {
		var took []time.Duration
		for n := range 20 {
			took = append(took, register(first+n))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	idle := median(0)

	ctx, stop := context.WithCancel(t.Context())
	var attackers sync.WaitGroup
	defer attackers.Wait()
	defer stop()
	bodies := hostile()
	var names []string
	for name := range bodies {
		names = append(names, name)
	}
	for i := range 50 {
		attackers.Go(func() {
			for ctx.Err() == nil {
				if i%5 == 0 {
					slowly(ctx, site.URL)
					continue
				}
				attack(ctx, site.URL, bodies[names[i%len(names)]])
				select { // the attackers share this process's processors with what they attack
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	time.Sleep(200 * time.Millisecond) // until the load is there
	busy := median(1000)
	t.Logf("a registration takes %v at the median when idle, %v under attack: %.1f times", idle, busy, float64(busy)/float64(idle))
}

// attack sends one hostile request.
func attack(ctx context.Context, url string, b [3]string) {
	r, err := http.NewRequestWithContext(ctx, b[0], url+b[1], strings.NewReader(b[2]))
	if err != nil {
		return
	}
	kind := "application/json"
	if b[1] == "/v1/imports" {
		kind = "application/x-ndjson"
	}
	r.Header.Set("Content-Type", kind)
	if res, err := http.DefaultClient.Do(r); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}

// slowly begins a body and does not go on, until it is cut off.
func slowly(ctx context.Context, url string) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	fmt.Fprintf(conn, "PUT /v1/settings HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 3000\r\n\r\n{")
	if res, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
		_, _ = io.Copy(&bytes.Buffer{}, res.Body)
		res.Body.Close()
	}
}
