package fcm

import (
	"crypto/tls"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// plain is an HTTP/1.1 client.
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
			switch {
			case got.code != 200:
				t.Errorf("tls %t: HTTP/%d: code %v, want 200", secure, proto, got.code)
			case got.proto != proto:
				t.Errorf("tls %t: HTTP/%d: proto %v, want %v", secure, proto, got.proto, proto)
			}
		}
		switch {
		case secure != strings.HasPrefix(s.URL(), "https://"):
			t.Errorf("tls %t: URL %s", secure, s.URL())
		case secure == (s.CertPool() == nil):
			t.Errorf("tls %t: the pool of certificates is %v", secure, s.CertPool())
		case secure == (s.CertificatePEM() == nil):
			t.Errorf("tls %t: the certificate is %q", secure, s.CertificatePEM())
		}
		switch st := s.Stats(); {
		case st.ConnectionsAccepted != 2:
			t.Errorf("tls %t: connections accepted %v, want 2", secure, st.ConnectionsAccepted)
		case st.OpenConnections != 2:
			t.Errorf("tls %t: open connections %v, want 2", secure, st.OpenConnections)
		case st.Accepted != 2:
			t.Errorf("tls %t: accepted %v, want 2", secure, st.Accepted)
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
			t.Errorf("%v: %d, want 404", c, got.code)
		}
	}
	if st := s.Stats(); st.Requests != 0 {
		t.Errorf("%d requests were counted, want none: %+v", st.Requests, st)
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	s := start(t, Options{RequireAuth: true})
	if got := post(t, s, toToken(token)); got.code != 401 {
		t.Errorf("without: %d, want 401", got.code)
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
		t.Errorf("%d sends were UNAUTHENTICATED, want 3: %+v", st.Outcomes["UNAUTHENTICATED"], st)
	}
}

func TestQuotaOfAMinute(t *testing.T) {
	t.Parallel()
	s := start(t, Options{QuotaPerMinute: 3})
	s.SetOutcome("gone-0123456", "UNREGISTERED")
	post(t, s, toToken(token))
	post(t, s, toToken("gone-0123456")) // a 404 counts
	post(t, s, "no JSON")               // a 400 counts, too
	for range 2 {
		got := post(t, s, toToken(token))
		wait, err := strconv.Atoi(got.header.Get("Retry-After"))
		switch {
		case got.code != 429:
			t.Fatalf("code %v, want 429", got.code)
		case err != nil:
			t.Fatalf("error %v, want none", err)
		case wait < 1 || wait > 60:
			t.Fatalf("wait %v, want %v to %v", wait, 1, 60)
		}
		e := parse(t, got.body).Error
		info := e.Details[0]
		switch {
		case e.Status != "RESOURCE_EXHAUSTED":
			t.Errorf(`answer: status %q, want "RESOURCE_EXHAUSTED"; body %s`, e.Status, got.body)
		case info.Reason != "RATE_LIMIT_EXCEEDED":
			t.Errorf(`answer: reason %q, want "RATE_LIMIT_EXCEEDED"; body %s`, info.Reason, got.body)
		case info.Domain != "googleapis.com":
			t.Errorf(`answer: domain %q, want "googleapis.com"; body %s`, info.Domain, got.body)
		case info.Metadata["service"] != "fcm.googleapis.com":
			t.Errorf(`answer: metadata service %q, want "fcm.googleapis.com"; body %s`, info.Metadata["service"], got.body)
		case info.Metadata["quota_limit"] != "SendsPerMinutePerProject":
			t.Errorf(`answer: metadata quota_limit %q, want "SendsPerMinutePerProject"; body %s`, info.Metadata["quota_limit"], got.body)
		case info.Metadata["quota_limit_value"] != "3":
			t.Errorf(`answer: metadata quota_limit_value %q, want "3"; body %s`, info.Metadata["quota_limit_value"], got.body)
		case len(e.Details[1].Links) == 0:
			t.Errorf("answer: no links; body %s", got.body)
		case strings.Contains(got.body, "FcmError"):
			t.Errorf(`answer: body %q, want no "FcmError" in it`, got.body)
		case !strings.Contains(e.Message, "for consumer 'project_number:"+projectNumber(project)+"'."):
			t.Errorf("answer: message %q, want the project number; body %s", e.Message, got.body)
		}
	}
	other := call(t, s.Client(), http.MethodPost, s.URL()+"/v1/projects/another/messages:send", toToken(token))
	if other.code != 200 {
		t.Errorf("another project: %d, want 200", other.code)
	}
	settings := s.Settings()
	settings.QuotaPerMinute = 0
	if err := s.Configure(settings); err != nil {
		t.Fatal(err)
	}
	if got := post(t, s, toToken(token)); got.code != 200 {
		t.Errorf("after the quota was lifted: %d, want 200", got.code)
	}
	s.SetOutcome(token, "QUOTA_PROJECT") // from a rule, not from the quota
	post(t, s, toToken(token))
	st := s.Stats()
	switch {
	case st.Outcomes["QUOTA_PROJECT"] != 3:
		t.Errorf("stats: outcomes QUOTA_PROJECT %v, want 3", st.Outcomes["QUOTA_PROJECT"])
	case st.Requests != 8:
		t.Errorf("stats: requests %v, want 8", st.Requests)
	}
	if st.OverQuota != 2 {
		t.Errorf("%d requests were over the quota, want 2", st.OverQuota)
	}
	if want := map[int]int{200: 3, 404: 1, 400: 1, 429: 3}; !maps.Equal(st.Statuses, want) {
		t.Errorf("answers by status %v, want %v", st.Statuses, want)
	}
}

