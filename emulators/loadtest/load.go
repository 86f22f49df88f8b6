// Package loadtest has the command load. It measures one mailing to many customers, or
// many messages to one customer each. With -chaos the command runs package chaos.
//
//	load.go                 the flags, the run, and one mailing
//	messages.go             messages to one customer each (-messages)
//	zones.go, zones_base.go a mailing by time zones (-zones)
//	second.go               a second mailing after some tokens have changed (-changed)
//	beside.go               small mailings beside the large one (-beside)
//	other_mailings.go       more large mailings beside it (-mailings, -rated)
//	cancel.go               a cancel in the middle (-cancel)
//	occasional_errors.go    errors for a share of the sends (-errors)
//	billed.go, usage_*.go   what Google would bill; the processor time and the memory
//	check.go                what the run has to show
package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"carillon.example/emulators/chaos"
	"carillon.example/emulators/cli"
	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/instances"
	"carillon.example/emulators/local"
	"carillon.example/emulators/progress"
	"carillon.example/emulators/transfer"
	"carillon.example/shared/push"
)

// A plan is what a run of load sends and measures.
type plan struct {
	customers int
	tokens    float64 // a customer
	invalid   float64 // share of the tokens
	cancel    float64 // share of the tokens after which the mailing is cancelled; 0: never
	apart     bool    // each function runs in its own processes
	beside    bool    // mailings to one customer beside the large one
	mailings  int     // to everyone at once; the first one is measured
	rated     int     // mailings to everyone at the lowest rate, beside it

	changed float64 // share of the customers who get one more token before a second mailing; 0: no second one

	messages      int              // to one customer each; 0: a mailing is measured
	messageRate   float64          // a second
	besideMailing bool             // one mailing to everyone beside the messages
	zones         bool             // one mailing by time zones is measured
	occasional    occasionalErrors // errors that FCM answers to a share of the sends
	seed          uint64
}

// Result has the figures that load prints as its last line.
type Result struct {
	Customers       int               `json:"customers"`
	Tokens          int64             `json:"tokens"`
	ImportSeconds   float64           `json:"import_seconds"`
	Seconds         float64           `json:"seconds"`
	TokensPerSecond float64           `json:"tokens_per_second"`
	QuotaShare      float64           `json:"quota_share"`               // share of the quota that was used, from the first send to the last
	Instances       int               `json:"instances"`                 // processes of deliver; 0: it ran in this one
	Messages        *messagesMeasured `json:"single_messages,omitempty"` // with -messages

	Zones *zonesMeasured `json:"zones,omitempty"` // with -zones

	Second *secondMeasured `json:"second,omitempty"` // with -changed

	Beside          *besideMeasured  `json:"beside,omitempty"`          // with -beside
	StoppedSeconds  float64          `json:"stopped_seconds,omitempty"` // from the cancel to the last call of FCM
	CPUSeconds      float64          `json:"cpu_seconds"`
	PeakRSSMB       int64            `json:"peak_rss_mb"`
	FunctionsPeakMB map[string]int64 `json:"functions_peak_mb,omitempty"` // with -apart
	billed
	FCM struct {
		Requests    int64 `json:"requests"`
		Connections int64 `json:"connections"`
		Duplicates  int64 `json:"duplicates"`
		Answers429  int64 `json:"answers_429"` // all answers of 429
		OverQuota   int64 `json:"over_quota"`  // answers of 429 because of the quota
	} `json:"fcm"`
}

