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
	switch {
	case len(got) != 1:
		t.Errorf("kept: %v messages, want 1", len(got))
	case got[0].ID != id:
		t.Errorf("kept: id %v, want %v", got[0].ID, id)
	case got[0].Token != token:
		t.Errorf("kept: token %v, want %v", got[0].Token, token)
	case got[0].MailingID != "m1":
		t.Errorf(`kept: mailing id %q, want "m1"`, got[0].MailingID)
	case got[0].CustomerID != "c1":
		t.Errorf(`kept: customer id %q, want "c1"`, got[0].CustomerID)
	case got[0].Project != project:
		t.Errorf("kept: project %v, want %v", got[0].Project, project)
	case got[0].Sequence != 1:
		t.Errorf("kept: sequence %v, want 1", got[0].Sequence)
	case !strings.Contains(string(got[0].Raw), `"title":"Spring"`):
		t.Errorf(`kept: raw %q, want "title":"Spring" in it`, string(got[0].Raw))
	}
	switch st := s.Stats(); {
	case st.Requests != 1:
		t.Errorf("stats: requests %v, want 1", st.Requests)
	case st.Accepted != 1:
		t.Errorf("stats: accepted %v, want 1", st.Accepted)
	case st.Outcomes[OK] != 1:
		t.Errorf("stats: outcomes OK %v, want 1", st.Outcomes[OK])
	case st.ConnectionsAccepted != 1:
		t.Errorf("stats: connections accepted %v, want 1", st.ConnectionsAccepted)
	case st.Kept != 1:
		t.Errorf("stats: kept %v, want 1", st.Kept)
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
	switch {
	case len(got) != 3:
		t.Errorf("kept: %v messages, want 3", len(got))
	case got[0].FID != "fid-0123456789abcdefgh":
		t.Errorf(`kept: fid %q, want "fid-0123456789abcdefgh"`, got[0].FID)
	case got[0].Token != "":
		t.Errorf(`kept: token %q, want ""`, got[0].Token)
	case got[1].Topic != "spring":
		t.Errorf(`kept: topic of message 1 %q, want "spring"`, got[1].Topic)
	case got[2].Condition != "'a' in topics && !('b' in topics)":
		t.Errorf(`kept: condition of message 2 %q, want "'a' in topics && !('b' in topics)"`, got[2].Condition)
	}
	if _, err := c.Send(within(t), &messaging.Message{Fid: "no fid"}); !messaging.IsUnregistered(err) {
		t.Errorf("a malformed installation id: %v", err)
	}
	switch _, err := c.Send(within(t), phone("short", messaging.Message{})); {
	case !messaging.IsInvalidArgument(err):
		t.Errorf("a malformed token: error %v, want an invalid argument", err)
	case err.Error() != badToken:
		t.Errorf("a malformed token: error %v, want %v", err.Error(), badToken)
	}
}

func TestAdminSDKDryRun(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	c := admin(t, s)
	s.SetOutcome("gone-*", "UNREGISTERED")
	id, err := c.SendDryRun(within(t), phone(token, messaging.Message{Data: map[string]string{"mailing_id": "m1"}}))
	switch {
	case err != nil:
		t.Errorf("error %v, want none", err)
	case id != "projects/"+project+"/messages/fake_message_id":
		t.Errorf("id %q, want %q", id, "projects/"+project+"/messages/fake_message_id")
	}
	if _, err := c.SendDryRun(within(t), phone("gone-0123456789", messaging.Message{})); !messaging.IsUnregistered(err) {
		t.Errorf("dry run to an invalid token: %v", err)
	}
	big := strings.Repeat("x", PayloadLimit)
	if _, err := c.SendDryRun(within(t), phone(token, messaging.Message{Data: map[string]string{"a": big}})); !messaging.IsInvalidArgument(err) {
		t.Errorf("dry run of a large payload: %v", err)
	}
	switch st := s.Stats(); {
	case st.Validated != 1:
		t.Errorf("stats: validated %v, want 1", st.Validated)
	case st.Accepted != 0:
		t.Errorf("stats: accepted %v, want 0", st.Accepted)
	case st.Kept != 0:
		t.Errorf("stats: kept %v, want 0", st.Kept)
	case st.Requests != 3:
		t.Errorf("stats: requests %v, want 3", st.Requests)
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
	switch {
	case got.SuccessCount != 89:
		t.Errorf("success count %v, want 89", got.SuccessCount)
	case got.FailureCount != 11:
		t.Errorf("failure count %v, want 11", got.FailureCount)
	}
	for i, r := range got.Responses {
		switch {
		case i%10 == 7 && !messaging.IsUnregistered(r.Error), i == 13 && !messaging.IsSenderIDMismatch(r.Error):
			t.Errorf("%d: %v", i, r.Error)
		}
	}
	switch st := s.Stats(); {
	case st.Accepted != 89:
		t.Errorf("stats: accepted %v, want 89", st.Accepted)
	case st.Outcomes["UNREGISTERED"] != 10:
		t.Errorf("stats: outcomes UNREGISTERED %v, want 10", st.Outcomes["UNREGISTERED"])
	case st.Outcomes["SENDER_ID_MISMATCH"] != 1:
		t.Errorf("stats: outcomes SENDER_ID_MISMATCH %v, want 1", st.Outcomes["SENDER_ID_MISMATCH"])
	case st.Outcomes[OK] != 89:
		t.Errorf("stats: outcomes OK %v, want 89", st.Outcomes[OK])
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
	switch st := s.Stats(); {
	case st.Requests != 2:
		t.Errorf("stats: requests %v, want 2", st.Requests)
	case st.Outcomes[UnavailableDelivered] != 1:
		t.Errorf("stats: outcomes UnavailableDelivered %v, want 1", st.Outcomes[UnavailableDelivered])
	case st.Kept != 2:
		t.Errorf("stats: kept %v, want 2", st.Kept)
	case st.Duplicates != 1:
		t.Errorf("stats: duplicates %v, want 1", st.Duplicates)
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
	switch {
	case got.SuccessCount != 2:
		t.Errorf("subscribed: success count %v, want 2", got.SuccessCount)
	case got.FailureCount != 2:
		t.Errorf("subscribed: failure count %v, want 2", got.FailureCount)
	case got.Errors[0].Index != 1:
		t.Errorf("subscribed: index %v, want 1", got.Errors[0].Index)
	case got.Errors[0].Reason != "NOT_FOUND":
		t.Errorf(`subscribed: reason %q, want "NOT_FOUND"`, got.Errors[0].Reason)
	case got.Errors[1].Index != 3:
		t.Errorf("subscribed: index of error 1 %v, want 3", got.Errors[1].Index)
	case got.Errors[1].Reason != "INVALID_ARGUMENT":
		t.Errorf(`subscribed: reason of error 1 %q, want "INVALID_ARGUMENT"`, got.Errors[1].Reason)
	}
	if subs := s.Subscribers("spring"); !slices.Equal(subs, []string{"topic-token-1", "topic-token-2"}) {
		t.Errorf("subscribers %v", subs)
	}
	switch got, err = c.UnsubscribeFromTopic(within(t), []string{"topic-token-1"}, "spring"); {
	case err != nil:
		t.Errorf("unsubscribed: error %v, want none", err)
	case got.SuccessCount != 1:
		t.Errorf("unsubscribed: success count %v, want 1", got.SuccessCount)
	}
	if n := s.Topics()["spring"]; n != 1 {
		t.Errorf("%d subscribers left, want 1", n)
	}
}
