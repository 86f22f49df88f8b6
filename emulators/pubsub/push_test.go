package pubsub_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"carillon.example/emulators/pubsub"
)

func TestEnvelopeIsThatOfPubSub(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{Now: func() time.Time { return time.Date(2026, 5, 4, 3, 2, 1, 700_999_000, time.UTC) }})
	url, got := endpoint(t, always(204))
	w.subscribe("full", &pb.Subscription{PushConfig: to(url), DeadLetterPolicy: &pb.DeadLetterPolicy{DeadLetterTopic: dead}})
	id := w.publishAll(&pb.PubsubMessage{Data: []byte("hello <&>\xff"), Attributes: map[string]string{"k": "v"}, OrderingKey: "o"})[0]
	q := next(t, got)
	want := fmt.Sprintf(`{"message":{"data":"aGVsbG8gPCY+/w==","attributes":{"k":"v"},"messageId":%q,"message_id":%q,`+
		`"publishTime":"2026-05-04T03:02:01.700Z","publish_time":"2026-05-04T03:02:01.700Z","orderingKey":"o"},`+
		`"subscription":"projects/p/subscriptions/full","deliveryAttempt":1}`, id, id)
	if q.body != want {
		t.Errorf("pushed\n%s\nwant\n%s", q.body, want)
	}
	if c := q.header.Get("Content-Type"); c != "application/json" {
		t.Errorf(`Content-Type is %q, want "application/json"`, c)
	}
	if a := q.header.Get("Authorization"); a != "" {
		t.Errorf(`Authorization %q, want ""`, a)
	}
}

func TestAttemptIsToldOnlyWithADeadLetterPolicy(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	url, got := endpoint(t, always(200))
	w.subscribe("plain", &pb.Subscription{PushConfig: to(url)})
	w.publish("x")
	if q := next(t, got); strings.Contains(q.body, "deliveryAttempt") {
		t.Errorf("pushed %s", q.body)
	}
}

func TestTokenAskedForIsUnsigned(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	url, got := endpoint(t, always(200))
	w.subscribe("oidc", &pb.Subscription{PushConfig: &pb.PushConfig{PushEndpoint: url, AuthenticationMethod: &pb.PushConfig_OidcToken_{
		OidcToken: &pb.PushConfig_OidcToken{ServiceAccountEmail: "pusher@p.example", Audience: "a"}}}})
	w.publish("x")
	token := next(t, got).header.Get("Authorization")
	const header, claims = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhdWQiOiJhIiwiZW1haWwiOiJwdXNoZXJAcC5leGFtcGxlIiwiZW1haWxfdmVyaWZpZWQiOnRydWUsImlzcyI6Imh0dHBzOi8vYWNjb3VudHMuZ29vZ2xlLmNvbSJ9"
	if want := "Bearer " + header + "." + claims + "."; token != want {
		t.Errorf("Authorization is %q, want %q", token, want)
	}
}

func TestStatusesThatAcknowledge(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.001})
	for code, acked := range map[int]bool{102: true, 200: true, 201: true, 202: true, 204: true,
		203: false, 205: false, 206: false, 301: false, 302: false, 307: false, 400: false, 404: false, 429: false, 500: false, 503: false} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			var n atomic.Int32
			url := serve(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", "/elsewhere") // a redirect must not be followed
				if n.Add(1) == 1 {
					rw.WriteHeader(code)
					if code == http.StatusProcessing {
						rw.WriteHeader(http.StatusInternalServerError) // too late
					}
				}
			})
			seen, stop := w.Server.Subscribe()
			defer stop()
			name := w.subscribe(fmt.Sprintf("s%d", code), &pb.Subscription{PushConfig: to(url)})
			w.publish("x")
			switch d := nextOf(t, seen, name); {
			case d.Status != code:
				t.Errorf("the first delivery: status %v, want %v", d.Status, code)
			case d.Err != nil:
				t.Errorf("the first delivery: error %v, want none", d.Err)
			case d.Attempt != 1:
				t.Errorf("the first delivery: attempt %v, want 1", d.Attempt)
			}
			w.idle()
			if want := map[bool]int32{true: 1, false: 2}[acked]; n.Load() != want {
				t.Errorf("%d pushes, want %d", n.Load(), want)
			}
			if err := w.SubscriptionAdminClient.DeleteSubscription(t.Context(), &pb.DeleteSubscriptionRequest{Subscription: name}); err != nil {
				t.Error(err)
			}
		})
	}
}

func nextOf(t *testing.T, seen <-chan pubsub.Delivery, subscription string) pubsub.Delivery {
	t.Helper()
	for {
		if d := next(t, seen); d.Subscription == subscription {
			return d
		}
	}
}

func TestBackOffDoublesBetweenItsBounds(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.002}) // 10 s are 20 ms
	url, got := endpoint(t, func(n int32) int {
		if n < 5 {
			return 500
		}
		return 200
	})
	w.subscribe("slow", &pb.Subscription{PushConfig: to(url), RetryPolicy: policy(10*time.Second, 30*time.Second)})
	w.publish("x")
	last := next(t, got).at
	for i, least := range []time.Duration{20, 40, 60, 60} {
		at := next(t, got).at
		// The endpoint reads the clock before it answers, so a measured wait is at
		// least as long as the back-off. On a slow machine it is longer.
		if gap := at.Sub(last); gap < least*time.Millisecond {
			t.Errorf("attempt %d came after %v, want %d ms at least", i+2, gap, least)
		}
		last = at
	}
	w.idle()
	none(t, got)
}

