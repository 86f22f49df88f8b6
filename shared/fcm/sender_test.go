package fcm

import (
	"fmt"
	"strings"
	"testing"
	"time"

	emulated "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

func TestEveryOutcomeArrives(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{Latency: time.Millisecond})
	s := newFastSender(t, Config{Endpoint: srv.URL()})
	want := map[string]AnswerClass{"OK": Accepted, "UNREGISTERED": Invalid, "UNREGISTERED_SEED": Invalid, "INVALID_TOKEN": Invalid,
		"INVALID_TOKEN_OLD": Invalid, "INVALID_TOKEN_BARE": Doubtful, "PAYLOAD_TOO_LARGE": Refused, "PAYLOAD_TOO_LARGE_OLD": Refused,
		"PAYLOAD_FIELD": Refused, "UNKNOWN_FIELD": Refused, "NO_TARGET": Refused, "BAD_TOPIC": Refused, "BAD_CONDITION": Doubtful,
		"WEBPUSH_TTL": Refused, "SENDER_ID_MISMATCH": Mismatch, "PERMISSION_DENIED": Misconfigured, "QUOTA_DEVICE": Waiting,
		"UNAVAILABLE": Waiting, "INTERNAL": Waiting, "BAD_GATEWAY": Waiting, "THIRD_PARTY_AUTH": ThirdParty, "UNAUTHENTICATED": Misconfigured}
	b := newAnswerBook(t, s)
	for name := range want {
		srv.SetOutcome(name+"-token", name)
		b.sendTarget(t.Context(), name+"-token", time.Now().Add(2*time.Second))
	}

	b.countClasses()
	for name, outcome := range want {
		t.Run(name, func(t *testing.T) {
			a := b.answerOf(name + "-token")
			if a.Class != outcome {
				t.Errorf("%s: %+v, want %s", name, a, outcome)
			}

			check.Equal(t, a.Attempts, 1, "%s: a.Attempts", name)
			if a.HTTP == 0 {
				t.Errorf("%s: a.HTTP = %v, want anything but 0", name, a.HTTP)
			}
			if outcome != Accepted && a.Text == "" {
				t.Errorf("%s: it is not accepted, and has no text", name)
			}
			if outcome == Accepted && a.Name == "" {
				t.Errorf("%s: it is accepted, and has no name", name)
			}
			if outcome == Waiting && time.Until(a.NotBefore) < 5*time.Second {
				t.Errorf("%s: may be tried again in %s", name, time.Until(a.NotBefore))
			}
		})
	}
}

func TestWhatIsSent(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{})
	s := newFastSender(t, Config{Endpoint: srv.URL() + "/"})
	m := compileTestMessage(t)
	got := make(chan Answer, 3)
	collect := func(a Answer) { got <- a }
	s.Send(t.Context(), Item{Message: m, Customer: `c "ä"`, Target: testToken(1), Kind: push.KindToken}, collect)
	s.Send(t.Context(), Item{Message: m, Customer: "c2", Target: "fid-0123456789abcdefgh", Kind: push.KindFID}, collect)
	s.Send(t.Context(), Item{Message: m, Customer: "c3", Target: testToken(3), DryRun: true}, collect)
	for range 3 {
		if a := <-got; a.Class != Accepted {
			t.Errorf("the answer is %+v, want %s", a, Accepted)
		}
	}

	st := srv.Stats()
	check.Equal(t, st.Accepted, 2, "messages accepted")
	check.Equal(t, st.Validated, 1, "messages validated")
	for _, msg := range srv.Messages(emulated.Filter{}) {
		switch {
		case msg.Token == testToken(1) && msg.CustomerID == `c "ä"` && msg.MailingID == "m1" && msg.Project == "p":
		case msg.FID == "fid-0123456789abcdefgh" && msg.CustomerID == "c2":
		default:
			t.Errorf("FCM got %+v: %s", msg, msg.Raw)
		}
	}
}

func TestTooLargeIsNotSent(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{})
	s := newFastSender(t, Config{Endpoint: srv.URL()})
	m, err := Compile(fmt.Appendf(nil, `{"data":{"a":"%s"}}`, strings.Repeat("x", MaxSize-50)), Extra{MailingID: "m1"})
	if err != nil {
		t.Fatal(err)
	}

	room := MaxSize - m.Size("")
	got := make(chan Answer, 1)
	for n, want := range map[int]AnswerClass{room: Accepted, room + 1: Refused} {
		s.Send(t.Context(), Item{Message: m, Customer: strings.Repeat("c", n), Target: testToken(1)}, func(a Answer) { got <- a })
		if a := <-got; a.Class != want {
			t.Errorf("%d bytes: %+v, want %s", m.Size("")+n, a, want)
		}
	}

	if n := srv.Stats().Requests; n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestGoAway: connections that get GOAWAY lose no message, send none twice, and are
// replaced one by one.
func TestGoAway(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{Latency: 2 * time.Millisecond, GoAwayAfter: 100})
	s := newFastSender(t, Config{Endpoint: srv.URL(), Connections: 4, MaxConnections: 4})
	b := newAnswerBook(t, s)
	b.sendMany(t.Context(), 2000, time.Now().Add(time.Minute))
	if got := b.countClasses(); got[Accepted] != 2000 {
		t.Errorf("outcomes %v", got)
	}

	st := srv.Stats()
	check.Equal(t, st.Accepted, 2000, "messages that FCM accepted")
	check.Equal(t, st.Duplicates, 0, "messages that FCM got twice")
	if st.ConnectionsAccepted > 2000/100+4 {
		t.Errorf("%d connections for 2,000 messages at 100 each", st.ConnectionsAccepted)
	}
}

