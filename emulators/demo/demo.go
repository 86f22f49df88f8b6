// Package demo has the command demo. It sends two mailings to a thousand customers and
// shows the result of every token.
package demo

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"carillon.example/emulators/cli"
	"carillon.example/emulators/client"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/local"
	"carillon.example/emulators/progress"
	"carillon.example/shared/push"
)

// demoCustomers is NDJSON of a thousand customers. The end of each token names the
// answer of FCM, so that the file explains itself.
//
//go:embed customers.ndjson
var demoCustomers string

// demoOutcomes are FCM's answers to the file's tokens that are invalid.
var demoOutcomes = []fcm.Outcome{
	{Token: "*-gone", Outcome: "UNREGISTERED"},
	{Token: "*-malformed", Outcome: "INVALID_TOKEN"},
	{Token: "*-bare", Outcome: "INVALID_TOKEN_BARE"},
	{Token: "*-stranger", Outcome: "SENDER_ID_MISMATCH"},
}

// Message is the message of the demo.
var Message = map[string]any{"notification": map[string]any{"title": "Spring sale", "body": "20 % off until Sunday"}}

// TriggerMessage is a message to one customer, with values for its template.
var TriggerMessage = map[string]any{"notification": map[string]any{
	"title": "+{{ values.points }} points", "body": "Thank you, {{ customer.first_name | default: 'and see you soon' }}"}}

// demoTimeout is the time limit of a demo. A demo usually takes seconds, but external
// servers may be slow.
const demoTimeout = 10 * time.Minute

// Run runs the demo and prints its steps. It returns an error if totals do not match.
func Run(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("demo")
	o := local.Defaults().OnFreePorts()
	o.LogLevel, o.Clock, o.BackOff = "error", 500*time.Millisecond, 0.1
	f.StringVar(&o.LogLevel, "log", o.LogLevel, "level of the log: debug, info, warn or error")
	keep := f.Bool("keep", false, "keep everything running after the demo, until Ctrl-C")
	f.DurationVar(&o.FCMLatency, "fcm-latency", 50*time.Millisecond, "time that FCM takes for each answer")
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}

	defer progress.ReadableLog()()
	l, err := local.Start(ctx, o)
	if err != nil {
		return err
	}

	defer l.Close()
	d := &show{Cloud: l, Client: client.New(l.APIURL), out: out}
	showing, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	if err := d.runSteps(showing); err != nil || !*keep {
		return err
	}

	d.printLine("%s shows the phones, %s is the API. Ctrl-C ends the demo.", l.UIURL, l.APIURL)
	<-ctx.Done()
	l.Close()
	d.printLine("%s", l.LostAtEnd())
	return nil
}

// A show is one run of the demo.
type show struct {
	*local.Cloud
	*client.Client
	out io.Writer
}

func (d *show) printLine(format string, a ...any) { fmt.Fprintf(d.out, format+"\n", a...) }

func (d *show) runSteps(ctx context.Context) error {
	d.printLine("Everything runs in this process: Firestore %s, Pub/Sub %s, FCM %s.", d.FirestoreHost, d.PubSubHost, d.Phones.URL())
	if err := d.importCustomers(ctx); err != nil {
		return err
	}

	first, err := d.runMailing(ctx, "first mailing ")
	if err != nil {
		return err
	}

	d.printLine("\"refused\" means that FCM does not accept the message for a token, and that the token is not the reason: it is not flagged.\n")
	flagged, err := d.showFlags(ctx, first)
	if err != nil {
		return err
	}
	if err := d.moveToken(ctx); err != nil {
		return err
	}

	second, err := d.runMailing(ctx, "second mailing")
	if err != nil {
		return err
	}
	if err := d.compareMailings(first, second, flagged); err != nil {
		return err
	}

	return d.showRefusal(ctx)
}

// importCustomers imports the customers. It sets FCM's answers for invalid tokens, and
// for two tokens whose first send exceeds the quota of their device.
func (d *show) importCustomers(ctx context.Context) error {
	imported := 0
	for part := range slices.Chunk(slices.Collect(strings.Lines(demoCustomers)), importChunk) {
		n, err := d.importPart(ctx, strings.Join(part, ""))
		if err != nil {
			return err
		}
		imported += n
	}

	d.printLine("%d customers imported over HTTP, from emulators/demo/customers.ndjson.\n", imported)
	rules := slices.Clone(demoOutcomes)
	for _, t := range demoTokens("-busy")[:2] {
		rules = append(rules, fcm.Outcome{Token: t, Outcome: "QUOTA_DEVICE", Times: 1, RetryAfter: time.Second})
	}
	return d.Phones.SetOutcomes(rules...)
}

