// Package client is a client of the HTTP API, for the commands and tests.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"carillon.example/shared/push"
)

// Client calls the HTTP API at BaseURL.
type Client struct {
	BaseURL string
	HTTP    *http.Client
	Every   time.Duration // interval between two polls of a mailing; 0: 100 ms
}

// New returns a client of the API at a URL. Its requests have a time-out of two minutes.
func New(base string) *Client {
	return &Client{BaseURL: strings.TrimSuffix(base, "/"), HTTP: &http.Client{Timeout: 2 * time.Minute}}
}

// Mailing has the fields of the response of GET /v1/mailings/{id} that the commands need.
type Mailing struct {
	ID           string           `json:"id"`
	State        string           `json:"state"`
	PausedReason push.PauseReason `json:"pausedReason"` // "" if it is not paused
	PausedDetail string           `json:"pausedDetail"`
	Refusal      string           `json:"refusal"`

	CompletedAt *time.Time `json:"completedAt"`
	push.Totals
}

// IsFinal reports whether the mailing has ended.
func (m *Mailing) IsFinal() bool { return push.State(m.State).Final() }

// Reconcile returns an error if the totals of the mailing do not add up.
func (m *Mailing) Reconcile() error {
	c, t := m.Customers, m.Tokens
	invalid := int64(0)
	for _, n := range t.Invalid {
		invalid += n
	}
	if c.Matched != c.Targeted+c.Excluded.Sum() {
		return fmt.Errorf("mailing %s: %d customers matched, but %d targeted and %d excluded", m.ID, c.Matched, c.Targeted, c.Excluded.Sum())
	}
	if sum := t.Accepted + invalid + t.Refused + t.Failed + t.Expired + t.Cancelled + t.Pending; t.Targeted != sum {
		return fmt.Errorf("mailing %s: %d tokens targeted, but the results add up to %d", m.ID, t.Targeted, sum)
	}
	if err := m.reconcileParts("platforms", m.Platforms); err != nil {
		return err
	}
	if err := m.reconcileParts("apps", m.Apps); err != nil {
		return err
	}
	return m.reconcileVariants()
}

// reconcileParts returns an error if the sums of the platforms, or of the apps, differ from
// the totals of the mailing.
func (m *Mailing) reconcileParts(what string, parts map[string]push.TokenTotals) error {
	if len(parts) == 0 {
		return nil
	}
	var got []int64
	for name, part := range parts {
		n := tokenSums(part)
		if n[0] != sumOf(n[1:]) {
			return fmt.Errorf("mailing %s: of the %s, the tokens of %s do not add up: %+v", m.ID, what, name, part)
		}
		if got == nil {
			got = make([]int64, len(n))
		}
		for i := range n {
			got[i] += n[i]
		}
	}
	if want := tokenSums(m.Tokens); !slices.Equal(got, want) {
		return fmt.Errorf("mailing %s: the %s have %v tokens, by result, and the mailing has %v", m.ID, what, got, want)
	}
	return nil
}

// tokenSums lists the sums of tokens: how many are targeted, then how many have each
// result.
func tokenSums(t push.TokenTotals) []int64 {
	return []int64{t.Targeted, t.Accepted, t.Invalid[push.CodeUnregistered], t.Invalid[push.CodeInvalidArgument], t.Invalid[push.CodeWrongSender],
		t.Refused, t.Failed, t.Expired, t.Cancelled, t.Pending}
}

func sumOf(numbers []int64) (sum int64) {
	for _, n := range numbers {
		sum += n
	}
	return sum
}

// reconcileVariants returns an error if the sums of the variants differ from the totals
// of the mailing.
func (m *Mailing) reconcileVariants() error {
	if len(m.Variants) == 0 {
		return nil
	}
	var customers, targeted, accepted, pending int64
	for _, v := range m.Variants {
		customers, targeted, accepted, pending = customers+v.Customers, targeted+v.Targeted, accepted+v.Accepted, pending+v.Pending
	}
	got := []int64{customers, targeted, accepted, pending}
	want := []int64{m.Customers.Targeted, m.Tokens.Targeted, m.Tokens.Accepted, m.Tokens.Pending}
	if !slices.Equal(got, want) {
		return fmt.Errorf("mailing %s: the variants have %v customers, tokens, accepted and pending, and the mailing has %v", m.ID, got, want)
	}
	return nil
}

