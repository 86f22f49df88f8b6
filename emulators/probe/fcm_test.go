package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
)

// targetsOf returns the tokens, installation ids and topics of a request that look like real
// ones.
func targetsOf(t *testing.T, body []byte) (out []string) {
	t.Helper()
	var r struct {
		Message struct{ Token, FID, Topic string }
	}
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatal(err)
	}
	for _, one := range []string{r.Message.Token, r.Message.FID, r.Message.Topic} {
		if len(one) > 20 {
			out = append(out, one)
		}
	}
	return out
}

// No request can make a phone ring.
func TestEveryRequestHasValidateOnly(t *testing.T) {
	t.Parallel()
	service := serveFCM(t, nil)
	r := newRun(t, service, nil)
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}

	sent := service.requests()
	check.Equal(t, len(sent), len(fcmCases(inventNames())), "requests")
	for _, one := range sent {
		var body struct {
			ValidateOnly any `json:"validate_only"`
		}
		if err := json.Unmarshal(one.body, &body); err != nil {
			t.Errorf("the request %s cannot be read: %v", one.body, err)
		}
		check.Equal(t, body.ValidateOnly, any(true), "validate_only of %s", one.body)
	}
	check.Equal(t, len(service.Messages(fcm.Filter{})), 0, "messages that phones got")
	check.Between(t, service.Stats().Requests, 30, 100, "requests that FCM saw")
}