// importChunk is the number of customers in one import request. Even a slow Firestore
// stores so many within the function's time-out.
const importChunk = 250

// importPart imports some lines of the file, and returns the number of customers. It
// retries after 503: an import of the same lines again changes nothing.
func (d *show) importPart(ctx context.Context, lines string) (int, error) {
	for {
		var answer struct {
			Imported, Failed int
			Errors           []struct {
				Line    int
				Message string
			}
		}
		err := d.Call(ctx, http.MethodPost, "/v1/imports", strings.NewReader(lines), &answer)
		if p := client.AsProblem(err); p != nil && p.Status == http.StatusServiceUnavailable && client.Sleep(ctx, time.Second) {
			continue
		}
		if err == nil && answer.Failed > 0 {
			err = fmt.Errorf("%d customers of the file were not imported: %v", answer.Failed, answer.Errors)
		}
		return answer.Imported, err
	}
}

// demoTokens returns the tokens of the file that have the given end.
func demoTokens(end string) []string {
	var out []string
	for part := range strings.SplitSeq(demoCustomers, `"`) {
		if strings.HasSuffix(part, end) && strings.Contains(part, ":") {
			out = append(out, part)
		}
	}
	return out
}

func (d *show) runMailing(ctx context.Context, what string) (*client.Mailing, error) {
	id, err := d.SendMailing(ctx, map[string]any{"message": Message, "link": "https://shop.example/sale",
		"audience": map[string]any{"everyone": true}, "category": "promo"})
	if err != nil {
		return nil, err
	}

	b := progress.NewBar(d.out, what)
	w := waiting{since: time.Now()}
	m, err := d.Follow(ctx, id, func(m *client.Mailing) {
		if text := w.noteProgress(m.Tokens.Pending, time.Now()); text != "" {
			b.Say(text)
		}
		b.Show(m.Tokens.Targeted-m.Tokens.Pending, m.Tokens.Targeted, m.State)
	})

	b.End()
	if err != nil {
		return nil, err
	}
	if m.State != string(push.Completed) {
		return nil, fmt.Errorf("mailing %s is %s, not completed", m.ID, m.State)
	}

	d.printSums(m)
	return m, nil
}

func (d *show) printSums(m *client.Mailing) {
	c, t := m.Customers, m.Tokens
	d.printLine("  customers: %d matched = %d targeted + %d without a valid token + %d opted out + %d unsubscribed",
		c.Matched, c.Targeted, c.Excluded.NoValidToken, c.Excluded.OptedOut, c.Excluded.Category)
	d.printLine("  tokens:    %d targeted = %d accepted by FCM + %d UNREGISTERED + %d INVALID_ARGUMENT + %d SENDER_ID_MISMATCH + %d refused + %d failed",
		t.Targeted, t.Accepted, t.Invalid[push.CodeUnregistered], t.Invalid[push.CodeInvalidArgument], t.Invalid[push.CodeWrongSender], t.Refused, t.Failed)
	d.printLine("")
}

// waiting notices that a mailing makes no progress, and explains it once.
type waiting struct {
	pending  int64
	since    time.Time // time of the last change of pending
	reported bool
}

// stallAfter is the time without progress after which the demo explains the wait.
const stallAfter = time.Second

// noteProgress stores how many tokens are pending, and returns the text to print; "" is
// none.
func (w *waiting) noteProgress(pending int64, now time.Time) string {
	if pending != w.pending {
		w.pending, w.since = pending, now
	}
	if pending == 0 || w.reported || now.Sub(w.since) < stallAfter {
		return ""
	}
	w.reported = true
	return fmt.Sprintf("%d tokens wait: FCM answered 429 or 503. They are sent again after the time that FCM asks for, up to about ten seconds", pending)
}

// invalidToken is one entry of GET /v1/mailings/{id}/invalid-tokens.
type invalidToken struct {
	Customer, TokenID, Code string
	At                      time.Time
}

func (d *show) listInvalidTokens(ctx context.Context, id string) ([]invalidToken, error) {
	var all []invalidToken
	for token := ""; ; {
		var page struct {
			Tokens        []invalidToken `json:"tokens"`
			NextPageToken string         `json:"nextPageToken"`
		}
		if err := d.Call(ctx, http.MethodGet, "/v1/mailings/"+id+"/invalid-tokens?pageSize=200&pageToken="+token, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Tokens...)
		if token = page.NextPageToken; token == "" {
			return all, nil
		}
	}
}