func TestQuotaWindow(t *testing.T) {
	t.Parallel()
	var q quotas
	now := time.Date(2026, 12, 1, 9, 0, 47, 0, time.UTC) // its minute ends at :47
	for range 2 {
		if _, ok := q.countSend("p", QuotaMinuteRetryAfter, 2, now); !ok {
			t.Fatal("refused within the quota")
		}
	}
	switch wait, ok := q.countSend("p", QuotaMinuteRetryAfter, 2, now.Add(59*time.Second)); {
	case ok:
		t.Errorf("after 59 s: ok true, want false")
	case wait != time.Second:
		t.Errorf("after 59 s: wait %v, want %v", wait, time.Second)
	}
	if _, ok := q.countSend("p", QuotaMinuteRetryAfter, 2, now.Add(time.Minute)); !ok {
		t.Error("refused in the next minute")
	}
}

// TestQuotaShapes checks how many sends each shape accepts, and the Retry-After of the
// others, at times after the first send.
func TestQuotaShapes(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 12, 1, 9, 0, 47, 0, time.UTC)
	type moment struct {
		after      time.Duration
		let        int // accepted of 100 sends at this time
		retryAfter time.Duration
	}
	for shape, moments := range map[string][]moment{
		QuotaMinuteRetryAfter: {{0, 60, time.Minute}, {59 * time.Second, 0, time.Second}, {time.Minute, 60, time.Minute}, {3 * time.Minute, 60, time.Minute}},
		QuotaMinute:           {{0, 60, 0}, {59 * time.Second, 0, 0}, {time.Minute, 60, 0}, {3 * time.Minute, 60, 0}},
		QuotaBucket:           {{0, 60, 0}, {time.Second, 1, 0}, {31 * time.Second, 30, 0}, {10 * time.Minute, 60, 0}},
	} {
		t.Run(shape, func(t *testing.T) {
			t.Parallel()
			var q quotas
			for _, m := range moments {
				let, said := 0, time.Duration(0)
				for range 100 {
					wait, ok := q.countSend("p", shape, 60, first.Add(m.after))
					if ok {
						let++
					} else {
						said = wait
					}
				}
				if let != m.let {
					t.Errorf("after %s %d sends pass, want %d", m.after, let, m.let)
				}
				if said != m.retryAfter {
					t.Errorf("after %s Retry-After is %s, want %s", m.after, said, m.retryAfter)
				}
			}
		})
	}
}

// The shape of the quota also applies over the network, and its change gives the project
// its whole quota again.
func TestAQuotaWithoutRetryAfter(t *testing.T) {
	t.Parallel()
	s := start(t, Options{QuotaPerMinute: 1, QuotaShape: QuotaMinute})
	for _, shape := range []string{QuotaMinute, QuotaBucket} {
		settings := s.Settings()
		settings.QuotaShape = shape
		if err := s.Configure(settings); err != nil {
			t.Fatal(err)
		}
		if got := post(t, s, toToken(token)); got.code != 200 {
			t.Errorf("%s: the first is answered %d, want 200", shape, got.code)
		}
		got := post(t, s, toToken(token))
		if got.code != 429 {
			t.Errorf("%s: the second is answered %d, want 429", shape, got.code)
		}
		if wait := got.header.Get("Retry-After"); wait != "" {
			t.Errorf("%s: Retry-After %q, want none", shape, wait)
		}
	}
}

func TestLatencyJumps(t *testing.T) {
	t.Parallel()
	p := newPolicy(Settings{Latency: 50 * time.Millisecond, JumpLatency: 2 * time.Second, JumpEvery: time.Minute, JumpFor: 10 * time.Second})
	for after, want := range map[time.Duration]time.Duration{
		0: 50 * time.Millisecond, 49 * time.Second: 50 * time.Millisecond, 50 * time.Second: 2 * time.Second,
		59 * time.Second: 2 * time.Second, time.Minute: 50 * time.Millisecond, 111 * time.Second: 2 * time.Second,
	} {
		if got := p.latencyAt(1, p.began.Add(after)); got != want {
			t.Errorf("after %s the latency is %s, want %s", after, got, want)
		}
	}
}

func TestRetryAfterOfARule(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	if err := s.SetOutcomes(Outcome{Token: token, Outcome: "UNAVAILABLE", RetryAfter: 1500 * time.Millisecond, Times: 1}); err != nil {
		t.Fatal(err)
	}
	switch got := post(t, s, toToken(token)); {
	case got.code != 503:
		t.Errorf("code %v, want 503", got.code)
	case got.header.Get("Retry-After") != "2":
		t.Errorf(`Retry-After %q, want "2"`, got.header.Get("Retry-After"))
	}
	if got := post(t, s, toToken(token)); got.code != 200 {
		t.Errorf("the second: %d, want 200", got.code)
	}
	s.SetOutcome(token, "QUOTA_PROJECT")
	switch got := post(t, s, toToken(token)); {
	case got.code != 429:
		t.Errorf("code %v, want 429", got.code)
	case got.header.Get("Retry-After") != "":
		t.Errorf(`Retry-After %q, want ""`, got.header.Get("Retry-After"))
	}
}
