package fcm

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carillon.example/emulators/testcloud/check"
)

// These tests run on a clock of their own, as those of time_test.go.

const overQuota = `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"RATE_LIMIT_EXCEEDED"}]}}`

// TestOneQuotaAnswerWaitsAlone: the item that is answered 429 waits for
// Retry-After, else a minute. Other items do not wait.
func TestOneQuotaAnswerWaitsAlone(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{"": time.Minute, "7": 7 * time.Second} {
		t.Run(header, func(t *testing.T) {

			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int32
				began := time.Now()
				s, end := newPipedSender(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
					if n.Add(1) == 1 {
						w.Header().Set("Retry-After", header)
						writeReply(w, r, 429, overQuota)
						return
					}
					writeReply(w, r, 200, taken)
				})
				defer end()
				b := newAnswerBook(t, s)
				b.sendTarget(t.Context(), "first", time.Time{})
				synctest.Wait()
				time.Sleep(time.Second)
				b.sendMany(t.Context(), 100, time.Time{})
				b.sendTarget(t.Context(), "impatient", time.Now().Add(5*time.Second))
				time.Sleep(time.Second)
				b.mu.Lock()
				if len(b.got) != 101 {
					t.Errorf("Retry-After %q: %d of the 101 others are answered meanwhile", header, len(b.got))
				}

				b.mu.Unlock()
				if got := b.countClasses(); got[Accepted] != 102 {
					t.Errorf("Retry-After %q: outcomes %v", header, got)
				}

				d := time.Since(began)
				check.Between(t, d, want, want+time.Second, "Retry-After %q: the time until it was sent again", header)
				if a := b.answerOf("first"); a.Attempts != 2 {
					t.Errorf("Retry-After %q: %d attempts, want 2", header, a.Attempts)
				}
			})
		})
	}
}

// TestTheProjectsQuotaIsUsedUp: a minute's quota is sent each minute, with few
// messages that are answered 429.
func TestTheProjectsQuotaIsUsedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		quota := &minuteWindow{quota: 3000}
		over := 0
		s, end := newPipedSender(t, Config{QuotaPerMinute: 61_000, MaxInstances: 1}, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			ok, _ := quota.allowMessage(time.Now())
			if !ok {
				over++
			}
			mu.Unlock()
			if !ok {
				writeReply(w, r, 429, overQuota)
				return
			}
			time.Sleep(10 * time.Millisecond)
			writeReply(w, r, 200, taken)
		})
		defer end()
		b := newAnswerBook(t, s)
		began := time.Now()
		b.sendMany(t.Context(), 9000, time.Time{})
		b.sendTarget(t.Context(), "impatient", time.Now().Add(20*time.Second))
		got := b.countClasses()
		if got[Accepted] != 9000 {
			t.Errorf("outcomes %v, want 9,000 accepted", got)
		}
		if d := time.Since(began); d > 3*time.Minute+5*time.Second {
			t.Errorf("three minutes' quota took %s", d)
		}
		if over > 400 {
			t.Errorf("%d were answered 429", over)
		}

		a := b.answerOf("impatient")
		check.Equal(t, a.Class, Waiting, "what cannot wait for the next minute: a.Class")
		if a.NotBefore.Sub(began) < 50*time.Second {
			t.Errorf("what cannot wait for the next minute: NotBefore is after %v, want at least %v", a.NotBefore.Sub(began), 50*time.Second)
		}
	})
}

// TestOccasionalQuotaAnswersLeaveTheRateAlone: 0.1 and 1 % of 429 with and without
// Retry-After.
func TestOccasionalQuotaAnswersLeaveTheRateAlone(t *testing.T) {
	t.Parallel()
	for _, every := range []int64{1000, 100} {
		for _, header := range []string{"", "1"} {
			synctest.Test(t, func(t *testing.T) {
				var n, accepted atomic.Int64
				s, end := newPipedSender(t, Config{QuotaPerMinute: 61_000, MaxInstances: 1}, func(w http.ResponseWriter, r *http.Request) {
					if n.Add(1)%every == 0 {
						w.Header().Set("Retry-After", header)
						writeReply(w, r, 429, overQuota)
						return
					}
					accepted.Add(1)
					writeReply(w, r, 200, taken)
				})
				defer end()
				b := newAnswerBook(t, s)
				b.sendMany(t.Context(), 4500, time.Time{})
				time.Sleep(4 * time.Second)
				if got := accepted.Load(); got < 3600 {
					t.Errorf("every %d. is 429, Retry-After %q: %d accepted in 4 s, want 90 %% of 4,000", every, header, got)
				}
				if got := b.countClasses(); got[Accepted] != 4500 {
					t.Errorf("outcomes %v", got)
				}
			})
		}
	}
}

