// Package chaos sends mailings while it injects faults into the functions, FCM,
// Firestore and Pub/Sub. Then it compares what the servers saw with every promise of
// Carillon.
//
// The flag -faults names the kinds of faults that a run has.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"carillon.example/emulators/client"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/instances"
	"carillon.example/emulators/local"
)

// Options are the flags of load -chaos.
type Options struct {
	Seed      uint64
	Minutes   float64
	Customers int
	Logs      string // the file for the logs of the functions; "": the logs are dropped
	Faults    faultSet
}

const (
	// callTimeout is the time-out of one call of a function. It is short, so that the
	// lease of a killed call ends soon.
	callTimeout = 20 * time.Second
	// tickInterval is the interval between ticks that the functions are configured with:
	// about the real one of the run, and much shorter than callTimeout.
	tickInterval = 3 * time.Second
	// settleTimeout is how long the mailings may take to end after the last fault. What was lost
	// again and again during an outage waits up to ten minutes for tick.
	settleTimeout = 12 * time.Minute
	// quietAfterEnd is how long a run waits after the end of a mailing, to see whether
	// something still happens in it.
	quietAfterEnd = 5 * time.Second
	// maxActiveMailings is the limit of mailings that run at the same time.
	maxActiveMailings = 8
)

// A chaosRun is one run of load -chaos.
type chaosRun struct {
	Options
	out        io.Writer
	cloud      *local.Cloud
	firestore  faultyFirestore
	pubsub     faultyPubSub
	pushFaults *pushFaults // nil if the embedded Pub/Sub injects the faults itself
	fleet      *instances.Fleet
	injector   *faultInjector
	sendLog    *sendLog
	customers  *testCustomers
	checker    *checker
	events     *eventLog
	reader     storeReader
	client     *client.Client
	panicLog   *panicLog
	crasher    *crasher
	startedAt  time.Time
}

// Run sends mailings under faults for s.Minutes minutes, waits until nothing is in
// progress, and checks every promise against what the servers saw. It prints a report
// to out. The error is not nil if a promise was broken.
func (s Options) Run(ctx context.Context, o local.Options, out io.Writer) (err error) {
	if s.Minutes <= 0 || s.Customers < 100 {
		return errors.New("load -chaos: -minutes must be above 0, and there must be at least 100 customers")
	}
	fmt.Fprintf(out, "seed %d, %g minutes of faults, %d customers, faults %s\n", s.Seed, s.Minutes, s.Customers, s.Faults)
	o.WithFunctions, o.BackOff, o.Attempts, o.Clock = false, 0.02, 5, tickInterval
	o.RostersFrom = 1 // so that mailings to everyone and to segments are read from rosters
	c := &chaosRun{Options: s, out: out, sendLog: newSendLog(), events: newEventLog()}
	if c.cloud, err = local.Start(ctx, o); err != nil {
		return err
	}

	defer c.cloud.Close()
	if err := c.connectFaults(ctx); err != nil {
		return err
	}
	if err := c.startFunctions(ctx); err != nil {
		return err
	}

	err = c.runPhases(ctx)
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; seed %d", s.Seed)
	}
	return errors.Join(c.printReport(), err)
}

// startFunctions starts the functions, serves their addresses, creates the
// subscriptions and prepares the checks.
func (c *chaosRun) startFunctions(ctx context.Context) error {
	l, calls := c.cloud, instances.NewCallLog()
	if err := l.SetEnvironment(); err != nil {
		return err
	}
	if err := l.Setenv("CALL_TIMEOUT", callTimeout.String()); err != nil {
		return err
	}

	logs, err := c.openLogs()
	if err != nil {
		return err
	}

	c.panicLog = &panicLog{next: logs}
	if c.fleet, err = instances.NewFleet(instances.FleetSizes(instances.DefaultDeliverInstances), callTimeout, calls, c.panicLog); err != nil {
		return err
	}

	l.OnClose(c.fleet.Close)
	if err := c.fleet.StartAll(ctx); err != nil {
		return err
	}
	if err := l.Serve(c.wrapWorkers(c.fleet.Handler), c.wrapEvents()); err != nil {
		return err
	}
	if err := l.Subscribe(ctx); err != nil {
		return err
	}
	if err := c.subscribeEvents(ctx); err != nil {
		return err
	}

	db, err := firestore.NewClient(ctx, l.Project)
	if err != nil {
		return fmt.Errorf("reaching Firestore: %w", err)
	}

	l.OnClose(func() { db.Close() })
	c.reader, c.client = storeReader{db}, client.New(l.APIURL)
	c.client.HTTP.Timeout = time.Minute
	c.customers = newTestCustomers(c.client, l.Phones, c.Customers, c.Seed, c.Faults)
	c.checker = newChecker(c.customers, calls, c.Faults)
	c.injector = newFaultInjector(l, c.fleet, c.sendLog, c.Seed, c.Faults)
	c.injector.firestore, c.injector.pubsub = c.firestore, c.pubsub
	c.crasher = newCrasher(c.sendLog, c.fleet)
	c.firestore.SetFaultAfter(c.injector.recordCommit)
	l.Phones.OnRequest(func(x fcm.RequestRecord) {
		c.sendLog.recordRequest(x)
		c.crasher.crashOnRequest(x)
	})

	c.injector.changeConditions(func(*fcmConditions) {})
	c.customers.registerFIDs()
	return l.Phones.SetOutcomes(initialOutcomes...)
}

