// Package verify checks a deployment of Carillon from outside: it makes one customer and
// one mailing, reads what became of them, and deletes the customer.
package verify

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"carillon.example/emulators/cli"
	"carillon.example/emulators/client"
	"carillon.example/shared/push"
)

const (
	// defaultTimeout is how long the mailing may take: tick has to come round once, and
	// functions that were idle have to start.
	defaultTimeout = 3 * time.Minute
	// cleanupTimeout is how long the deletion of the customer may take, also after Ctrl-C.
	cleanupTimeout = 30 * time.Second
	// heldFor is how long a flag has to be held until the command no longer waits: each flag
	// is held for a moment, while Carillon asks FCM for evidence.
	heldFor = 10 * time.Second
	// pollEvery is the time between two reads of the mailing.
	pollEvery = time.Second
)

// A check is one run of the command.
type check struct {
	mailings, customers *client.Client
	out                 io.Writer
	customer            string // its id, which no other run uses
	token               string // its push token
	platform            string
	dryRun              bool // no phone shows the message
	timeout             time.Duration
}

// Run checks a deployment, or the emulators of this machine.
func Run(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("verify")
	var mailings, customers client.Remote
	mailings.RegisterFlags(f, "mailings")
	f.StringVar(&customers.URL, "customers", "", "URL of the function customers (default: the one of -mailings)")
	f.StringVar(&customers.Token, "customers-token", "", "ID token for -customers (default: the one of -token): that of a service account is valid for one function only")
	token := f.String("push-token", "", "push token of a phone of yours, which then shows the message; without it, an invented token and a dry run")
	platform := f.String("platform", "android", "platform of -push-token: android, ios or web")
	timeout := f.Duration("timeout", defaultTimeout, "how long the mailing may take")
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("verify: this command takes flags but no arguments")
	}

	c := &check{out: out, customer: "carillon-verify-" + strings.ToLower(rand.Text()[:12]), token: *token, platform: *platform, dryRun: *token == "", timeout: *timeout}
	if c.dryRun {
		c.token = "carillon-verify:" + rand.Text()
	}
	customers.Token = cmp.Or(customers.Token, mailings.Token)
	if customers.URL == "" {
		customers.URL = mailings.URL
	}
	var err error
	if c.mailings, err = mailings.Client(); err != nil {
		return fmt.Errorf("verify: -mailings: %w", err)
	}
	if c.customers, err = customers.Client(); err != nil {
		return fmt.Errorf("verify: -customers: %w", err)
	}
	c.mailings.Every = pollEvery
	return c.run(ctx)
}

// run makes every step. It deletes the customer whatever happened before.
func (c *check) run(ctx context.Context) (err error) {
	if err := c.registerCustomer(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.eraseCustomer(context.WithoutCancel(ctx))) }()

	result, err := c.sendMailing(ctx)
	if err != nil {
		return err
	}
	if err := c.checkAvailability(ctx, result); err != nil {
		return err
	}
	return c.checkHistory(ctx, result)
}

// passed prints what works.
func (c *check) passed(format string, args ...any) {
	fmt.Fprintf(c.out, "ok    %s\n", fmt.Sprintf(format, args...))
}

// failed returns an error with advice.
func failed(err error, advice string) error { return fmt.Errorf("%w\n      %s", err, advice) }

// path is the customer's path in the API.
func (c *check) path() string { return "/v1/customers/" + c.customer }

// registerCustomer registers the token.
func (c *check) registerCustomer(ctx context.Context) error {
	body := map[string]string{"token": c.token, "platform": c.platform}
	if err := c.customers.Call(ctx, http.MethodPost, c.path()+"/tokens", body, nil); err != nil {
		return failed(err, adviceFor(err))
	}
	c.passed("customers: registered a token of the new customer %s", c.customer)
	return nil
}

// adviceFor says what to look at after a call that failed.
func adviceFor(err error) string {
	p := client.AsProblem(err)
	switch {
	case p == nil:
		return "The address does not answer: see mailings_url and customers_url in Terraform's outputs."
	case p.Status == http.StatusUnauthorized, p.Status == http.StatusForbidden:
		return "The caller may not do this. Give an ID token (-token \"$(gcloud auth print-identity-token)\") of somebody in Terraform's invokers whom CALLERS allows it."
	case p.Status == http.StatusNotFound:
		return "The address is that of another service: -mailings and -customers are two addresses in the cloud."
	case p.Status >= http.StatusInternalServerError:
		return "The log of the function says why. A missing index, database or role is the usual cause of the first hour."
	}
	return "The request was refused as the text says."
}