// showFlags prints the tokens that the first mailing flagged, and the customers who
// cannot be reached any more. It returns the tokens.
func (d *show) showFlags(ctx context.Context, m *client.Mailing) ([]invalidToken, error) {
	all, err := d.listInvalidTokens(ctx, m.ID)
	if err != nil {
		return nil, err
	}

	var unreachable []string
	seen := map[string]bool{}
	for _, x := range all {
		if seen[x.Customer] {
			continue
		}
		seen[x.Customer] = true
		var c struct{ PushAvailable bool }
		if err := d.Call(ctx, http.MethodGet, "/v1/customers/"+x.Customer, nil, &c); err != nil {
			return nil, err
		}
		if !c.PushAvailable {
			unreachable = append(unreachable, x.Customer)
		}
	}

	d.printLine("%d tokens were flagged as invalid by mailing %s. The first of them:", len(all), m.ID)
	for _, x := range all[:min(5, len(all))] {
		d.printLine("  customer %s  token %s…  %-16s %s", x.Customer, x.TokenID[:8], x.Code, x.At.UTC().Format(time.RFC3339))
	}

	slices.Sort(unreachable)
	d.printLine("%d customers cannot be reached any more: %s …\n", len(unreachable), strings.Join(unreachable[:min(8, len(unreachable))], " "))
	if want := countInvalid(m); int64(len(all)) != want {
		return nil, fmt.Errorf("%d tokens are listed as invalid, but %d have this result", len(all), want)
	}
	return all, nil
}

// moveToken registers a token of one customer for another customer, as an app does after
// a phone changes its owner.
func (d *show) moveToken(ctx context.Context) error {
	token := demoTokens("-ok")[0]
	from, _, _ := strings.Cut(token, "-")
	const to = "newcomer"
	err := d.Call(ctx, http.MethodPost, "/v1/customers/"+to+"/tokens", map[string]any{"token": token, "platform": "android"}, nil)
	if err != nil {
		return err
	}

	var was struct{ Tokens []struct{ ID string } }
	if err := d.Call(ctx, http.MethodGet, "/v1/customers/"+from, nil, &was); err != nil {
		return err
	}
	if slices.ContainsFunc(was.Tokens, func(t struct{ ID string }) bool { return t.ID == push.TokenID(token) }) {
		return fmt.Errorf("the token was registered for %s, but %s still has it", to, from)
	}

	d.printLine("A phone of customer %s gets a new owner: its token now belongs only to customer %s.\n", from, to)
	return nil
}

func (d *show) compareMailings(first, second *client.Mailing, flagged []invalidToken) error {
	d.printLine("The second mailing skipped %d invalid tokens, and left out %d more customers without a valid token.\n",
		len(flagged), second.Customers.Excluded.NoValidToken-first.Customers.Excluded.NoValidToken)
	if n := second.Tokens.Invalid[push.CodeUnregistered] + second.Tokens.Invalid[push.CodeInvalidArgument]; n != 0 {
		return fmt.Errorf("the second mailing was sent to %d invalid tokens that the first had flagged", n)
	}
	if first.Tokens.Targeted-int64(len(flagged)) != second.Tokens.Targeted {
		return fmt.Errorf("%d tokens of the first mailing minus %d flagged tokens are not the %d tokens of the second mailing", first.Tokens.Targeted, len(flagged), second.Tokens.Targeted)
	}
	seen := d.Phones.Stats()
	if seen.Duplicates != 0 {
		return fmt.Errorf("FCM got %d messages twice", seen.Duplicates)
	}
	return nil
}

// showRefusal creates a mailing whose payload FCM refuses, and prints the problem.
func (d *show) showRefusal(ctx context.Context) error {
	_, err := d.SendMailing(ctx, map[string]any{
		"message": map[string]any{"notification": map[string]any{"title": "Sale"},
			"webpush": map[string]any{"headers": map[string]any{"TTL": "-1"}}},
		"audience": map[string]any{"everyone": true},
	})
	p := client.AsProblem(err)
	if p == nil || p.Status != http.StatusUnprocessableEntity {
		return fmt.Errorf("the mailing whose payload FCM refuses was not answered 422: %w", err)
	}
	d.printLine("A third mailing has a header that FCM refuses. The API answers with the error of FCM, before any message is sent and any token is flagged:\n  %v\n", p)
	d.printLine("All sums are correct.")
	return nil
}

// countInvalid returns how many tokens of a mailing have the result invalid.
func countInvalid(m *client.Mailing) (n int64) {
	for _, x := range m.Tokens.Invalid {
		n += x
	}
	return n
}
