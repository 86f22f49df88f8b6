package fcm

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"firebase.google.com/go/v4/messaging"
	"google.golang.org/api/option"
)

func TestAdminSDKSends(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	ttl, count := 90*time.Minute, 3
	when := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	id, err := admin(t, s).Send(within(t), phone(token, messaging.Message{
		Notification: &messaging.Notification{Title: "Spring", Body: "sale", ImageURL: "https://shop.example/s.png"},
		Data:         map[string]string{"mailing_id": "m1", "customer_id": "c1"},
		Android: &messaging.AndroidConfig{Priority: "high", TTL: &ttl, CollapseKey: "k", Notification: &messaging.AndroidNotification{
			Color: "#336699", ChannelID: "news", EventTimestamp: &when, Priority: messaging.PriorityHigh,
			VibrateTimingMillis: []int64{100, 50}, Visibility: messaging.VisibilityPrivate, NotificationCount: &count,
			LightSettings: &messaging.LightSettings{Color: "#ff0000", LightOnDurationMillis: 100, LightOffDurationMillis: 50},
		}},
		APNS: &messaging.APNSConfig{Headers: map[string]string{"apns-priority": "5"}, Payload: &messaging.APNSPayload{
			Aps: &messaging.Aps{Alert: &messaging.ApsAlert{Title: "t"}, Badge: &count, ContentAvailable: true},
		}},
		Webpush: &messaging.WebpushConfig{Headers: map[string]string{"TTL": "60"}, Notification: &messaging.WebpushNotification{
			Title: "t", Actions: []*messaging.WebpushNotificationAction{{Action: "a", Title: "b"}}}},
		FCMOptions: &messaging.FCMOptions{AnalyticsLabel: "spring"},
	}))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(id, "projects/"+project+"/messages/0:") {
		t.Errorf("id %q", id)
	}
	got := s.Messages(Filter{})
	if len(got) != 1 || got[0].ID != id || got[0].Token != token || got[0].MailingID != "m1" || got[0].CustomerID != "c1" ||
		got[0].Project != project || got[0].Sequence != 1 || !strings.Contains(string(got[0].Raw), `"title":"Spring"`) {
		t.Errorf("kept %+v", got)
	}
	if st := s.Stats(); st.Requests != 1 || st.Accepted != 1 || st.Outcomes[OK] != 1 || st.ConnectionsAccepted != 1 || st.Kept != 1 {
		t.Errorf("stats %+v", st)
	}
}

func TestAdminSDKTargets(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := admin(t, s)
	for _, m := range []*messaging.Message{
		{Fid: "fid-0123456789abcdefgh"}, {Topic: "/topics/spring"}, {Condition: "'a' in topics && !('b' in topics)"},
	} {
		if _, err := c.Send(within(t), m); err != nil {
			t.Fatal(err)
		}
	}
	got := s.Messages(Filter{})
	if len(got) != 3 || got[0].FID != "fid-0123456789abcdefgh" || got[0].Token != "" || got[1].Topic != "spring" ||
		got[2].Condition != "'a' in topics && !('b' in topics)" {
		t.Errorf("kept %+v", got)
	}
	if _, err := c.Send(within(t), &messaging.Message{Fid: "no fid"}); !messaging.IsUnregistered(err) {
		t.Errorf("a malformed installation id: %v", err)
	}
	if _, err := c.Send(within(t), phone("short", messaging.Message{})); !messaging.IsInvalidArgument(err) || err.Error() != badToken {
		t.Errorf("a malformed token: %v", err)
	}
}

func TestAdminSDKDryRun(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := admin(t, s)
	s.SetOutcome("gone-*", "UNREGISTERED")
	id, err := c.SendDryRun(within(t), phone(token, messaging.Message{Data: map[string]string{"mailing_id": "m1"}}))
	if err != nil || id != "projects/"+project+"/messages/fake_message_id" {
		t.Errorf("%q, %v", id, err)
	}
	if _, err := c.SendDryRun(within(t), phone("gone-0123456789", messaging.Message{})); !messaging.IsUnregistered(err) {
		t.Errorf("dry run to a dead token: %v", err)
	}
	big := strings.Repeat("x", PayloadLimit)
	if _, err := c.SendDryRun(within(t), phone(token, messaging.Message{Data: map[string]string{"a": big}})); !messaging.IsInvalidArgument(err) {
		t.Errorf("dry run of a large payload: %v", err)
	}
	if st := s.Stats(); st.Validated != 1 || st.Accepted != 0 || st.Kept != 0 || st.Requests != 3 {
		t.Errorf("stats %+v", st)
	}
}