func TestWithoutARetryPolicyItComesBackSoon(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{}) // unscaled: with a policy this would take 10 s
	url, got := endpoint(t, func(n int32) int {
		if n == 1 {
			return 500
		}
		return 200
	})
	w.subscribe("soon", &pb.Subscription{PushConfig: to(url)})
	w.publish("x")
	first, second := next(t, got), next(t, got)
	if gap := second.at.Sub(first.at); gap < 100*time.Millisecond || gap > 9*time.Second {
		t.Errorf("the second attempt came after %v, want about 100 ms", gap)
	}
}

func TestNoAnswerWithinTheAckDeadlineIsANack(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.001, DeadlineScale: 0.01}) // 10 s are 100 ms
	var n atomic.Int32
	gone := make(chan struct{}, 1)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server only notices that a client disconnects after the body is read
		if n.Add(1) == 1 {
			<-r.Context().Done()
			gone <- struct{}{}
		}
	})
	seen, stop := w.Server.Subscribe()
	defer stop()
	w.subscribe("late", &pb.Subscription{PushConfig: to(url), AckDeadlineSeconds: 10})
	w.publish("x")
	switch d := next(t, seen); {
	case d.Err == nil:
		t.Errorf("the first delivery: no error")
	case d.Status != 0:
		t.Errorf("the first delivery: status %v, want 0", d.Status)
	case d.Took < 100*time.Millisecond:
		t.Errorf("the first delivery: took %v, want at least %v", d.Took, 100*time.Millisecond)
	}
	next(t, gone)
	for d := next(t, seen); ; d = next(t, seen) {
		if d.Status == 200 { // a slow machine may miss the deadline again
			break
		}
	}
	w.idle()
}

func TestNobodyListeningIsANack(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.001})
	seen, stop := w.Server.Subscribe()
	defer stop()
	name := w.subscribe("nobody", &pb.Subscription{PushConfig: to("http://127.0.0.1:1/")})
	id := w.publish("x")[0]
	for want := 1; want <= 3; want++ {
		switch d := next(t, seen); {
		case d.Attempt != want:
			t.Errorf("delivery %d: attempt %v, want %v", want, d.Attempt, want)
		case d.Err == nil:
			t.Errorf("delivery %d: no error", want)
		case d.Status != 0:
			t.Errorf("delivery %d: status %v, want 0", want, d.Status)
		case d.MessageID != id:
			t.Errorf("delivery %d: message id %v, want %v", want, d.MessageID, id)
		case d.Subscription != name:
			t.Errorf("delivery %d: subscription %v, want %v", want, d.Subscription, name)
		}
	}
	if w.Idle() {
		t.Error("idle with a message waiting for its next attempt")
	}
}

func TestSideBySideUpToTheLimit(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{InFlight: 3})
	var now, most atomic.Int32
	full, release := make(chan struct{}, 20), make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		full <- struct{}{}
		<-release
	})
	w.subscribe("narrow", &pb.Subscription{PushConfig: to(url)})
	w.publish("a", "b", "c", "d", "e", "f", "g")
	for range 3 {
		next(t, full)
	}
	if w.Idle() {
		t.Error("idle with pushes under way")
	}
	close(release)
	w.idle()
	switch {
	case most.Load() != 3:
		t.Errorf("%v pushes at once, want 3", most.Load())
	case len(full) != 4:
		t.Errorf("%v further pushes, want 4", len(full))
	}
}

func TestOrderingKeys(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{TimeScale: 0.001})
	w.SetChaos(pubsub.Chaos{Reorder: true, Delay: time.Millisecond, Seed: 7})
	url, got := endpoint(t, func(n int32) int {
		if n%5 == 0 {
			return 500
		}
		return 200
	})
	w.subscribe("ordered", &pb.Subscription{PushConfig: to(url), EnableMessageOrdering: true})
	for i := range 100 {
		w.publishAll(&pb.PubsubMessage{Data: fmt.Appendf(nil, "%03d", i), OrderingKey: fmt.Sprint("key", i%3)})
	}
	w.idle()
	last := map[string]string{}
	seen := map[string]bool{}
	for range len(got) {
		q := next(t, got)
		if q.data() < last[q.Message.OrderingKey] {
			t.Errorf("%s of %s came after %s", q.data(), q.Message.OrderingKey, last[q.Message.OrderingKey])
		}
		last[q.Message.OrderingKey] = q.data()
		seen[q.data()] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d messages came, want 100", len(seen))
	}
}

// TestFailingKeysHoldNoOthersUp fails the pushes of many keys for some time. The
// messages of other keys that come afterwards, and in the end those of all keys, are
// delivered.
func TestFailingKeysHoldNoOthersUp(t *testing.T) {
	t.Parallel()
	w := start(t, pubsub.Options{})
	const keys, failures = 40, 120
	url, got := endpoint(t, func(n int32) int {
		if n <= failures {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	w.subscribe("ordered", &pb.Subscription{PushConfig: to(url), EnableMessageOrdering: true, RetryPolicy: policy(200*time.Millisecond, time.Second)})
	publish := func(prefix string) {
		for i := range keys {
			name := fmt.Sprint(prefix, i)
			w.publishAll(&pb.PubsubMessage{Data: []byte(name), OrderingKey: name})
		}
	}
	publish("early")
	for range failures {
		next(t, got)
	}

	publish("late")
	missing := map[string]bool{}
	for i := range keys {
		missing[fmt.Sprint("early", i)], missing[fmt.Sprint("late", i)] = true, true
	}
	for len(missing) > 0 {
		delete(missing, next(t, got).data())
	}
}
