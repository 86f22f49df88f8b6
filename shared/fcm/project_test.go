package fcm

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	emulated "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// sendTo sends n items to tokens of a project.
func (b *answerBook) sendTo(ctx context.Context, project string, n int) {
	for i := range n {
		b.sendItem(ctx, Item{Target: targetIn(project, i), Project: project})
	}
}

func targetIn(project string, i int) string { return project + "-" + testToken(i) }

// projectIn returns the project of a request.
func projectIn(r *http.Request) string {
	return strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/projects/"), "/")[0]
}

// A projectCounter counts requests to the projects p and b.
type projectCounter struct{ p, b atomic.Int64 }

func (c *projectCounter) countMessage(project string) {
	if project == "p" {
		c.p.Add(1)
		return
	}
	c.b.Add(1)
}

// countDuring returns how many requests came a second, by project, in the next seconds.
func (c *projectCounter) countDuring(d time.Duration) (p, b int64) {
	p, b = c.p.Load(), c.b.Load()
	time.Sleep(d)
	seconds := int64(d / time.Second)
	return (c.p.Load() - p) / seconds, (c.b.Load() - b) / seconds
}

// checkNear fails if a rate is not within a tenth of what is wanted.
func checkNear(t *testing.T, what string, got, want int64) {
	t.Helper()
	check.Between(t, got, want*9/10, want*11/10, "%s: messages a second", what)
}

// TestMessagesGoToTheirProject: over the same connections, and proofs too.
func TestMessagesGoToTheirProject(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{})
	s := newFastSender(t, Config{Endpoint: srv.URL(), Projects: []Project{{ID: "b"}}})
	b := newAnswerBook(t, s)
	b.sendTo(t.Context(), "b", 20)
	b.sendTo(t.Context(), "p", 10)
	b.sendTo(t.Context(), "", 10)
	if got := b.countClasses(); got[Accepted] != 40 {
		t.Fatalf("outcomes %v, want 40 accepted", got)
	}

	got := map[string]int{}
	for _, m := range srv.Messages(emulated.Filter{}) {
		got[m.Project]++
		if want := strings.SplitN(m.Token, "-", 2)[0]; want == "b" && m.Project != "b" {
			t.Errorf("%s came to the project %s", m.Token, m.Project)
		}
	}

	check.Equal(t, got["b"], 20, "messages to project b")
	check.Equal(t, got["p"], 20, "messages to project p")
	if dialled := srv.Stats().ConnectionsAccepted; dialled > 2 {
		t.Errorf("%d connections for two projects, want at most the 2 of a sender", dialled)
	}

	a := s.ProvePayloadIn(t.Context(), "b", b.m)
	check.Equal(t, a.Class, Accepted, "a proof in b: a.Class")
	if !strings.HasPrefix(a.Name, "projects/b/") {
		t.Errorf("a proof in b: a.Name = %q, want the prefix %q", a.Name, "projects/b/")
	}
	if a := s.ProvePayloadIn(t.Context(), "unknown", b.m); a.Class != Misconfigured {
		t.Errorf("a proof in a project that the sender does not have: %+v, want misconfigured", a)
	}
}

func TestFaultyProjectsAreRefused(t *testing.T) {
	t.Parallel()
	for name, projects := range map[string][]Project{
		"without an id":          {{ID: ""}},
		"twice":                  {{ID: "b"}, {ID: "b"}},
		"that of the config too": {{ID: "p"}},
	} {
		t.Run(name, func(t *testing.T) {

			if s, err := New(t.Context(), Config{Project: "p", Endpoint: "http://localhost:1", Projects: projects}); err == nil {
				s.Close()
				t.Errorf("%s: no error", name)
			}
		})
	}
}