// sendMailing sends a mailing to the customer alone, and waits for its end. It returns the
// result of the token, as the API names it.
func (c *check) sendMailing(ctx context.Context) (result string, err error) {
	draft := map[string]any{
		"name": "carillon verify", "dryRun": c.dryRun, "audience": map[string]any{"customers": []string{c.customer}}, "immediately": true,
		"message": map[string]any{"notification": map[string]string{"title": "Carillon", "body": "This deployment works."}},
	}
	began := time.Now()
	id, err := c.mailings.SendMailingOnce(ctx, c.customer, draft) // the id of the customer is new in each run
	if err != nil {
		return "", failed(err, adviceFor(err))
	}
	c.passed("mailings: accepted mailing %s", id)

	waiting, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var heldSince time.Time
	m, err := c.mailings.WaitUntil(waiting, id, func(m *client.Mailing) bool {
		switch {
		case !isHeld(m):
			heldSince = time.Time{}
		case heldSince.IsZero():
			heldSince = time.Now()
		}
		return m.IsFinal() && m.Tokens.Pending == 0 || isHeld(m) && time.Since(heldSince) > heldFor
	})
	switch {
	case err != nil && m != nil && m.State == string(push.Paused):
		return "", failed(err, "FCM refuses the service account of deliver: see docs/runbooks/mailing-paused.md.")
	case err != nil && m != nil:
		return "", failed(fmt.Errorf("mailing %s is %s after %v: %w", id, m.State, c.timeout, err), adviceForState(m))
	case err != nil:
		return "", failed(err, adviceFor(err))
	case isHeld(m):
		c.passed("dispatch, deliver and Pub/Sub: FCM has answered after %.1f s", time.Since(began).Seconds())
		c.passed("FCM: answers that the token is invalid; Carillon waits for evidence before it believes this, because FCM refuses tokens that it accepted lately")
		return resultHeld, nil
	case m.State != string(push.Completed):
		return "", fmt.Errorf("mailing %s is %s, want completed: %s", id, m.State, m.Refusal)
	case m.Tokens.Targeted != 1:
		return "", fmt.Errorf("mailing %s was for %d tokens, want the one of %s: %+v", id, m.Tokens.Targeted, c.customer, m.Customers)
	}
	c.passed("dispatch, deliver and Pub/Sub: the mailing ended after %.1f s", time.Since(began).Seconds())
	return c.readResult(m)
}

// resultHeld is the result of a token that FCM calls invalid, and Carillon does not believe
// it yet: it neither flags the token nor ends the mailing.
const resultHeld = "held"

// isHeld reports whether the flag of the only token waits for evidence.
func isHeld(m *client.Mailing) bool {
	for _, n := range m.Held {
		if n > 0 {
			return m.Tokens.Pending == 0
		}
	}
	return false
}

// adviceForState says what to look at if a mailing does not end.
func adviceForState(m *client.Mailing) string {
	if m.State == string(push.Accepted) {
		return "dispatch has not begun: look at its log, and at the dead letters (docs/runbooks/dead-letters.md)."
	}
	return "deliver has no result yet: look at its log, and at docs/runbooks/oldest-message.md."
}

// readResult returns what FCM answered for the token. An invented token that FCM calls
// invalid is what a dry run should find; the emulated FCM accepts it.
func (c *check) readResult(m *client.Mailing) (string, error) {
	for code, n := range m.Tokens.Invalid {
		if n > 0 && !c.dryRun {
			return "", fmt.Errorf("FCM answers %s for the token of -push-token", code)
		}
		if n > 0 {
			c.passed("FCM: answers that the invented token is invalid (%s)", code)
			return code, nil
		}
	}
	if m.Tokens.Accepted == 0 {
		return "", fmt.Errorf("FCM neither accepts the token nor calls it invalid: %+v; the log of deliver has its answer", m.Tokens)
	}
	c.passed("FCM: accepts the message")
	return "accepted", nil
}

// customerState is what GET /v1/customers/{customer} has of the availability.
type customerState struct {
	Availability push.Availability `json:"availability"`
}

// checkAvailability checks that an invalid token is flagged, and a valid one is not.
func (c *check) checkAvailability(ctx context.Context, result string) error {
	var got customerState
	if err := c.customers.Call(ctx, http.MethodGet, c.path(), nil, &got); err != nil {
		return failed(err, adviceFor(err))
	}
	want := push.StateUnreachable
	if result == "accepted" {
		want = push.StateReachable
	}
	if got.Availability.State != want && result != resultHeld { // a held flag may be set by now
		return fmt.Errorf("the customer is %s (%s), want %s after the result %s", got.Availability.State, got.Availability.Evidence, want, result)
	}
	c.passed("Firestore: the customer is %s (%s)", got.Availability.State, got.Availability.Evidence)
	return nil
}

// checkHistory checks that the list of what the customer got has the mailing.
func (c *check) checkHistory(ctx context.Context, result string) error {
	var got struct{ Messages []struct{ Mailing string } }
	if err := c.customers.Call(ctx, http.MethodGet, c.path()+"/messages", nil, &got); err != nil {
		return failed(err, adviceFor(err))
	}
	if len(got.Messages) != 1 {
		return fmt.Errorf("the customer's list has %d messages, want the one with the result %s", len(got.Messages), result)
	}
	c.passed("customers: lists what the customer got")
	return nil
}

// eraseCustomer deletes the customer, and checks that it is gone.
func (c *check) eraseCustomer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()

	if err := c.customers.Call(ctx, http.MethodDelete, c.path(), nil, nil); err != nil {
		return failed(fmt.Errorf("the customer %s was not deleted: %w", c.customer, err), "Delete it by hand: DELETE "+c.path())
	}
	err := c.customers.Call(ctx, http.MethodGet, c.path(), nil, nil)
	if p := client.AsProblem(err); p == nil || p.Status != http.StatusNotFound {
		return fmt.Errorf("the deleted customer %s is still there: %w", c.customer, errors.Join(err, errors.New("want 404")))
	}
	c.passed("customers: the customer is deleted again")
	return nil
}
