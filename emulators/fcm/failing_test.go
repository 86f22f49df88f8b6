package fcm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestLatencyIsAFloor(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Latency: 60 * time.Millisecond, Jitter: 10 * time.Millisecond})
	if err := s.SetOutcomes(Outcome{Token: "slow-0123456", Outcome: SLOW, Latency: 100 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	for target, least := range map[string]time.Duration{token: 50 * time.Millisecond, "slow-0123456": 150 * time.Millisecond} {
		began := time.Now()
		post(t, s, toToken(target))
		if took := time.Since(began); took < least {
			t.Errorf("%s answered after %s", target, took)
		}
	}
}

func TestJitterIsRepeatable(t *testing.T) {
	t.Parallel()
	p := newPolicy(Settings{Latency: 50 * time.Millisecond, Jitter: 20 * time.Millisecond, Seed: 7})
	var sum time.Duration
	seen := map[time.Duration]bool{}
	for n := range uint64(1000) {
		d := p.latencyAt(n, p.began)
		switch {
		case d < 30*time.Millisecond || d > 70*time.Millisecond:
			t.Fatalf("delay %d: %v, want %v to %v", n, d, 30*time.Millisecond, 70*time.Millisecond)
		case d != p.latencyAt(n, p.began):
			t.Fatalf("delay %d: %v, want %v", n, d, p.latencyAt(n, p.began))
		}
		seen[d] = true
		sum += d
	}
	switch mean := sum / 1000; {
	case mean < 48*time.Millisecond || mean > 52*time.Millisecond:
		t.Errorf("mean %v, want %v to %v", mean, 48*time.Millisecond, 52*time.Millisecond)
	case len(seen) < 900:
		t.Errorf("%v different delays, want at least 900", len(seen))
	}
}

func TestAClientThatLeavesHasSentAllTheSame(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Latency: time.Hour})
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan error, 1)
	go func() { done <- try(ctx, s.Client(), s) }()
	if err := s.Wait(within(t), func(st Stats) bool { return st.Accepted == 1 }); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the client got %v", err)
	}
	if err := s.Wait(within(t), func(st Stats) bool { return st.Abandoned == 1 && st.Kept == 1 }); err != nil {
		t.Error(err)
	}
}

// try sends one message and returns the error if there is no answer.
func try(ctx context.Context, c *http.Client, s *Server) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sendURL(s), strings.NewReader(toToken(token)))
	if err != nil {
		return err
	}
	req.GetBody = nil // so that net/http does not try again by itself
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func TestHangLastsUntilTheClientGivesUp(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.SetOutcome(token, HANG)
	for i, client := range []*http.Client{plain(t, s), s.Client()} {
		ctx, cancel := context.WithCancel(within(t))
		done := make(chan error, 1)
		go func() { done <- try(ctx, client, s) }()
		if err := s.Wait(within(t), func(st Stats) bool { return st.Outcomes[HANG] == i+1 }); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			t.Fatalf("answered: %v", err)
		default:
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the client got %v", err)
		}
		if err := s.Wait(within(t), func(st Stats) bool { return st.Abandoned == i+1 && st.Kept == 0 }); err != nil {
			t.Error(err)
		}
	}
}

func TestCloseEndsWhatHangs(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.SetOutcome(token, HANG)
	done := make(chan error, 1)
	ctx := within(t)
	go func() { done <- try(ctx, s.Client(), s) }()
	if err := s.Wait(within(t), func(st Stats) bool { return st.Outcomes[HANG] == 1 }); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s.Close()
	switch err := <-done; {
	case err == nil:
		t.Errorf("the client got: no error")
	case ctx.Err() != nil:
		t.Errorf("the client got: context error %v, want none", ctx.Err())
	}
}

func TestReset(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	secure := start(t, Options{TLS: true})
	for _, s := range []*Server{s, secure} {
		s.SetOutcome(token, RESET)
		if err := try(within(t), plain(t, s), s); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("HTTP/1.1 at %s: %v", s.URL(), err)
		}
		err := try(within(t), s.Client(), s)
		switch {
		case err == nil:
			t.Errorf("HTTP/2 at %s: no error", s.URL())
		case !strings.Contains(err.Error(), "stream error"):
			t.Errorf(`HTTP/2 at %s: error %q, want "stream error" in it`, s.URL(), err.Error())
		}
		if got := post(t, s, toToken("another-token")); got.code != 200 {
			t.Errorf("the connection's next stream: %d, want 200", got.code)
		}
		// With HTTP/1.1 the connection is broken, with HTTP/2 only the stream.
		switch st := s.Stats(); {
		case st.Outcomes[RESET] != 2:
			t.Errorf("stats: outcomes RESET %v, want 2", st.Outcomes[RESET])
		case st.ConnectionsAccepted != 2:
			t.Errorf("stats: connections accepted %v, want 2", st.ConnectionsAccepted)
		}
	}
}