// TestEachProjectHasItsQuota: a project with a small quota does not slow the other
// one, and does not get more than its own.
func TestEachProjectHasItsQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n projectCounter
		s, end := newPipedSender(t, Config{QuotaPerMinute: 61_000, MaxInstances: 1, Projects: []Project{{ID: "b", QuotaPerMinute: 6_100}}},
			func(w http.ResponseWriter, r *http.Request) {
				n.countMessage(projectIn(r))
				time.Sleep(10 * time.Millisecond)
				writeReply(w, r, 200, taken)
			})
		defer end()
		ctx, cancel := context.WithCancel(t.Context())
		b := newAnswerBook(t, s)
		b.sendTo(ctx, "b", 10_000)
		b.sendTo(ctx, "p", 10_000)
		time.Sleep(time.Second)
		p, other := n.countDuring(5 * time.Second)
		checkNear(t, "the project of the config", p, 1000)
		checkNear(t, "the project with a tenth of the quota", other, 100)
		cancel()
		b.countClasses()
	})
}

// TestFaultsOfOneProjectLeaveTheOther: its quota is used up, FCM has an outage there,
// or our account has no permission.
func TestFaultsOfOneProjectLeaveTheOther(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(http.ResponseWriter, *http.Request){
		"quota used up": func(w http.ResponseWriter, r *http.Request) { writeReply(w, r, 429, overQuota) },
		"quota with a wait": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "30")
			writeReply(w, r, 429, overQuota)
		},
		"outage": func(w http.ResponseWriter, r *http.Request) {
			writeReply(w, r, 503, `{"error":{"code":503,"status":"UNAVAILABLE"}}`)
		},
		"no permission": func(w http.ResponseWriter, r *http.Request) {
			writeReply(w, r, 403, `{"error":{"code":403,"status":"PERMISSION_DENIED"}}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var n projectCounter
				s, end := newPipedSender(t, Config{QuotaPerMinute: 61_000, MaxInstances: 1, MaxConnections: 100, Projects: []Project{{ID: "b"}}},
					func(w http.ResponseWriter, r *http.Request) {
						project := projectIn(r)
						n.countMessage(project)
						if project == "b" {
							fail(w, r)
							return
						}
						writeReply(w, r, 200, taken)
					})
				defer end()
				ctx, cancel := context.WithCancel(t.Context())
				b := newAnswerBook(t, s)
				b.sendTo(ctx, "b", 2_000)
				time.Sleep(3 * time.Second)
				b.sendTo(ctx, "p", 10_000)
				p, _ := n.countDuring(8 * time.Second)
				checkNear(t, "the other project", p, 1000)
				cancel()
				b.wg.Wait()
				for i := range 8_000 {
					if a := b.answerOf(targetIn("p", i)); a.Class != Accepted {
						t.Fatalf("item %d of the other project: %+v, want accepted", i, a)
					}
				}
			})
		})
	}
}

// TestProjectsShareTheConnections: while connections are short, projects take turns,
// and each gets half of them however many items the other one has.
func TestProjectsShareTheConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n projectCounter
		s, end := newPipedSender(t, Config{QuotaPerMinute: 1_000_000_000, MaxInstances: 1, Connections: 1, MaxConnections: 1, Projects: []Project{{ID: "b"}}},
			func(w http.ResponseWriter, r *http.Request) {
				n.countMessage(projectIn(r))
				time.Sleep(100 * time.Millisecond)
				writeReply(w, r, 200, taken)
			})
		defer end()
		b := newAnswerBook(t, s)
		b.sendTo(t.Context(), "p", 8_000)
		time.Sleep(time.Second)
		b.sendTo(t.Context(), "b", 2_000)
		p, other := n.countDuring(3 * time.Second)
		if other < p*9/10 {
			t.Errorf("%d messages a second to the other project, want at least 90 %% of the %d to one", other, p)
		}
		if p < other*9/10 {
			t.Errorf("%d messages a second to one project, want at least 90 %% of the %d to the other", p, other)
		}
		if got := b.countClasses(); got[Accepted] != 10_000 {
			t.Errorf("outcomes %v, want 10,000 accepted", got)
		}
	})
}

// TestAProjectWithoutPermissionKeepsTheToken: the token is good, because the other
// project accepts it. No new one is fetched, for which the other would have to wait.
func TestAProjectWithoutPermissionKeepsTheToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &tokenMint{}
		s, end := newSenderAtGoogle(t, m, func(w http.ResponseWriter, r *http.Request) {
			if projectIn(r) == "b" {
				writeReply(w, r, 403, `{"error":{"code":403,"status":"PERMISSION_DENIED"}}`)
				return
			}
			writeReply(w, r, 200, taken)
		}, Project{ID: "b"})
		defer end()
		b := newAnswerBook(t, s)
		b.sendTo(t.Context(), "p", 1)
		b.wg.Wait()
		time.Sleep(time.Minute)
		b.sendTo(t.Context(), "b", 10)
		got := b.countClasses()
		check.Equal(t, got[Misconfigured], 10, "answers misconfigured")
		check.Equal(t, got[Accepted], 1, "answers accepted")
		if n := m.made.Load(); n != 1 {
			t.Errorf("%d access tokens, want 1", n)
		}
	})
}

// TestRequestsNameTheProjectWhoseQuotaTheyUse: for every project but that of our account,
// with each access token.
func TestRequestsNameTheProjectWhoseQuotaTheyUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		got := map[string]string{}
		m := &tokenMint{}
		s, end := newSenderAtGoogle(t, m, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			got[projectIn(r)] = r.Header.Get("X-Goog-User-Project") + " " + r.Header.Get("Authorization")
			mu.Unlock()
			writeReply(w, r, 200, taken)
		}, Project{ID: "b"})
		defer end()
		b := newAnswerBook(t, s)
		for _, token := range []string{"key-1", "key-2"} {
			b.got = map[string]Answer{}
			b.sent = 0
			b.sendTo(t.Context(), "p", 1)
			b.sendTo(t.Context(), "b", 1)
			b.countClasses()
			mu.Lock()
			for project, want := range map[string]string{"p": " Bearer " + token, "b": "b Bearer " + token} {
				if got[project] != want {
					t.Errorf("a request to %s has %q, want %q", project, got[project], want)
				}
			}
			mu.Unlock()
			time.Sleep(57 * time.Minute)
		}
	})
}

// TestEachProjectHasItsPeers: what others want of one project's quota says nothing
// about the other's.
func TestEachProjectHasItsPeers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var n projectCounter
		peersOfP, peersOfB := &demandBoard{}, &demandBoard{others: []push.Demand{{Rate: 200, Known: 200, Ramp: 1}}}
		s, end := newPipedSender(t, Config{QuotaPerMinute: 12_200, Peers: peersOfP, Projects: []Project{{ID: "b", Peers: peersOfB}}},
			func(w http.ResponseWriter, r *http.Request) {
				n.countMessage(projectIn(r))
				writeReply(w, r, 200, taken)
			})
		defer end()
		ctx, cancel := context.WithCancel(t.Context())
		b := newAnswerBook(t, s)
		b.sendTo(ctx, "p", 20_000)
		b.sendTo(ctx, "b", 20_000)
		time.Sleep(70 * time.Second)
		p, other := n.countDuring(5 * time.Second)
		checkNear(t, "the project that nobody else sends to", p, 200)
		checkNear(t, "the project that another instance sends to", other, 100)
		cancel()
		b.countClasses()

		s.ReleaseQuota()
		time.Sleep(5 * time.Second)
		for name, peers := range map[string]*demandBoard{"p": peersOfP, "b": peersOfB} {
			peers.mu.Lock()
			if peers.left != 1 {
				t.Errorf("the sender left the peers of %s %d times, want once", name, peers.left)
			}
			peers.mu.Unlock()
		}
	})
}