// Run imports customers, sends one mailing to everyone, compares the totals with the
// import and with FCM's counts, and prints the figures.
func Run(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("load")
	o := local.Defaults().OnFreePorts()
	o.LogLevel = "error"
	o.Clock = time.Minute // as in the cloud, because each tick reads the open mailings
	p := plan{}
	f.IntVar(&p.customers, "customers", 100_000, "number of customers")
	f.Float64Var(&p.tokens, "tokens-per-customer", 1.4, "average number of tokens of a customer; each customer has at least one")
	f.Float64Var(&p.invalid, "invalid", 0.03, "share of invalid tokens, from 0 to 1")
	f.Float64Var(&p.cancel, "cancel", 0, "cancel the mailing when this share of its tokens has a result, and measure how soon sending stops; 0: do not cancel")
	f.BoolVar(&p.apart, "apart", false, "run each function in its own processes, and report their peak memory")
	f.Uint64Var(&p.seed, "seed", 1, "seed of the random customers: the same seed gives the same tokens")
	f.BoolVar(&p.beside, "beside", false, "also send a mailing to one customer every few seconds, and report the time from its POST to FCM")
	f.IntVar(&p.mailings, "mailings", 1, "number of mailings to everyone at the same time; the figures are those of the first, but the counts of FCM are those of all")
	f.IntVar(&p.rated, "rated", 0, "number of other mailings to everyone at the lowest rate; they are cancelled at the end")
	f.Var(&p.occasional, "errors", "errors for a share of the sends, like QUOTA_PROJECT=0.01/1s (with Retry-After) or UNAVAILABLE=0.001")
	f.IntVar(&p.messages, "messages", 0, "number of messages to one customer each, sent instead of a mailing; reports the time from POST to FCM")
	f.Float64Var(&p.messageRate, "message-rate", 100, "with -messages: messages a second")
	f.BoolVar(&p.besideMailing, "beside-mailing", false, "with -messages: also send a mailing to all -customers")
	f.IntVar(&o.DispatchCalls, "dispatch-calls", 0, "most calls of dispatch at the same time, so that a large mailing leaves processor time to others; 0: as many as Pub/Sub's emulator pushes")
	f.IntVar(&o.RostersFrom, "rosters-from", o.RostersFrom, "from how many customers on dispatch reads rosters; 0: never")
	f.Float64Var(&p.changed, "changed", 0, "after the mailing, register one more token for this share of the customers, and measure a second mailing; 0: no second one")
	f.BoolVar(&p.zones, "zones", false, "send one mailing with variants, a control group, a filter and hours to -customers in 25 time zones, and check every sum and every message")
	o.RegisterFleetFlags(f)
	f.DurationVar(&o.FCMLatency, "fcm-latency", 70*time.Millisecond, "time that FCM takes for each answer")
	var c chaos.Options
	f.Uint64Var(&c.Seed, "chaos", 0, "seed: send many mailings while faults happen that this seed selects, and check every promise")
	f.Float64Var(&c.Minutes, "minutes", 2, "with -chaos: minutes with faults; then the mailings need some more minutes to end")
	faults := f.String("faults", "usual", "with -chaos: the kinds of faults, separated by commas: usual, all, none, NAME, or -NAME to leave one out")
	f.StringVar(&c.Logs, "logs", "", "with -chaos: a `file` for the logs of the functions")
	f.StringVar(&o.LogLevel, "log", o.LogLevel, "level of the log: debug, info, warn or error")
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}
	defer progress.ReadableLog()()

	given := map[string]bool{}
	f.Visit(func(x *flag.Flag) { given[x.Name] = true })
	if given["chaos"] {
		var err error
		if c.Faults, err = chaos.ParseFaults(*faults); err != nil {
			return err
		}
		if c.Customers = p.customers; !given["customers"] {
			c.Customers = 2000
		}
		return c.Run(ctx, o, out)
	}
	if err := o.Check(); err != nil {
		return err
	}
	if (p.beside || p.hasOtherMailings()) && p.cancel > 0 {
		return errors.New("load: -beside, -mailings and -rated do not go with -cancel: they measure complete mailings")
	}
	if p.mailings < 1 || p.rated < 0 {
		return errors.New("load: -mailings must be at least 1, and -rated at least 0")
	}
	if p.customers < 1 || p.tokens < 1 || p.tokens > push.MaxTokens || p.invalid < 0 || p.invalid > 1 || p.cancel < 0 || p.cancel >= 1 {
		return errors.New("load: -customers must be at least 1, -tokens-per-customer from 1 to 20, and -invalid and -cancel shares from 0 to 1")
	}

	if p.changed < 0 || p.changed > 1 {
		return errors.New("load: -changed must be a share from 0 to 1")
	}
	if p.changed > 0 && (p.beside || p.hasOtherMailings() || p.cancel > 0) {
		return errors.New("load: -changed does not go with -beside, -mailings, -rated and -cancel: it measures two complete mailings")
	}
	if p.messages < 0 || p.messages > 0 && p.messageRate <= 0 {
		return errors.New("load: -messages must not be negative, and -message-rate must be more than 0")
	}

	m, err := p.runInCloud(ctx, o, out)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(m)
}