// TestDials: many requests at once, before there is a connection, do not open one each.
func TestDials(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{Latency: 5 * time.Millisecond, TLS: true})
	s := newFastSender(t, Config{Endpoint: srv.URL(), TLS: clientTLS(srv.CertPool()), Connections: 3, MaxConnections: 3})
	for range 2 { // cold and warm
		b := newAnswerBook(t, s)
		b.sendMany(t.Context(), 1000, time.Time{})
		if got := b.countClasses(); got[Accepted] != 1000 {
			t.Errorf("outcomes %v", got)
		}
	}

	st := srv.Stats()
	if st.ConnectionsAccepted > 3 {
		t.Errorf("FCM accepted %d connections, want at most 3", st.ConnectionsAccepted)
	}
	if s.Stats().Dialled > 3 {
		t.Errorf("the sender opened %d connections, want at most 3", s.Stats().Dialled)
	}
}

// TestStreamLimit: a server that takes fewer requests a connection than FCM is
// not sent more.
func TestStreamLimit(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{Latency: time.Millisecond, MaxStreams: 3})
	s := newFastSender(t, Config{Endpoint: srv.URL(), Connections: 2, MaxConnections: 2})
	b := newAnswerBook(t, s)
	b.sendMany(t.Context(), 300, time.Time{})
	got := b.countClasses()
	check.Equal(t, got[Accepted], 300, "answers accepted")
	check.Equal(t, srv.Stats().Duplicates, 0, "messages that FCM got twice")
}

func TestProve(t *testing.T) {
	t.Parallel()
	srv := startFCM(t, emulated.Options{})
	s := newFastSender(t, Config{Endpoint: srv.URL(), ProofTopic: "proofs"})
	events, cancel := srv.Subscribe()
	defer cancel()
	sized := func(n int) *Message {
		m, err := Compile(fmt.Appendf(nil, `{"data":{"a":"%s"}}`, strings.Repeat("x", n)), Extra{MailingID: "m"})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	bad, err := Compile([]byte(`{"data":{"a":12}}`), Extra{MailingID: "m"})
	if err != nil {
		t.Fatal(err)
	}

	for name, c := range map[string]struct {
		m           *Message
		want        AnswerClass
		provisional bool
		http        int
	}{
		"good":                 {compileTestMessage(t), Accepted, false, 200},
		"bad":                  {bad, Refused, false, 400},
		"too large for topics": {sized(3000), Refused, true, 400},
		"too large":            {sized(5000), Refused, false, 0},
	} {
		t.Run(name, func(t *testing.T) {

			a := s.ProvePayload(t.Context(), c.m)
			check.Equal(t, a.Class, c.want, "%s: a.Class", name)
			check.Equal(t, a.Provisional, c.provisional, "%s: a.Provisional", name)
			check.Equal(t, a.HTTP, c.http, "%s: a.HTTP", name)
			if c.want == Refused && a.Text == "" {
				t.Errorf("%s: the answer has no text", name)
			}
		})
	}

	e := <-events
	for e.Message == nil || !e.Message.ValidateOnly {
		e = <-events
	}

	check.Equal(t, e.Message.Topic, "proofs", "the topic of the proof")
	check.Equal(t, len(e.Message.CustomerID), push.MaxCustomerID, "bytes of the customer's id in the proof")
	for outcome, want := range map[string]AnswerClass{"UNREGISTERED": Refused, "INVALID_TOKEN_BARE": Refused, "UNAVAILABLE": Waiting, "PERMISSION_DENIED": Misconfigured} {
		t.Run(outcome, func(t *testing.T) {

			srv.SetOutcome("/topics/proofs", outcome)
			if a := s.ProvePayload(t.Context(), compileTestMessage(t)); a.Class != want {
				t.Errorf("proof answered %s: %+v", outcome, a)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []Config{{}, {Project: "p", Endpoint: "fcm.googleapis.com"}, {Project: "p", Endpoint: "ftp://x"},
		{Project: "p", Endpoint: "https://user:secret@x"}, {Project: "p", Endpoint: "http://x?y"}, {Project: "p", Endpoint: "://"}} {
		if s, err := New(t.Context(), c); err == nil {
			s.Close()
			t.Errorf("%+v is taken", c)
		}
	}
	for endpoint, google := range map[string]bool{"https://fcm.googleapis.com": true, "https://FCM.googleapis.com:443/": true,
		"http://fcm.googleapis.com": false, "http://fcm.googleapis.com:443": false, "https://fcm.googleapis.com:8443": false, "https://fcm.googleapis.com.evil.example": false,
		"https://evil.example/fcm.googleapis.com": false, "http://127.0.0.1:9599": false} {
		t.Run(endpoint, func(t *testing.T) {

			tg, err := Config{Project: "p", Endpoint: endpoint}.withDefaults().parseEndpoint()
			if err != nil {
				t.Fatalf("%s: %v", endpoint, err)
			}
			check.Equal(t, tg.google, google, "%s: that it is Google's", endpoint)
			if err == nil && !strings.HasSuffix(tg.sendURL("p"), "/v1/projects/p/messages:send") {
				t.Errorf("%s: sends to %s", endpoint, tg.sendURL("p"))
			}
		})
	}
}
