// Package adopt moves push tokens from where a team keeps them today into Carillon: from a
// collection of Firestore, a CSV file, or OneSignal's export. Without -write it only says
// what would become of each token.
package adopt

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"carillon.example/emulators/cli"
	"carillon.example/emulators/client"
	"carillon.example/emulators/progress"
	"carillon.example/emulators/transfer"
	"carillon.example/shared/push"
)

// defaultMaxTokens is the default of MAX_TOKENS of the function customers.
const defaultMaxTokens = 20

// options are the flags.
type options struct {
	firestore fields
	csv       string
	columns   columns
	oneSignal string
	platform  string
	app       string
	maxTokens int
	tokenLife time.Duration
	write     bool
	to        client.Remote
}

// registerFlags adds the flags to f.
func (o *options) registerFlags(f *flag.FlagSet) {
	f.StringVar(&o.firestore.project, "firestore", "", "Google Cloud project whose Firestore has the tokens; credentials are the application default ones, or FIRESTORE_EMULATOR_HOST names an emulator")
	f.StringVar(&o.firestore.database, "database", "(default)", "with -firestore: the database")
	f.StringVar(&o.firestore.collection, "collection", "users", "with -firestore: the collection, with a document for each customer")
	f.StringVar(&o.firestore.subcollection, "subcollection", "", "with -firestore: the subcollection of each customer that has the tokens; without it, the customer's document has them")
	f.StringVar(&o.firestore.token, "field", "fcmToken", "with -firestore: the field of the tokens: a text, a list, or a map with tokens as names or values")
	f.StringVar(&o.firestore.customer, "id-field", "", "with -firestore: the field with the customer's id (default: the id of the document)")
	f.StringVar(&o.firestore.platform, "platform-field", "", "with -firestore: the field with the platform")
	f.StringVar(&o.firestore.addedAt, "time-field", "", "with -firestore: the field with the time when the token was stored")
	f.StringVar(&o.firestore.seenAt, "seen-field", "", "with -firestore: the field with the time when the phone was last seen")
	f.StringVar(&o.csv, "csv", "", "CSV `file`, also .gz")
	f.StringVar(&o.columns.customer, "id-column", "id", "with -csv: the column with the customer's id")
	f.StringVar(&o.columns.token, "token-column", "token", "with -csv: the column with the token")
	f.StringVar(&o.columns.platform, "platform-column", "", "with -csv: the column with the platform")
	f.StringVar(&o.columns.app, "app-column", "", "with -csv: the column with the app")
	f.StringVar(&o.columns.addedAt, "time-column", "", "with -csv: the column with the time when the token was stored")
	f.StringVar(&o.columns.seenAt, "seen-column", "", "with -csv: the column with the time when the phone was last seen")
	f.StringVar(&o.oneSignal, "onesignal", "", "CSV `file` that OneSignal exported with the extra fields external_user_id and notification_types, also .gz")
	f.StringVar(&o.platform, "platform", "", "platform of tokens for which the source has none: android, ios or web")
	f.StringVar(&o.app, "app", "", "app of tokens for which the source has none")
	f.IntVar(&o.maxTokens, "max-tokens", defaultMaxTokens, "most tokens of a customer, as MAX_TOKENS of the function customers")
	f.DurationVar(&o.tokenLife, "token-life", push.TokenLife, "how long an Android token may be unseen, as TOKEN_LIFE of the functions")
	f.BoolVar(&o.write, "write", false, "import the tokens; without it nothing is written")
	o.to.RegisterFlags(f, "to")
}

// Run reads the tokens of one source, says what becomes of them, and with -write imports
// them.
func Run(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("adopt")
	var o options
	o.registerFlags(f)
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("adopt: this command takes flags but no arguments")
	}

	c, err := o.to.Client()
	if err != nil {
		return fmt.Errorf("adopt: -to: %w", err)
	}
	p := newPlan(o.maxTokens)
	if err := o.readSource(ctx, p.addEntry); err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	customers := p.customers()
	p.print(out, customers)
	printExpired(out, customers, time.Now(), o.tokenLife)
	if !o.write {
		fmt.Fprintln(out, "Nothing was written. Run the command again with -write to import these tokens.")
		return nil
	}
	return importCustomers(ctx, c, customers, out)
}

// readSource calls each with every token of the source.
func (o *options) readSource(ctx context.Context, each func(entry)) error {
	sources := 0
	for _, given := range []string{o.firestore.project, o.csv, o.oneSignal} {
		if given != "" {
			sources++
		}
	}
	if sources != 1 {
		return errors.New("give one source: -firestore PROJECT, -csv FILE or -onesignal FILE")
	}
	if o.maxTokens < 1 {
		return fmt.Errorf("-max-tokens: %d tokens, but the value must be at least 1", o.maxTokens)
	}
	platform, err := parsePlatform(o.platform)
	if err != nil {
		return fmt.Errorf("-platform: %w", err)
	}
	if why := push.CheckApp(o.app); why != "" && o.app != "" {
		return fmt.Errorf("-app: %s", why)
	}

	defaults := entry{platform: platform, app: o.app}
	switch {
	case o.csv != "":
		return readCSV(o.csv, o.columns, defaults, each)
	case o.oneSignal != "":
		return readCSV(o.oneSignal, oneSignal, defaults, each)
	}
	return readFirestore(ctx, o.firestore, defaults, each)
}

// importLine is a line of an import.
type importLine struct {
	ID     string        `json:"id"`
	Tokens []importToken `json:"tokens"`
}

type importToken struct {
	Token    string        `json:"token"`
	Platform push.Platform `json:"platform,omitempty"`
	App      string        `json:"app,omitempty"`
	AddedAt  *time.Time    `json:"addedAt,omitempty"`
	SeenAt   *time.Time    `json:"seenAt,omitempty"`
}

// importCustomers streams the customers to the API.
func importCustomers(ctx context.Context, c *client.Client, customers []adoptedCustomer, out io.Writer) error {
	r, w := io.Pipe()
	go func() {
		lines := json.NewEncoder(w)
		for _, customer := range customers {
			if err := lines.Encode(lineOf(customer)); err != nil {
				w.CloseWithError(err) // the reader has given up
				return
			}
		}
		w.Close()
	}()
	defer r.Close()

	im := transfer.NewImporter(c, "ndjson", progress.NewBar(out, "adopt"), out)
	if err := im.Stream(ctx, r); err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	im.Bar.End()
	fmt.Fprintf(out, "%d customers imported, %d refused\n", im.Imported, im.Failed)
	if im.Failed > 0 {
		return fmt.Errorf("adopt: %d customers were refused", im.Failed)
	}
	fmt.Fprintln(out, `Send a dry run next: POST /v1/mailings with "dryRun": true and "audience": {"everyone": true}. It finds and flags the tokens that are no longer valid, and no phone shows it.`)
	return nil
}

// lineOf makes the line of a customer. The time when a token was stored is no activity:
// apps often store a token once and do not report it again. Without seenAt the API takes the
// time of the import, so that such a token does not expire before FCM was asked about it.
func lineOf(c adoptedCustomer) importLine {
	line := importLine{ID: c.id}
	for _, e := range c.tokens {
		t := importToken{Token: e.token, Platform: e.platform, App: e.app}
		if !e.addedAt.IsZero() {
			t.AddedAt = &e.addedAt
		}
		if !e.seenAt.IsZero() {
			t.SeenAt = &e.seenAt
		}
		line.Tokens = append(line.Tokens, t)
	}
	return line
}