// runInCloud starts a cloud, runs the plan in it, and closes the cloud.
func (p plan) runInCloud(ctx context.Context, o local.Options, out io.Writer) (*Result, error) {
	l, functions, err := p.startCloud(ctx, o)
	if err != nil {
		return nil, err
	}

	defer l.Close()
	rules := append([]fcm.Outcome{{Token: "*-gone", Outcome: "UNREGISTERED"}}, p.occasional...)
	if err := l.Phones.SetOutcomes(rules...); err != nil {
		return nil, err
	}

	run := p.runMailing
	switch {
	case p.messages > 0:
		run = p.runMessages
	case p.zones:
		run = p.runZones
	}
	m, err := run(ctx, l, out)
	if err == nil && functions != nil {
		m.FunctionsPeakMB = functions.PeakMemory()
	}
	return m, err
}

// startCloud starts the cloud. f is nil unless the functions run in their own processes.
func (p plan) startCloud(ctx context.Context, o local.Options) (l *local.Cloud, f *instances.Fleet, err error) {
	if p.apart {
		return local.StartApart(ctx, o)
	}
	l, err = local.Start(ctx, o)
	return l, nil, err
}

func (p plan) runMailing(ctx context.Context, l *local.Cloud, out io.Writer) (*Result, error) {
	m := &Result{Customers: p.customers, Instances: l.Instances}
	if p.beside {
		m.Customers += besideCustomers
	}

	c := client.New(l.APIURL)
	c.HTTP.Timeout = 10 * time.Minute
	invalid, err := p.importCustomers(ctx, c, m, out)
	if err != nil {
		return nil, err
	}

	if p.changed > 0 {
		if err := waitForChanges(ctx, out); err != nil {
			return nil, err
		}
	}
	billed, cpu := usageOf(l), cpuSeconds()
	l.Phones.Clear() // resets the counts and the time of the first send
	began := time.Now()
	id, err := c.SendMailing(ctx, map[string]any{"message": demo.Message, "audience": map[string]any{"everyone": true}})
	if err != nil {
		return nil, err
	}

	b := progress.NewBar(out, "mailing")
	c.Every = 500 * time.Millisecond // each poll costs reads, too
	show := func(x *client.Mailing) { b.Show(x.Tokens.Targeted-x.Tokens.Pending, m.Tokens, x.State) }
	stopBeside := func() (*besideMeasured, error) { return nil, nil }
	if p.beside {
		stopBeside = startBeside(ctx, l, out)
	}
	if p.cancel > 0 {
		if err := p.cancelMidway(ctx, l, c, id, m, show); err != nil {
			return nil, err
		}
	}

	others, err := p.startOtherMailings(ctx, c)
	if err != nil {
		return nil, err
	}

	end, err := c.Follow(ctx, id, show)
	b.End()
	if err != nil {
		return nil, err
	}

	m.Seconds = time.Since(began).Seconds()
	if err := others.finishMailings(ctx, c, m, invalid); err != nil {
		return nil, err
	}

	m.recordQuota(l)
	if m.Beside, err = stopBeside(); err != nil {
		return nil, err
	}

	m.TokensPerSecond = float64(end.Tokens.Targeted-end.Tokens.Cancelled) / m.Seconds
	m.CPUSeconds, m.PeakRSSMB = cpuSeconds()-cpu, peakRSS()
	m.printQuota(out)
	m.setUsage(billed, usageOf(l))
	if p.hasOtherMailings() {
		m.USDPerMillion = 0 // the operations are those of several mailings
	}

	s := l.Phones.Stats()
	m.FCM.Requests, m.FCM.Connections, m.FCM.Duplicates = int64(s.Requests), int64(s.ConnectionsAccepted), int64(s.Duplicates)
	switch {
	case p.cancel > 0:
		return m, checkCancelled(end, s)
	case p.hasOtherMailings():
		return m, checkOneOfMany(end, m, invalid)
	}

	if err := checkMailing(end, m, invalid); err != nil || p.changed == 0 {
		return m, err
	}
	m.Second, err = p.runSecondMailing(ctx, l, c, m, invalid, out)
	return m, err
}