func TestGoAwayAfterSoManyRequests(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		s := start(t, Options{GoAwayAfter: 5, TLS: secure})
		for _, client := range []*http.Client{s.Client(), plain(t, s)} {
			before := s.Stats()
			for i := range 20 {
				if got := call(t, client, http.MethodPost, sendURL(s), toToken(token)); got.code != 200 {
					t.Fatalf("request %d: %d, want 200", i, got.code)
				}
			}
			after := s.Stats()
			// An HTTP/2 client may send another request before it gets the GOAWAY.
			switch n := after.ConnectionsAccepted - before.ConnectionsAccepted; {
			case n < 2 || n > 4:
				t.Errorf("tls %t: %v connections, want %v to %v", secure, n, 2, 4)
			case after.Accepted-before.Accepted != 20:
				t.Errorf("tls %t: %v accepted, want 20", secure, after.Accepted-before.Accepted)
			}
		}
	}
}

// A request that is under way when its connection gets GOAWAY is still answered. A later
// request was not processed, so the client may send it on another connection.
func TestGoAwayLosesNothing(t *testing.T) {
	t.Parallel()
	s := start(t, Options{GoAwayAfter: 10, Latency: 5 * time.Millisecond})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			if got := post(t, s, toToken(fmt.Sprintf("away-token-%03d", i))); got.code != 200 {
				t.Errorf("request %d: %d, want 200", i, got.code)
			}
		})
	}
	wg.Wait()
	switch st := s.Stats(); {
	case st.Accepted != 200:
		t.Errorf("stats: accepted %v, want 200", st.Accepted)
	case st.Requests != 200:
		t.Errorf("stats: requests %v, want 200", st.Requests)
	}
}

func TestStreamsOfAConnection(t *testing.T) {
	t.Parallel()
	for limit, want := range map[int]int{0: 100, 7: 7} {
		s := start(t, Options{MaxStreams: limit})
		tr := &http.Transport{Protocols: &http.Protocols{}}
		tr.Protocols.SetUnencryptedHTTP2(true)
		conn, err := tr.NewClientConn(within(t), "http", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: conn}
		if err := try(within(t), client, s); err != nil { // now the client knows the limit
			t.Fatal(err)
		}
		if n := conn.Available(); n != want {
			t.Errorf("the server announced %d streams, want %d", n, want)
		}
		s.Clear()
		s.SetOutcome("*", HANG)
		ctx, cancel := context.WithCancel(within(t))
		var wg sync.WaitGroup
		for range want {
			wg.Go(func() { _ = try(ctx, client, s) })
		}
		if err := s.Wait(within(t), func(st Stats) bool { return st.Outcomes[HANG] == want }); err != nil {
			t.Error(err)
		}
		switch st := s.Stats(); {
		case conn.Available() != 0:
			t.Errorf("limit %d: available %v, want 0", limit, conn.Available())
		case st.ConnectionsAccepted != 1:
			t.Errorf("limit %d: connections accepted %v, want 1", limit, st.ConnectionsAccepted)
		case st.OpenConnections != 1:
			t.Errorf("limit %d: open connections %v, want 1", limit, st.OpenConnections)
		}
		cancel()
		wg.Wait()
		_ = conn.Close()
		if err := s.Wait(within(t), func(st Stats) bool { return st.OpenConnections == 0 }); err != nil {
			t.Error(err)
		}
	}
}

func TestDeliveredThoughUnavailable(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.SetOutcome(token, UnavailableDelivered)
	switch got := post(t, s, toToken(token)); {
	case got.code != 503:
		t.Errorf("code %v, want 503", got.code)
	case len(s.Messages(Filter{Token: token})) != 1:
		t.Errorf("%v messages, want 1", len(s.Messages(Filter{Token: token})))
	}
	switch got := post(t, s, `{"validate_only":true,"message":{"token":"`+token+`"}}`); {
	case got.code != 503:
		t.Errorf("validated: code %v, want 503", got.code)
	case s.Stats().Kept != 1:
		t.Errorf("validated: kept %v, want 1", s.Stats().Kept)
	}
}