// A request without validate_only stays here, whatever made it.
func TestARequestThatWouldBeDeliveredIsNotSent(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"message": {"topic": "a"}}`, `{"validate_only": false}`, `{"validate_only": "true"}`, `{"validate_only": 1}`, `{"validate_only": null}`,
		`{"validateOnly": true}`, `{"VALIDATE_ONLY": true}`, `{"message": {"validate_only": true}}`, `[]`, ``, `validate_only`,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			service := serveFCM(t, nil)
			s := &fcmSide{endpoint: service.url, hidden: newRedactor()}
			_, _, err := s.post(t.Context(), newFCMClient(http.DefaultTransport), testProject, []byte(body))
			if !errors.Is(err, errNotValidateOnly) {
				t.Errorf("the error is %v, want %v", err, errNotValidateOnly)
			}
			check.Equal(t, len(service.requests()), 0, "requests that were sent")
		})
	}
}

// Each fact of an answer is compared, and the text is not.
func TestDifferencesOfFCMAreFound(t *testing.T) {
	t.Parallel()
	const details = `[{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "message.data"}]},
		{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "INVALID_ARGUMENT"}]`
	answer := func(status, message, details string) string {
		return `{"error": {"code": 400, "status": "` + status + `", "message": "` + message + `", "details": ` + details + `}}`
	}
	const text, status = "Invalid data payload key: from", "INVALID_ARGUMENT"
	turned := `[{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "INVALID_ARGUMENT"},
		{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "message.data"}]}]`
	for name, c := range map[string]struct {
		code int
		body string
		want string
	}{
		"the same":              {400, answer(status, text, details), ""},
		"another text":          {400, answer(status, "No.", details), ""},
		"details the other way": {400, answer(status, text, turned), ""},
		"status code":           {403, answer(status, text, details), "status code"},
		"error.status":          {400, answer("FAILED_PRECONDITION", text, details), "error.status"},
		"errorCode":             {400, answer(status, text, strings.ReplaceAll(details, `"INVALID_ARGUMENT"`, `"UNREGISTERED"`)), "errorCode"},
		"a field":               {400, answer(status, text, strings.ReplaceAll(details, "message.data", "message.data[0].key")), "field violations"},
		"a type of details":     {400, answer(status, text, strings.ReplaceAll(details, "rpc.BadRequest", "rpc.Other")), "details"},
		"no details":            {400, answer(status, text, "[]"), "errorCode, field violations, details"},
		"accepted":              {200, `{"name": "projects/p/messages/fake_message_id"}`, "status code, error.status, errorCode, field violations, details, name"},
		"a page":                {400, "<!DOCTYPE html><title>Error 400</title>", "error.status, errorCode, field violations, details"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRun(t, serveFCM(t, func(r sentRequest, w http.ResponseWriter) bool {
				if !bytes.Contains(r.body, []byte(`"data":{"from":"x"},"topic"`)) {
					return false
				}
				w.WriteHeader(c.code)
				_, _ = w.Write([]byte(c.body))
				return true
			}), nil)
			if err := r.run(t.Context()); err != nil {
				t.Fatalf("the command fails: %v; differences are no fault", err)
			}

			var want []string
			if c.want != "" {
				want = []string{"data key from: " + c.want}
				check.Contains(t, r.out.String(), "differs in: "+c.want, "the output")
			}
			check.Equal(t, differences(r.readRecord(t).FCM.Cases), want, "differences")
		})
	}
}

// A transport stands in for the network: it sends to the stand-in what is for Google.
type transport struct{ to *url.URL }

// RoundTrip sends the request to the stand-in.
func (n transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme+"://"+r.URL.Host != googleEndpoint {
		return nil, errors.New("not for Google: " + r.URL.String())
	}
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = n.to.Scheme, n.to.Host
	return http.DefaultTransport.RoundTrip(r)
}

// Google gets our credentials, except in the case that has none.
func TestGoogleGetsTheCredentials(t *testing.T) {
	t.Parallel()
	service := serveFCM(t, nil)
	to, err := url.Parse(service.url)
	if err != nil {
		t.Fatal(err)
	}
	r := newRun(t, service, nil)
	r.fcmEndpoint, r.network = googleEndpoint, transport{to}
	r.findCredentials = func(_ context.Context, scopes ...string) (*google.Credentials, error) {
		check.Equal(t, scopes, []string{fcmScope}, "the scopes")
		return &google.Credentials{JSON: []byte(`{"quota_project_id": "billed"}`), TokenSource: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "secret"})}, nil
	}
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}

	without := 0
	for _, one := range service.requests() {
		if one.authorization == "" {
			without++
			continue
		}
		check.Equal(t, one.authorization, "Bearer secret", "the credentials of %s", one.body)
		check.Equal(t, one.quotaProject, "billed", "the project for the quota")
	}
	check.Equal(t, without, 1, "requests without credentials")
	check.NotContains(t, r.readFile(t), "secret", "the file")
}

// No other server gets them, and no other host through a redirect.
func TestOthersGetNoCredentials(t *testing.T) {
	t.Parallel()
	service := serveFCM(t, nil)
	r := newRun(t, service, nil)
	r.findCredentials = func(context.Context, ...string) (*google.Credentials, error) {
		t.Error("the command looks for credentials, and the endpoint is not Google's")
		return nil, errors.New("none")
	}
	if err := r.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, one := range service.requests() {
		if one.authorization != "" {
			check.Equal(t, one.authorization, emulatorHeader.Get("Authorization"), "the credentials of %s", one.body)
		}
	}

	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	defer elsewhere.Close()
	r = newRun(t, serveFCM(t, func(_ sentRequest, w http.ResponseWriter) bool {
		w.Header().Set("Location", elsewhere.URL)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return true
	}), nil)
	check.Error(t, "the command", r.run(t.Context()), "answered 307")
}

// Without credentials nothing is sent to Google.
func TestMissingCredentialsAreNamed(t *testing.T) {
	t.Parallel()
	service := serveFCM(t, nil)
	for name, find := range map[string]func(context.Context, ...string) (*google.Credentials, error){
		"finding the application default credentials: none": func(context.Context, ...string) (*google.Credentials, error) { return nil, errors.New("none") },
		"getting an access token: refused": func(context.Context, ...string) (*google.Credentials, error) {
			return &google.Credentials{TokenSource: failingSource{}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(t, service, nil)
			r.fcmEndpoint, r.findCredentials = googleEndpoint, find
			r.network = transport{}
			check.Error(t, "the command", r.run(t.Context()), name)
			check.Equal(t, len(r.readRecord(t).Faults), 1, "faults in the file")
		})
	}
}

// A failingSource has no token.
type failingSource struct{}

// Token fails.
func (failingSource) Token() (*oauth2.Token, error) { return nil, errors.New("refused") }