// hasOtherMailings reports whether other mailings to everyone run beside the measured one.
func (p plan) hasOtherMailings() bool { return p.mailings > 1 || p.rated > 0 }

// importCustomers imports the customers, and returns the number of invalid tokens.
func (p plan) importCustomers(ctx context.Context, c *client.Client, m *Result, out io.Writer) (invalid int64, err error) {
	began := time.Now()
	err = importLines(ctx, c, out, func(w io.Writer) (err error) {
		m.Tokens, invalid, err = p.writeCustomers(w)
		return err
	})
	m.ImportSeconds = time.Since(began).Seconds()
	return invalid, err
}

// importLines imports the customers that write writes, a line each.
func importLines(ctx context.Context, c *client.Client, out io.Writer, write func(io.Writer) error) error {
	r, w := io.Pipe()
	defer r.Close() // write ends, too, if the import fails early
	go func() { w.CloseWithError(write(w)) }()
	im := &transfer.Importer{Client: c, Kind: transfer.ImportKinds["ndjson"], Out: out, Bar: progress.NewBar(out, "import")}
	if err := im.Stream(ctx, r); err != nil {
		return err
	}
	im.Bar.End()
	if im.Failed > 0 {
		return fmt.Errorf("%d customers were not imported", im.Failed)
	}
	return nil
}

// writeCustomers writes random customers as NDJSON. Each has one token or more. The same
// seed gives the same customers.
func (p plan) writeCustomers(w io.Writer) (tokens, invalid int64, err error) {
	r := rand.New(rand.NewPCG(p.seed, 0))
	enc := json.NewEncoder(w)
	type token struct {
		Token    string `json:"token"`
		Platform string `json:"platform"`
	}
	if p.beside {
		for i := range besideCustomers {
			tokens++
			line := fmt.Sprintf(`{"id":%q,"tokens":[{"token":"%s:phone-ok","platform":"android"}]}`+"\n", besideCustomer(i), besideCustomer(i))
			if _, err := io.WriteString(w, line); err != nil {
				return tokens, invalid, err
			}
		}
	}

	for i := range p.messages {
		tokens++
		line := fmt.Sprintf(`{"id":%q,"tokens":[{"token":%q,"platform":"android"}]}`+"\n", messageCustomer(i), messageToken(i))
		if _, err := io.WriteString(w, line); err != nil {
			return tokens, invalid, err
		}
	}

	for i := range p.customers {
		n := 1
		for n < push.MaxTokens && r.Float64() < 1-1/p.tokens {
			n++
		}
		c := struct {
			ID     string  `json:"id"`
			Tokens []token `json:"tokens"`
		}{ID: loadCustomer(i)}
		for j := range n {
			end := "ok"
			if r.Float64() < p.invalid {
				end = "gone"
				invalid++
			}
			c.Tokens = append(c.Tokens, token{fmt.Sprintf("t%08d-%d:%032x%032x%032x%032x-%s", i, j, r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64(), end), "android"})
		}
		tokens += int64(n)
		if err := enc.Encode(c); err != nil {
			return tokens, invalid, err
		}
	}

	return tokens, invalid, nil
}

// loadCustomer returns the id of a customer of the load, counted from 0.
func loadCustomer(i int) string { return fmt.Sprintf("customer-%08d", i) }
