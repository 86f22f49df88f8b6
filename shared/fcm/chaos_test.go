package fcm

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	emulated "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
)

// TestChaos: whatever goes wrong, every item is answered exactly once, and what
// is answered Accepted, or may have been sent, covers all that FCM took.
func TestChaos(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	srv := startFCM(t, emulated.Options{Latency: 3 * time.Millisecond, Jitter: 3 * time.Millisecond, GoAwayAfter: 60, MaxStreams: 20, Seed: seed})
	set := srv.Settings()
	set.Chaos = map[string]float64{"UNAVAILABLE": 0.02, "RESET": 0.005, "HANG": 0.005, "UNREGISTERED": 0.05, "INTERNAL": 0.01, "BAD_GATEWAY": 0.01}
	if err := srv.Configure(set); err != nil {
		t.Fatal(err)
	}

	s := newFastSender(t, Config{Endpoint: srv.URL(), Timeout: 500 * time.Millisecond, Grace: 20 * time.Millisecond, MaxConnections: 5})
	b := newAnswerBook(t, s)
	for i := range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(800))*time.Millisecond)
		defer cancel()
		for j := range 75 {
			b.sendTarget(ctx, testToken(i*1000+j), time.Now().Add(time.Duration(r.IntN(1500))*time.Millisecond))
		}
	}

	got := b.countClasses()
	names := map[string]string{} // of what FCM took, by token
	for _, m := range srv.Messages(emulated.Filter{}) {
		names[m.Token] = m.ID
	}

	sent := 0
	for target, a := range b.got {
		if a.MaybeSent {
			sent++
		}
		name, taken := names[target]
		if a.Class == Accepted {
			check.Equal(t, a.MaybeSent, false, "seed %d: %s is accepted: that it may have been sent without an answer", seed, target)
			check.Equal(t, taken, true, "seed %d: %s is accepted: that FCM got it", seed, target)
			if a.Name != "" { // else the answer broke off behind its header
				check.Equal(t, a.Name, name, "seed %d: %s is accepted: the name in the answer", seed, target)
			}
		}
		if a.Class == Waiting && a.NotBefore.IsZero() {
			t.Errorf("seed %d: %s: it is waiting, and has no NotBefore", seed, target)
		}
	}

	st := srv.Stats()
	t.Logf("seed %d: %v, %d may have been sent, %d connections", seed, got, sent, st.ConnectionsAccepted)
	if st.Accepted > got[Accepted]+sent {
		t.Errorf("seed %d: FCM accepted %d messages, want at most the %d answered so and the %d that may have been sent", seed, st.Accepted, got[Accepted], sent)
	}

	check.Equal(t, st.Duplicates, 0, "seed %d: messages that FCM got twice", seed)
	in := s.Stats()
	check.Equal(t, in.InFlight, 0, "seed %d: left over: InFlight", seed)
	check.Equal(t, in.Ready, 0, "seed %d: left over: Ready", seed)
	check.Equal(t, in.Waiting, 0, "seed %d: left over: Waiting", seed)
}
