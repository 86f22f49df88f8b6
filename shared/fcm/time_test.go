package fcm

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carillon.example/emulators/testcloud/check"
)

// These tests run on a clock of their own: waits of minutes pass at once.

func TestOutageBacksOffAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration // of the attempts for the unlucky one; only one is under way at a time
		s, end := newPipedSender(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			if r.ContentLength > 0 && strings.Contains(readBody(r), `"unlucky"`) {
				if at = append(at, time.Since(began)); len(at) < 4 {
					writeReply(w, r, 503, "")
					return
				}
			}
			writeReply(w, r, 200, taken)
		})
		defer end()
		b := newAnswerBook(t, s)
		b.sendTarget(t.Context(), "unlucky", time.Time{})
		b.sendMany(t.Context(), 500, time.Time{})
		time.Sleep(2 * time.Second)
		b.mu.Lock()
		if len(b.got) != 500 {
			t.Errorf("%d of the 500 others are answered meanwhile", len(b.got))
		}

		b.mu.Unlock()
		if got := b.countClasses(); got[Accepted] != 501 {
			t.Errorf("answers by class are %v, want 501 accepted", got)
		}

		for i, least := range []time.Duration{0, 10 * time.Second, 20 * time.Second, 40 * time.Second} {
			if i == 0 {
				continue
			}
			d := at[i] - at[i-1]
			check.Between(t, d, least, least*3/2+time.Second, "the time from the attempt before to attempt %d", i+1)
		}

		a := b.answerOf("unlucky")
		check.Equal(t, a.Attempts, 4, "a.Attempts")
		if a.MaybeSent {
			t.Error("MaybeSent is true, want false: nothing was sent")
		}
	})
}

func readBody(r *http.Request) string {
	b := make([]byte, r.ContentLength)
	n := 0
	for n < len(b) {
		m, err := r.Body.Read(b[n:])
		if n += m; err != nil {
			break
		}
	}
	return string(b[:n])
}

// TestTimeEnds: whatever an item waits for, it is answered when its time or its
// context's ends, and at once if that is sure to come first.
func TestTimeEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, end := newPipedSender(t, Config{QuotaPerMinute: 61, MaxInstances: 1}, func(w http.ResponseWriter, r *http.Request) { // one a second
			writeReply(w, r, 200, taken)
		})
		defer end()
		began := time.Now()
		b := newAnswerBook(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for i := range 10 {
			b.sendTarget(ctx, "until "+strconv.Itoa(i), began.Add(5500*time.Millisecond))
		}

		b.sendMany(ctx, 30, time.Time{})
		got := b.countClasses()
		d := time.Since(began)
		check.Between(t, d, 19*time.Second, 21*time.Second, "the time until all is answered")
		check.Between(t, got[Accepted], 19, 22, "answers accepted")
		check.Equal(t, got[Accepted]+got[Waiting], 40, "answers accepted or waiting")
	})
}

func TestTimeoutIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int32
		s, end := newPipedSender(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
			if n.Add(1) == 1 {
				<-r.Context().Done()
				return
			}
			writeReply(w, r, 200, taken)
		})
		defer end()
		began := time.Now()
		b := newAnswerBook(t, s)
		b.sendTarget(t.Context(), "a", time.Time{})
		b.countClasses()
		a, d := b.answerOf("a"), time.Since(began)
		check.Equal(t, a.Class, Accepted, "a.Class")
		check.Equal(t, a.Attempts, 2, "a.Attempts")
		check.Between(t, d, 25*time.Second, 31*time.Second, "the time until the answer")
	})
}

// TestEndpointComesBack: an endpoint that does not answer is tried again soon, and what can wait
// for it does.
func TestEndpointComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipe()
		var up atomic.Bool
		dial := p.dial
		c := Config{Project: "p", Endpoint: "http://fcm.invalid"}
		c.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if !up.Load() {
				return nil, context.DeadlineExceeded
			}
			return dial(ctx, network, address)
		}
		srv := &http.Server{ErrorLog: quiet, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { writeReply(w, r, 200, taken) }), Protocols: new(http.Protocols)}
		srv.Protocols.SetUnencryptedHTTP2(true)
		go srv.Serve(p)
		defer srv.Close()
		s, err := New(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}

		defer s.Close()
		b := newAnswerBook(t, s)
		b.sendTarget(t.Context(), "patient", time.Time{})
		b.sendTarget(t.Context(), "impatient", time.Now().Add(10*time.Millisecond))
		time.Sleep(30 * time.Second)
		a := b.answerOf("impatient")
		check.Equal(t, a.Class, Waiting, "a.Class")
		if a.MaybeSent {
			t.Error("MaybeSent is true, want false: nothing was sent")
		}

		check.Equal(t, a.Attempts, 0, "a.Attempts")
		if !strings.Contains(a.Text, "out of reach") {
			t.Errorf("a.Text = %q, want it to contain %q", a.Text, "out of reach")
		}

		up.Store(true)
		if got := b.countClasses(); got[Accepted] != 1 {
			t.Errorf("outcomes %v: %+v", got, b.answerOf("patient"))
		}
	})
}

// TestConnectionsFollow: connections are added while all are full, up to what
// rate and latency need, and not when latency runs away.
func TestConnectionsFollow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, end := newPipedSender(t, Config{QuotaPerMinute: 610_000, MaxInstances: 10, MaxConnections: 20}, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(400 * time.Millisecond) // 1,000 a second are 400 at a time
			writeReply(w, r, 200, taken)
		})
		defer end()
		b := newAnswerBook(t, s)
		b.sendMany(t.Context(), 3000, time.Time{})
		if got := b.countClasses(); got[Accepted] != 3000 {
			t.Errorf("answers by class are %v, want 3000 accepted", got)
		}

		st := s.Stats()
		check.Between(t, st.Dialled, 4, 9, "connections opened")
		check.Equal(t, st.Connections, st.Dialled, "open connections, of those opened,")
	})
}