// TestAHotTokenSlowsNobodyDown: FCM limits one target again and again.
func TestAHotTokenSlowsNobodyDown(t *testing.T) {
	t.Parallel()
	for name, details := range map[string]string{"without a QuotaFailure": "", "with one": "," + target429} {
		t.Run(name, func(t *testing.T) {

			synctest.Test(t, func(t *testing.T) {
				s, end := newPipedSender(t, Config{QuotaPerMinute: 61_000, MaxInstances: 1}, func(w http.ResponseWriter, r *http.Request) {
					if strings.Contains(readBody(r), `"hot`) {
						w.Header().Set("Retry-After", "1")
						writeReply(w, r, 429, `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[`+fcmErrorDetail("QUOTA_EXCEEDED")+details+`]}}`)
						return
					}
					writeReply(w, r, 200, taken)
				})
				defer end()
				b := newAnswerBook(t, s)
				began := time.Now()
				for i := range 20 {
					b.sendTarget(t.Context(), fmt.Sprint("hot", i), began.Add(10*time.Second))
				}

				b.sendMany(t.Context(), 5000, time.Time{})
				time.Sleep(5500 * time.Millisecond)
				b.mu.Lock()
				if len(b.got) < 5000 {
					t.Errorf("%s: %d of 5,000 others are answered after 5.5 s", name, len(b.got))
				}

				b.mu.Unlock()
				got := b.countClasses()
				check.Equal(t, got[Accepted], 5000, "%s: answers accepted", name)
				check.Equal(t, got[Waiting], 20, "%s: answers waiting", name)
				if a := b.answerOf("hot3"); a.Attempts > 4 {
					t.Errorf("%s: %d attempts in 10 s, want longer and longer pauses", name, a.Attempts)
				}
			})
		})
	}
}

// TestASmallMailingIsNotDelayed: three large mailings are in the queue.
func TestASmallMailingIsNotDelayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, end := newPipedSender(t, Config{QuotaPerMinute: 61_000, MaxInstances: 1}, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(50 * time.Millisecond)
			writeReply(w, r, 200, taken)
		})
		defer end()
		ctx, cancel := context.WithCancel(t.Context())
		b := newAnswerBook(t, s)
		of := func(mailing string) *Message {
			m, err := Compile([]byte(`{"data":{"a":"b"}}`), Extra{MailingID: mailing})
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		for i := range 3 {
			b.m = of(fmt.Sprint("large", i))
			for j := range 4000 {
				b.sendTarget(ctx, fmt.Sprintf("large %d %d", i, j), time.Time{})
			}
		}

		time.Sleep(2 * time.Second)

		b.m = of("small")
		got := make(chan time.Time, 2)
		asked := time.Now()
		s.Send(ctx, Item{Message: b.m, Customer: "anna", Target: "small"}, func(Answer) { got <- time.Now() })
		if d := (<-got).Sub(asked); d > 100*time.Millisecond {
			t.Errorf("a mailing to one customer took %s", d)
		}

		asked = time.Now()
		b.m = of("large0")
		s.Send(ctx, Item{Message: b.m, Customer: "anna", Target: "single", Priority: true}, func(Answer) { got <- time.Now() })
		if d := (<-got).Sub(asked); d > 100*time.Millisecond {
			t.Errorf("a message with priority took %s", d)
		}

		cancel()
		b.countClasses()
	})
}

// TestLatencyThatJumps: as many requests are under way as all connections allow.
func TestLatencyThatJumps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		var answered atomic.Int64
		s, end := newPipedSender(t, Config{QuotaPerMinute: 61_000, MaxInstances: 1, MaxConnections: 17}, func(w http.ResponseWriter, r *http.Request) {
			if d := 50 * time.Millisecond; slow.Load() {
				time.Sleep(40 * d)
			} else {
				time.Sleep(d)
			}
			answered.Add(1)
			writeReply(w, r, 200, taken)
		})
		defer end()
		ctx, cancel := context.WithCancel(t.Context())
		b := newAnswerBook(t, s)
		b.sendMany(ctx, 18_000, time.Time{})
		time.Sleep(2 * time.Second)
		slow.Store(true)
		time.Sleep(6 * time.Second)
		before := answered.Load()
		time.Sleep(6 * time.Second)
		// 1,700 requests under way at 2 s each.
		if got := (answered.Load() - before) / 6; got < 800 {
			t.Errorf("%d a second while FCM takes 2 s, want 850", got)
		}

		slow.Store(false)
		time.Sleep(3 * time.Second)
		before = answered.Load()
		time.Sleep(time.Second)
		if got := answered.Load() - before; got < 700 {
			t.Errorf("%d a second afterwards, want about 1,000", got)
		}

		cancel()
		b.countClasses()
	})
}

// TestAnswersOfSomebodyElse: after the first the message is sent again, the second is final.
func TestAnswersOfSomebodyElse(t *testing.T) {
	t.Parallel()
	const page = "<html>sign in"
	for name, c := range map[string]struct {
		code  int
		pages int32
		want  AnswerClass
	}{
		"one page":        {200, 1, Accepted},
		"pages":           {200, 9, Misconfigured},
		"one redirect":    {302, 1, Accepted},
		"redirects":       {302, 9, Misconfigured},
		"one 404 of HTML": {404, 1, Accepted},
	} {
		t.Run(name, func(t *testing.T) {

			synctest.Test(t, func(t *testing.T) {
				for _, proof := range []bool{false, true} {
					var n atomic.Int32
					s, end := newPipedSender(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
						if n.Add(1) <= c.pages {
							writeReply(w, r, c.code, page)
							return
						}
						writeReply(w, r, 200, taken)
					})
					began := time.Now()
					var a Answer
					if proof {
						a = s.ProvePayload(t.Context(), compileTestMessage(t))
					} else {
						b := newAnswerBook(t, s)
						b.sendTarget(t.Context(), "a", time.Time{})
						b.countClasses()
						a = b.answerOf("a")
					}
					if a.Class != c.want {
						t.Errorf("%s, proof %v: %s, want %s", name, proof, a.Class, c.want)
					}
					if a.Attempts != 2 {
						t.Errorf("%s, proof %v: %d attempts, want 2", name, proof, a.Attempts)
					}
					if d := time.Since(began); d > 3*time.Second {
						t.Errorf("%s, proof %v: it took %s", name, proof, d)
					}

					end()
				}
			})
		})
	}
}
