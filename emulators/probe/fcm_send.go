package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

const (
	fcmScope      = "https://www.googleapis.com/auth/firebase.messaging"
	fcmTimeout    = 30 * time.Second // of a request
	maxAnswerSize = 64 << 10         // bytes of an answer that are read
)

// An fcmSide is FCM or an emulator of it.
type fcmSide struct {
	endpoint  string
	project   string
	client    *http.Client // adds credentials
	anonymous *http.Client // adds none
	hidden    *redactor
}

// openFCM finds the credentials for FCM. Another endpoint gets none.
func (p *probe) openFCM(ctx context.Context, hidden *redactor) (*fcmSide, error) {
	s := &fcmSide{endpoint: strings.TrimSuffix(p.fcmEndpoint, "/"), project: p.project, hidden: hidden, anonymous: newFCMClient(p.network)}
	u, err := url.Parse(s.endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("-fcm-endpoint: %q is not an address like %s", s.endpoint, googleEndpoint)
	}
	if s.endpoint != googleEndpoint {
		s.client = newFCMClient(withHeader{p.network, emulatorHeader})
		return s, nil
	}

	found, err := p.findCredentials(ctx, fcmScope)
	if err != nil {
		return nil, fmt.Errorf("finding the application default credentials: %w", err)
	}
	if _, err := found.TokenSource.Token(); err != nil {
		return nil, fmt.Errorf("getting an access token: %w", err)
	}
	header := http.Header{}
	if quota := quotaProject(found.JSON); quota != "" {
		header.Set("X-Goog-User-Project", quota)
	}
	s.client = newFCMClient(withHeader{&oauth2.Transport{Source: found.TokenSource, Base: p.network}, header})
	return s, nil
}

// quotaProject returns the project that the credentials of a person name for the quota: FCM
// refuses such credentials without one.
func quotaProject(credentials []byte) string {
	var c struct {
		Quota string `json:"quota_project_id"`
	}
	_ = json.Unmarshal(credentials, &c) // credentials of a machine have no file
	return c.Quota
}

// emulatorHeader is the credential that SDKs send to emulators. It is no secret.
var emulatorHeader = http.Header{"Authorization": {"Bearer owner"}}

// withHeader adds a header to each request.
type withHeader struct {
	next   http.RoundTripper
	header http.Header
}

// RoundTrip sends a copy of the request with the header.
func (t withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range t.header {
		r.Header[name] = values
	}
	return t.next.RoundTrip(r)
}

// newFCMClient returns a client that follows no redirect: another host must not get our
// credentials.
func newFCMClient(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, Timeout: fcmTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// send sends one case. The error says why there is no answer that can be compared.
func (s *fcmSide) send(ctx context.Context, c fcmCase) (answer, error) {
	project, client := s.project, s.client
	if c.project != "" {
		project = c.project
	}
	if c.anonymous {
		client = s.anonymous
	}
	status, body, err := s.post(ctx, client, project, c.body())
	if err != nil {
		return answer{}, err
	}
	a := readFCMAnswer(status, body, s.hidden)
	if c.entry && status != http.StatusOK {
		return answer{}, fmt.Errorf("answered %s: %s\n      The credentials need the role Firebase Cloud Messaging API Admin in the project, and the project needs the Firebase Cloud Messaging API (V1)", a, a.Text)
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		return answer{}, fmt.Errorf("answered %s: %s; run the command again", a, a.Text)
	}
	return a, nil
}

// errNotValidateOnly says that a request would have been sent to phones.
var errNotValidateOnly = errors.New("the request lacks validate_only and was not sent")

// checkValidateOnly refuses a request that FCM would deliver. It reads the body as it is
// sent, whatever made it.
func checkValidateOnly(body []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return fmt.Errorf("%w: %w", errNotValidateOnly, err)
	}
	if string(fields["validate_only"]) != "true" {
		return errNotValidateOnly
	}
	return nil
}

// post sends a request, and returns the status and the body of the answer.
func (s *fcmSide) post(ctx context.Context, client *http.Client, project string, body []byte) (int, []byte, error) {
	if err := checkValidateOnly(body); err != nil {
		return 0, nil, err
	}
	address := s.endpoint + "/v1/projects/" + url.PathEscape(project) + "/messages:send"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")

	res, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswerSize))
	if err != nil {
		return 0, nil, fmt.Errorf("reading the answer: %w", err)
	}
	return res.StatusCode, text, nil
}