func TestAdminSDKSendEach(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	s.SetOutcome("each-token-13", "SENDER_ID_MISMATCH")
	s.SetOutcome("each-token-*7", "UNREGISTERED")
	var all []*messaging.Message
	for i := range 100 {
		all = append(all, phone(fmt.Sprintf("each-token-%02d", i), messaging.Message{Data: map[string]string{"n": fmt.Sprint(i)}}))
	}
	got, err := admin(t, s).SendEach(within(t), all)
	if err != nil {
		t.Fatal(err)
	}
	if got.SuccessCount != 89 || got.FailureCount != 11 {
		t.Errorf("%d sent, %d failed", got.SuccessCount, got.FailureCount)
	}
	for i, r := range got.Responses {
		switch {
		case i%10 == 7 && !messaging.IsUnregistered(r.Error), i == 13 && !messaging.IsSenderIDMismatch(r.Error):
			t.Errorf("%d: %v", i, r.Error)
		}
	}
	if st := s.Stats(); st.Accepted != 89 || st.Outcomes["UNREGISTERED"] != 10 || st.Outcomes["SENDER_ID_MISMATCH"] != 1 || st.Outcomes[OK] != 89 {
		t.Errorf("stats %+v", st)
	}
}

func TestAdminSDKRetriesA503(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	if err := s.SetOutcomes(Outcome{Token: token, Outcome: UnavailableDelivered, Times: 1}); err != nil {
		t.Fatal(err)
	}
	m := phone(token, messaging.Message{Data: map[string]string{"mailing_id": "m1"}})
	if _, err := admin(t, s).Send(within(t), m); err != nil {
		t.Fatal(err)
	}
	// The first send was delivered although its answer was 503, so the phone gets two messages.
	if st := s.Stats(); st.Requests != 2 || st.Outcomes[UnavailableDelivered] != 1 || st.Kept != 2 || st.Duplicates != 1 {
		t.Errorf("stats %+v", st)
	}
}

// redirect sends requests for any host to one server. The endpoint option of the Admin
// SDK only changes its FCM client. The host of its topic calls is a constant, which only
// the transport can redirect.
type redirect struct {
	to   *url.URL
	next http.RoundTripper
}

func (r redirect) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host != "iid.googleapis.com" && req.URL.Host != r.to.Host {
		return nil, errors.New("unexpected host " + req.URL.Host)
	}
	req = req.Clone(req.Context())
	req.URL.Scheme, req.URL.Host, req.Host = r.to.Scheme, r.to.Host, ""
	return r.next.RoundTrip(req)
}

func TestAdminSDKManagesTopics(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	to, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	c := admin(t, s, option.WithHTTPClient(&http.Client{Transport: redirect{to, s.Client().Transport}}))
	s.SetOutcome("gone-0123", "UNREGISTERED")
	got, err := c.SubscribeToTopic(within(t), []string{"topic-token-1", "gone-0123", "topic-token-2", "bad"}, "spring")
	if err != nil {
		t.Fatal(err)
	}
	if got.SuccessCount != 2 || got.FailureCount != 2 || got.Errors[0].Index != 1 || got.Errors[0].Reason != "NOT_FOUND" ||
		got.Errors[1].Index != 3 || got.Errors[1].Reason != "INVALID_ARGUMENT" {
		t.Errorf("subscribed %+v", got)
	}
	if subs := s.Subscribers("spring"); !slices.Equal(subs, []string{"topic-token-1", "topic-token-2"}) {
		t.Errorf("subscribers %v", subs)
	}
	if got, err = c.UnsubscribeFromTopic(within(t), []string{"topic-token-1"}, "spring"); err != nil || got.SuccessCount != 1 {
		t.Errorf("unsubscribed %+v, %v", got, err)
	}
	if n := s.Topics()["spring"]; n != 1 {
		t.Errorf("%d subscribers left", n)
	}
}