// Problem is an error response of the API.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Errors []struct{ Location, Message string }
}

// Error returns the problem's status, title, detail and faults.
func (p *Problem) Error() string {
	lines := []string{fmt.Sprintf("%d %s", p.Status, p.Title)}
	if p.Detail != "" {
		lines = append(lines, p.Detail)
	}
	for _, e := range p.Errors {
		lines = append(lines, strings.TrimSpace(e.Location+" "+e.Message))
	}
	return strings.Join(lines, "; ")
}

// Call sends body as JSON, or as NDJSON if it is an io.Reader, and decodes the response
// into answer, unless answer is nil. From status 300 on, the error is that of ResponseError, and wraps a *Problem.
func (c *Client) Call(ctx context.Context, method, path string, body, answer any) error {
	return c.callWithKey(ctx, method, path, "", body, answer)
}

// callWithKey is Call with an Idempotency-Key; "" sends none.
func (c *Client) callWithKey(ctx context.Context, method, path, key string, body, answer any) error {
	var r io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case io.Reader:
		r, kind = b, "application/x-ndjson"
	default:
		j, err := json.Marshal(b)
		if err != nil {
			return err
		}
		r = bytes.NewReader(j)
	}

	req, err := http.NewRequestWithContext(ctx, method, c.BaseURL+path, r)
	if err != nil {
		return err
	}
	if r != nil {
		req.Header.Set("Content-Type", kind)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}

	resp, err := c.HTTP.Do(req)
	if err != nil {
		return err
	}

	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return ResponseError(resp, method+" "+path)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if answer == nil {
		return nil
	}

	return json.Unmarshal(b, answer)
}

// SendMailing creates a mailing and returns its id.
func (c *Client) SendMailing(ctx context.Context, draft any) (string, error) {
	var m Mailing
	err := c.Call(ctx, http.MethodPost, "/v1/mailings", draft, &m)
	return m.ID, err
}

// SendMailingOnce creates a mailing with an Idempotency-Key and returns its id. The same key
// and draft create no second mailing. An API that requires a key takes no other mailings.
func (c *Client) SendMailingOnce(ctx context.Context, key string, draft any) (string, error) {
	var m Mailing
	err := c.callWithKey(ctx, http.MethodPost, "/v1/mailings", key, draft, &m)
	return m.ID, err
}

// Follow polls a mailing until it has ended and no token is pending. It calls seen after
// each poll.
func (c *Client) Follow(ctx context.Context, id string, seen func(*Mailing)) (*Mailing, error) {
	return c.WaitUntil(ctx, id, func(m *Mailing) bool {
		seen(m)
		return m.IsFinal() && m.Tokens.Pending == 0
	})
}

// WaitUntil polls a mailing until enough returns true. It returns an error if the totals
// do not add up at any poll, or if the mailing is paused and enough returns false. A poll
// that finds the service busy or unavailable is repeated, as every caller of the API should
// do.
func (c *Client) WaitUntil(ctx context.Context, id string, enough func(*Mailing) bool) (*Mailing, error) {
	for {
		m := &Mailing{}
		err := c.Call(ctx, http.MethodGet, "/v1/mailings/"+id, nil, m)
		if _, temporary := errors.AsType[*Temporary](err); err != nil && !temporary {
			return nil, err
		}
		if err == nil {
			if done, fault := m.check(enough); done || fault != nil {
				return m, fault
			}
		}

		select {
		case <-ctx.Done():
			return m, fmt.Errorf("mailing %s: %w", id, errors.Join(ctx.Err(), err))
		case <-time.After(cmp.Or(c.Every, 100*time.Millisecond)):
		}
	}
}

// check reports whether a polled mailing is what a caller of WaitUntil waits for. It
// returns an error if the totals do not add up, or if the mailing is paused and the caller
// does not wait for that.
func (m *Mailing) check(enough func(*Mailing) bool) (bool, error) {
	if err := m.Reconcile(); err != nil {
		return false, err
	}
	if enough(m) {
		return true, nil
	}
	if m.State == string(push.Paused) {
		return false, fmt.Errorf("mailing %s is paused (%s): %s", m.ID, m.PausedReason, m.PausedDetail)
	}
	return false, nil
}

// AsProblem returns the *Problem that an error wraps, or nil.
func AsProblem(err error) *Problem {
	p, _ := errors.AsType[*Problem](err)
	return p
}