// openLogs opens the file for the logs of the functions.
func (c *chaosRun) openLogs() (io.Writer, error) {
	if c.Logs == "" {
		return io.Discard, nil
	}
	f, err := os.Create(c.Logs)
	if err != nil {
		return nil, fmt.Errorf("-logs: %w", err)
	}
	c.cloud.OnClose(func() { f.Close() })
	return f, nil
}

// subscribeEvents creates a push subscription to the topic push-events.
func (c *chaosRun) subscribeEvents(ctx context.Context) error {
	client, err := pubsub.NewClient(ctx, c.cloud.Project)
	if err != nil {
		return fmt.Errorf("reaching Pub/Sub: %w", err)
	}
	defer client.Close()
	_, err = client.SubscriptionAdminClient.CreateSubscription(ctx, &pubsubpb.Subscription{
		Name: "projects/" + c.cloud.Project + "/subscriptions/chaos-events", Topic: c.cloud.TopicName("push-events"),
		PushConfig: &pubsubpb.PushConfig{PushEndpoint: c.cloud.PushURL + "/events"}, AckDeadlineSeconds: 10,
	})
	return err
}

// runPhases runs the phases in order: import, faults, recovery, final checks.
func (c *chaosRun) runPhases(ctx context.Context) error {
	c.injector.stopped.Store(true)
	if err := c.customers.importAll(ctx); err != nil {
		return err
	}
	if err := c.saveImportVersions(ctx); err != nil {
		return err
	}

	c.injector.stopped.Store(false)
	c.startedAt = time.Now()
	long := time.Duration(c.Minutes * float64(time.Minute))
	ctx, cancel := context.WithTimeout(ctx, long+settleTimeout)
	defer cancel()
	faultCtx, endFaults := context.WithTimeout(ctx, long)
	defer endFaults()
	var faults, mailings, tokenChanges sync.WaitGroup

	ticking, stop := context.WithCancel(ctx)
	var clock sync.WaitGroup
	defer clock.Wait()
	defer stop()
	clock.Go(func() { c.publishTicks(ticking, faultCtx) })

	c.injector.startFaults(faultCtx, &faults, c.Seed)
	c.startUnreliableFCM(ctx, faultCtx, &tokenChanges)
	if c.Faults[faultUndecodable] {
		faults.Go(func() { c.damageDocuments(faultCtx) })
	}

	c.customers.startTokenChanges(ctx, faultCtx, &tokenChanges, c.Seed)
	mailings.Go(func() { c.sendMessages(ctx, faultCtx, &mailings) })
	c.submitMailings(ctx, faultCtx, &mailings)

	faults.Wait()
	c.printProgress("the faults have ended; the mailings finish")
	if err := c.injector.stopFaults(ctx); err != nil {
		return err
	}
	if err := c.repairCustomers(ctx); err != nil {
		return err
	}

	tokenChanges.Wait()
	if err := c.injector.resetOutcomes(c.customers.invalidOutcomes()); err != nil {
		return err
	}

	mailings.Wait()
	c.printProgress("every mailing has ended and was checked")
	if err := c.reader.waitForPublished(ctx); err != nil {
		c.checker.addFinding(brokenEvents, "%v", err)
	}
	if err := errors.Join(c.waitForUnflag(ctx), c.waitForHeldFlags(ctx)); err != nil {
		return err
	}
	if err := c.pubsub.WaitIdle(ctx); err != nil {
		c.checker.addFinding(brokenOther, "Pub/Sub still delivers messages: %v", err)
	}

	c.printProgress("nothing is in progress; every customer is checked")
	return c.checkFinalState(ctx)
}

// printProgress prints the time since the start, and the phase.
func (c *chaosRun) printProgress(what string) {
	fmt.Fprintf(c.out, "%s: %s\n", time.Since(c.startedAt).Round(time.Second), what)
}

// saveImportVersions keeps the availability version that each customer has after the
// import. Events of the import have no higher version.
func (c *chaosRun) saveImportVersions(ctx context.Context) error {
	stored, err := c.reader.readCustomers(ctx)
	if err != nil {
		return err
	}
	for _, p := range c.customers.all {
		p.importVersion = stored[p.id].availability
	}
	return nil
}
