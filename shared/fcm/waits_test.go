package fcm

import (
	"context"
	"net"
	"testing"
	"time"

	emulated "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
)

func TestHangingAndBrokenAnswers(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{})
	s := newFastSender(t, Config{Endpoint: srv.URL(), Timeout: 1500 * time.Millisecond})
	b := newAnswerBook(t, s)
	srv.SetOutcome(testToken(7), "HANG")
	srv.SetOutcome(testToken(8), "RESET")
	began := time.Now()
	b.sendMany(t.Context(), 200, began.Add(8*time.Second))
	got := b.countClasses()
	for _, i := range []int{7, 8} {
		a := b.answerOf(testToken(i))
		check.Equal(t, a.Class, Waiting, "target %d: a.Class", i)
		if !a.MaybeSent {
			t.Errorf("target %d: MaybeSent is false, want true: it may have been sent", i)
		}
		check.Equal(t, a.Attempts, 1, "target %d: a.Attempts", i)
		if wait := a.NotBefore.Sub(began); wait < 5*time.Second {
			t.Errorf("target %d: NotBefore is %v after the start, want at least 5s", i, wait)
		}
	}

	// A reset connection may end other requests on it: they wait, too.
	check.Equal(t, got[Accepted]+got[Waiting], 200, "answers accepted or waiting")
	if got[Accepted] < 50 {
		t.Errorf("answers accepted = %v, want at least 50", got[Accepted])
	}

	for target, a := range b.got {
		if a.Class == Waiting && !a.MaybeSent {
			t.Errorf("%s waits though FCM has not begun with it: %+v", target, a)
		}
	}
}

// TestOutageOfAFew: messages for which FCM is not available wait. Others do not.
func TestOutageOfAFew(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{})
	s := newFastSender(t, Config{Endpoint: srv.URL()})
	if err := srv.SetOutcomes(emulated.Outcome{Token: testToken(1), Outcome: "UNAVAILABLE", RetryAfter: 30 * time.Second},
		emulated.Outcome{Token: testToken(501), Outcome: "UNAVAILABLE", RetryAfter: 30 * time.Second}); err != nil {
		t.Fatal(err)
	}

	b := newAnswerBook(t, s)
	began := time.Now()
	b.sendMany(t.Context(), 2000, began.Add(20*time.Second))
	got := b.countClasses()
	check.Equal(t, got[Accepted], 1998, "answers accepted")
	check.Equal(t, got[Waiting], 2, "answers waiting")
	for _, i := range []int{1, 501} {
		a := b.answerOf(testToken(i))
		check.Equal(t, a.HTTP, 503, "target %d: a.HTTP", i)
		if wait := a.NotBefore.Sub(began); wait < 30*time.Second {
			t.Errorf("target %d: NotBefore is %v after the start, want at least the 30s that FCM asks for", i, wait)
		}
	}
}

func TestQuotaHoldsEverybody(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{QuotaPerMinute: 100})
	s := newFastSender(t, Config{Endpoint: srv.URL(), Connections: 2, MaxConnections: 2})
	b := newAnswerBook(t, s)
	began := time.Now()
	b.sendMany(t.Context(), 3000, began.Add(15*time.Second))
	got := b.countClasses()
	check.Equal(t, got[Accepted], 100, "answers accepted")
	check.Equal(t, got[Waiting], 2900, "answers waiting")
	if n := srv.Stats().Requests; n > 100+2*maxStreams+recentAnswers+5 {
		t.Errorf("%d requests: more than were under way when the quota was seen to be used up, and probes", n)
	}

	for target, a := range b.got {
		if a.Class != Waiting {
			continue
		}
		if a.HTTP != 429 && a.HTTP != 0 {
			t.Fatalf("%s: HTTP %d, want 429 or no answer", target, a.HTTP)
		}
		if a.MaybeSent {
			t.Fatalf("%s: MaybeSent is true, want false: FCM has answered", target)
		}
		if wait := a.NotBefore.Sub(began); wait < 20*time.Second {
			t.Fatalf("%s: it may be tried again %s after the start, want at least 20 s", target, wait)
		}
	}

	p := s.ProvePayload(t.Context(), b.m)
	check.Equal(t, p.Class, Waiting, "proof without quota: p.Class")
	check.Equal(t, p.HTTP, 429, "proof without quota: p.HTTP")
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{Latency: time.Minute})
	s := newFastSender(t, Config{Endpoint: srv.URL(), Grace: 50 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	b := newAnswerBook(t, s)
	b.sendMany(ctx, 1000, time.Time{})
	if err := srv.Wait(t.Context(), func(st emulated.Stats) bool { return st.Requests >= maxStreams }); err != nil {
		t.Fatal(err)
	}

	cancel()
	for i := range 100 {
		b.sendTarget(ctx, testToken(1000+i), time.Time{})
	}

	if got := b.countClasses(); got[Waiting] != 1100 {
		t.Errorf("outcomes %v", got)
	}

	sent := 0
	for _, a := range b.got {
		if a.MaybeSent {
			sent++
		}
	}

	if sent < maxStreams {
		t.Errorf("%v messages were under way, want at least %v", sent, maxStreams)
	}
	if sent >= 1000 {
		t.Errorf("%v messages were under way, want less than 1000", sent)
	}
}

// TestContextEndsWithGrace: what is under way when its context ends is not
// broken off at once.
func TestContextEndsWithGrace(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{Latency: 100 * time.Millisecond})
	s := newFastSender(t, Config{Endpoint: srv.URL()})
	ctx, cancel := context.WithCancel(t.Context())
	b := newAnswerBook(t, s)
	b.sendMany(ctx, 10, time.Time{})
	if err := srv.Wait(t.Context(), func(st emulated.Stats) bool { return st.Requests == 10 }); err != nil {
		t.Fatal(err)
	}

	cancel()
	if got := b.countClasses(); got[Accepted] != 10 {
		t.Errorf("outcomes %v", got)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{Latency: 20 * time.Millisecond})
	s := newFastSender(t, Config{Endpoint: srv.URL()})
	b := newAnswerBook(t, s)
	b.sendMany(t.Context(), 1000, time.Time{})
	if err := srv.Wait(t.Context(), func(st emulated.Stats) bool { return st.Requests >= 100 }); err != nil {
		t.Fatal(err)
	}

	s.Close()
	b.sendTarget(t.Context(), "late", time.Time{})
	got := b.countClasses()
	if got[Accepted] < 100 {
		t.Errorf("answers accepted = %v, want at least 100", got[Accepted])
	}

	check.Equal(t, got[Accepted]+got[Waiting], 1001, "answers accepted or waiting")
	if st := srv.Stats(); st.Accepted != got[Accepted] {
		t.Errorf("FCM took %d, %d are answered so", st.Accepted, got[Accepted])
	}

	s.Close()
}

func TestOutOfReach(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	s := newFastSender(t, Config{Endpoint: "http://" + l.Addr().String()})
	l.Close()
	b := newAnswerBook(t, s)
	b.sendMany(t.Context(), 50, time.Now().Add(300*time.Millisecond))
	if got := b.countClasses(); got[Waiting] != 50 {
		t.Errorf("outcomes %v", got)
	}
	if a := s.ProvePayload(t.Context(), b.m); a.Class != Waiting {
		t.Errorf("proof: %+v", a)
	}
}
