package fcm

import (
	"crypto/tls"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// plain is a client of HTTP/1.1.
func plain(t testing.TB, s *Server) *http.Client {
	tr := &http.Transport{Protocols: &http.Protocols{}, TLSClientConfig: &tls.Config{RootCAs: s.CertPool()}}
	tr.Protocols.SetHTTP1(true)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func sendURL(s *Server) string { return s.URL() + "/v1/projects/" + project + "/messages:send" }

func TestProtocols(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		s := start(t, Options{TLS: secure})
		for proto, client := range map[int]*http.Client{1: plain(t, s), 2: s.Client()} {
			got := call(t, client, http.MethodPost, sendURL(s), toToken(token))
			if got.code != 200 || got.proto != proto {
				t.Errorf("tls %t: HTTP/%d answered %d over HTTP/%d", secure, proto, got.code, got.proto)
			}
		}
		if secure != strings.HasPrefix(s.URL(), "https://") || secure == (s.CertPool() == nil) || secure == (s.CertificatePEM() == nil) {
			t.Errorf("tls %t: %s", secure, s.URL())
		}
		if st := s.Stats(); st.ConnectionsAccepted != 2 || st.OpenConnections != 2 || st.Accepted != 2 {
			t.Errorf("tls %t: %+v", secure, st)
		}
	}
}

func TestAStrangerCertificateIsNotTrusted(t *testing.T) {
	t.Parallel()
	one, other := start(t, Options{TLS: true}), start(t, Options{TLS: true})
	if resp, err := one.Client().Get(other.URL() + "/emulator/stats"); err == nil {
		resp.Body.Close()
		t.Error("the client of one server trusts another's certificate")
	}
}

func TestOtherPathsAreNotFound(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, c := range [][2]string{
		{"GET", "/v1/projects/p/messages:send"}, {"POST", "/v1/projects/p/x/messages:send"}, {"POST", "/v1/projects//messages:send"},
		{"POST", "/batch"}, {"GET", "/iid/v1:batchAdd"}, {"GET", "/"}, {"PUT", "/v1/projects/p/registrations/t/topicSubscriptions"},
	} {
		if got := call(t, s.Client(), c[0], s.URL()+c[1], ""); got.code != 404 {
			t.Errorf("%v: %d", c, got.code)
		}
	}
	if st := s.Stats(); st.Requests != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	s := start(t, Options{RequireAuth: true})
	if got := post(t, s, toToken(token)); got.code != 401 {
		t.Errorf("without: %d", got.code)
	}
	for header, code := range map[string]int{"Bearer x": 200, "bearer y": 200, "Bearer ": 401, "Basic eA==": 401} {
		req, err := http.NewRequestWithContext(within(t), http.MethodPost, sendURL(s), strings.NewReader(toToken(token)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", header)
		resp, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != code {
			t.Errorf("%q: %d, want %d", header, resp.StatusCode, code)
		}
	}
	if st := s.Stats(); st.Outcomes["UNAUTHENTICATED"] != 3 {
		t.Errorf("stats %+v", st)
	}
}

func TestQuotaOfAMinute(t *testing.T) {
	t.Parallel()
	s := start(t, Options{QuotaPerMinute: 3})
	s.SetOutcome("gone-0123456", "UNREGISTERED")
	post(t, s, toToken(token))
	post(t, s, toToken("gone-0123456")) // a 404 counts
	post(t, s, "no JSON")               // as does a 400
	for range 2 {
		got := post(t, s, toToken(token))
		wait, err := strconv.Atoi(got.header.Get("Retry-After"))
		if got.code != 429 || err != nil || wait < 1 || wait > 60 {
			t.Fatalf("%d, Retry-After %q", got.code, got.header.Get("Retry-After"))
		}
		e := parse(t, got.body).Error
		info := e.Details[0]
		if e.Status != "RESOURCE_EXHAUSTED" || info.Reason != "RATE_LIMIT_EXCEEDED" || info.Domain != "googleapis.com" ||
			info.Metadata["service"] != "fcm.googleapis.com" || len(e.Details[1].Links) == 0 || strings.Contains(got.body, "FcmError") ||
			!strings.Contains(e.Message, "for consumer 'project_number:"+projectNumber(project)+"'.") {
			t.Errorf("answer %s", got.body)
		}
	}
	other := call(t, s.Client(), http.MethodPost, s.URL()+"/v1/projects/another/messages:send", toToken(token))
	if other.code != 200 {
		t.Errorf("another project: %d", other.code)
	}
	settings := s.Settings()
	settings.QuotaPerMinute = 0
	if err := s.Configure(settings); err != nil {
		t.Fatal(err)
	}
	if got := post(t, s, toToken(token)); got.code != 200 {
		t.Errorf("after the quota was lifted: %d", got.code)
	}
	if st := s.Stats(); st.Outcomes["QUOTA_PROJECT"] != 2 || st.Requests != 7 {
		t.Errorf("stats %+v", st)
	}
}

func TestQuotaWindow(t *testing.T) {
	t.Parallel()
	var q quotas
	now := time.Date(2026, 12, 1, 9, 0, 47, 0, time.UTC) // its minute ends at :47
	for range 2 {
		if _, ok := q.take("p", 2, now); !ok {
			t.Fatal("refused within the quota")
		}
	}
	if wait, ok := q.take("p", 2, now.Add(59*time.Second)); ok || wait != time.Second {
		t.Errorf("after 59 s: %t, wait %s", ok, wait)
	}
	if _, ok := q.take("p", 2, now.Add(time.Minute)); !ok {
		t.Error("refused in the next minute")
	}
}

func TestRetryAfterOfARule(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	if err := s.SetOutcomes(Outcome{Token: token, Outcome: "UNAVAILABLE", RetryAfter: 1500 * time.Millisecond, Times: 1}); err != nil {
		t.Fatal(err)
	}
	if got := post(t, s, toToken(token)); got.code != 503 || got.header.Get("Retry-After") != "2" {
		t.Errorf("%d, Retry-After %q", got.code, got.header.Get("Retry-After"))
	}
	if got := post(t, s, toToken(token)); got.code != 200 {
		t.Errorf("the second: %d", got.code)
	}
	s.SetOutcome(token, "QUOTA_PROJECT")
	if got := post(t, s, toToken(token)); got.code != 429 || got.header.Get("Retry-After") != "" {
		t.Errorf("%d, Retry-After %q", got.code, got.header.Get("Retry-After"))
	}
}
