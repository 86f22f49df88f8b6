package functions_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/functions/customers"
	"carillon.example/shared/api"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// hostile are bodies that cost as much as they can.
func hostile() map[string][3]string {
	big := 4 << 20
	return map[string][3]string{
		"unknown keys":     {"PUT", "/v1/settings", "{" + testcloud.Many(1000, `"k%d":1`) + "}"},
		"unknown fields":   {"PATCH", "/v1/customers/eve", "{" + testcloud.Many(20_000, `"k%d":1`) + "}"},
		"deep nesting":     {"PATCH", "/v1/customers/eve", strings.Repeat(`{"a":`, 40_000)},
		"lines of nothing": {"POST", "/v1/imports", strings.ReplaceAll(testcloud.Many(5000, `{"k%d":1}`), ",", "\n")},
		"one long line":    {"POST", "/v1/imports", "{" + testcloud.Many(big/12, `"k%d":1`) + "}"},
		"too large":        {"POST", "/v1/customers/eve/tokens", strings.Repeat("x", big)},
		"large settings":   {"PUT", "/v1/settings", strings.Repeat("[", big)},
	}
}

// attackers is how many connections a hostile load has.
const attackers = 50

// pause is how long each attacker rests between two requests.
const pause = 250 * time.Millisecond

// attackAll begins a load of slow bodies and of what costs as much as it can, each
// attacker with a rest between two requests. end stops it, and says how many
// requests were made.
func attackAll(ctx context.Context, url string, rest time.Duration) (end func() int64) {
	ctx, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	var made atomic.Int64
	bodies := hostile()
	names := slices.Sorted(maps.Keys(bodies))
	for i := range attackers {
		all.Go(func() {
			for ctx.Err() == nil {
				if i%5 == 0 {
					slowly(ctx, url)
					continue
				}
				attack(ctx, url, bodies[names[i%len(names)]])
				made.Add(1)
				select {
				case <-ctx.Done():
				case <-time.After(rest):
				}
			}
		})
	}
	return func() int64 {
		stop()
		all.Wait()
		return made.Load()
	}
}

// TestHostileRequestsLeaveOthersAlone: with slow bodies, unknown keys, deep nesting
// and 4 MiB of everything from 50 connections, another caller's registrations are
// all stored. BenchmarkHostileLoad measures how long they take.
func TestHostileRequestsLeaveOthersAlone(t *testing.T) {
	l := testcloud.New(t)
	l.Topic("push-events")
	q := queue.New(l.PubSub(), queue.Topics{Events: "push-events"})
	t.Cleanup(q.Stop)
	site := testcloud.Serve(t, customers.New(customers.Deps{Store: store.New(l.DB(), store.Options{}), Queue: q,
		Log: slog.New(slog.DiscardHandler), API: api.Options{Timeout: 20 * time.Second}}))

	end := attackAll(t.Context(), site.URL, pause)
	defer end()
	for n := range 20 {
		if _, err := register(t.Context(), site.URL, n); err != nil {
			t.Error(err)
		}
	}
	if n := l.Count("customers"); n != 20 {
		t.Errorf("%d customers are stored, want 20", n)
	}
}

// registrations is how many a median is taken of.
const registrations = 41

// BenchmarkHostileLoad runs customers as it is deployed, in a process of its own
// with one CPU, and measures how long a registration takes at the median when
// nothing else is asked and beside a hostile load of 50 connections: one that
// rests between requests, and one that does not. Who attacks and the database
// are in this process.
func BenchmarkHostileLoad(b *testing.B) {
	binary := compiled(b, "customers")
	for _, load := range []struct {
		name string
		rest time.Duration
	}{{"with-rests", pause}, {"without", 0}} {
		b.Run(load.name, func(b *testing.B) {
			for b.Loop() {
				url := strings.TrimSuffix(startCloud(b).instance(b, "customers", binary).url, "/")
				median(b, url, 0) // connections are made
				idle := median(b, url, 1)
				end := attackAll(b.Context(), url, load.rest)
				time.Sleep(2 * time.Second) // until the load is there
				began := time.Now()
				attacked := median(b, url, 2)
				took := time.Since(began) + 2*time.Second
				b.ReportMetric(float64(end())/took.Seconds(), "hostile/s")
				b.ReportMetric(float64(idle.Microseconds())/1000, "ms-idle")
				b.ReportMetric(float64(attacked.Microseconds())/1000, "ms-attacked")
				b.ReportMetric(float64(attacked)/float64(idle), "times")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// median is what a registration takes, of customers that no other round has.
func median(b *testing.B, url string, round int) time.Duration {
	b.Helper()
	took := make([]time.Duration, registrations)
	for n := range took {
		var err error
		if took[n], err = register(b.Context(), url, round*registrations+n); err != nil {
			b.Fatal(err)
		}
	}
	slices.Sort(took)
	return took[registrations/2]
}

// good are connections of their own for the caller who does no harm.
var good = &http.Client{Transport: &http.Transport{}}

// register registers a customer's token, and says how long that took.
func register(ctx context.Context, url string, n int) (time.Duration, error) {
	began := time.Now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s/v1/customers/ann%d/tokens", url, n), strings.NewReader(fmt.Sprintf(`{"token":"token-%d","platform":"web"}`, n)))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := good.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, fmt.Errorf("a registration's answer did not come whole: %w", err)
	}
	if res.StatusCode != http.StatusCreated {
		return 0, fmt.Errorf("a registration was answered %s", res.Status)
	}
	return time.Since(began), nil
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
