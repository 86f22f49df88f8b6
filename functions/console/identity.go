package console

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/api/idtoken"
	"google.golang.org/api/option"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// An identifier finds out who sent a request.
type identifier interface {
	// identify returns the e-mail address of the person. An unauthenticated error says
	// why there is none; a *push.Unavailable that Google's keys are out of reach.
	identify(r *http.Request) (push.Caller, error)
}

// unauthenticated is the error of a request whose sender is not known.
type unauthenticated struct{ why string }

func (e *unauthenticated) Error() string { return e.why }

// A Fixed identity is that of every request: the person at the laptop.
type Fixed push.Caller

func (f Fixed) identify(*http.Request) (push.Caller, error) { return push.Caller(f), nil }

// Invoker identifies a person by the ID token that Cloud Run has verified, as
// `gcloud run services proxy` sends it. It is safe only where Cloud Run requires
// authentication.
type Invoker struct{}

func (Invoker) identify(r *http.Request) (push.Caller, error) {
	who := api.CallerOfToken(r.Header)
	if !strings.Contains(string(who), "@") {
		return "", &unauthenticated{"there is no ID token with an e-mail address: open the console through gcloud run services proxy"}
	}
	return who, nil
}

const (
	// iapHeader has the signed assertion of Identity-Aware Proxy.
	iapHeader = "X-Goog-IAP-JWT-Assertion"
	iapIssuer = "https://cloud.google.com/iap"
	// maxAssertion is the longest assertion in bytes that is read.
	maxAssertion = 8 << 10
	// es256Signature is the length of an ES256 signature in bytes.
	es256Signature = 64
	// clockSkew is how far the clocks of Google and of this machine may differ.
	clockSkew = 30 * time.Second
)

// IAP identifies a person by the signed header of Identity-Aware Proxy.
type IAP struct {
	audience  string
	validator *idtoken.Validator
	now       func() time.Time
}

// NewIAP makes an IAP for the audience of a service, as
// /projects/NUMBER/locations/REGION/services/NAME. keys fetches Google's keys; nil: over
// the internet.
func NewIAP(ctx context.Context, audience string, keys http.RoundTripper) (*IAP, error) {
	if keys == nil {
		keys = http.DefaultTransport
	}
	client := &http.Client{Transport: wholeAnswers{keys}, Timeout: 10 * time.Second}
	v, err := idtoken.NewValidator(ctx, option.WithHTTPClient(client))
	if err != nil {
		return nil, fmt.Errorf("making the validator of assertions: %w", err)
	}
	return &IAP{audience, v, time.Now}, nil
}

// wholeAnswers makes an error of every answer but 200, so that keys that cannot be
// fetched differ from an assertion that is not good.
type wholeAnswers struct{ http.RoundTripper }

func (w wholeAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := w.RoundTripper.RoundTrip(r)
	if err == nil && a.StatusCode != http.StatusOK {
		a.Body.Close()
		return nil, fmt.Errorf("%s answered %s", r.URL.Host, a.Status)
	}
	return a, err
}

func (p *IAP) identify(r *http.Request) (push.Caller, error) {
	all := r.Header.Values(iapHeader)
	if len(all) != 1 {
		return "", &unauthenticated{"the request did not come through Identity-Aware Proxy"}
	}
	if why := malformed(all[0]); why != "" {
		return "", &unauthenticated{why}
	}

	claims, err := p.validator.Validate(r.Context(), all[0], p.audience)
	if _, away := errors.AsType[*url.Error](err); away {
		return "", &push.Unavailable{Err: fmt.Errorf("fetching the keys of Identity-Aware Proxy: %w", err)}
	}
	if err != nil {
		return "", &unauthenticated{"the assertion of Identity-Aware Proxy is not valid"}
	}
	if claims.Issuer != iapIssuer || time.Unix(claims.IssuedAt, 0).After(p.now().Add(clockSkew)) {
		return "", &unauthenticated{"the assertion of Identity-Aware Proxy has another issuer, or is from the future"}
	}

	email, _ := claims.Claims["email"].(string)
	who := push.CallerWithEmail(email)
	if email == "" || push.CheckCaller(who) != "" {
		return "", &unauthenticated{"the assertion of Identity-Aware Proxy names no e-mail address"}
	}
	return who, nil
}

// malformed returns what is wrong with the form of an assertion, "" if nothing is. The
// validator would also take RS256, with which Google signs other tokens, and it expects
// a signature of the right length.
func malformed(assertion string) string {
	parts := strings.Split(assertion, ".")
	if len(assertion) > maxAssertion || len(parts) != 3 {
		return "the assertion of Identity-Aware Proxy is no JWT"
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[0])
	var header struct {
		Algorithm string `json:"alg"`
	}
	if err != nil || json.Unmarshal(raw, &header) != nil || header.Algorithm != "ES256" {
		return "the assertion of Identity-Aware Proxy is not signed with ES256"
	}
	if sig, err := base64.RawURLEncoding.DecodeString(parts[2]); err != nil || len(sig) != es256Signature {
		return "the signature of the assertion of Identity-Aware Proxy has another length than ES256"
	}
	return ""
}
