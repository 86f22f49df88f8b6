// Package chaos sends many mailings under faults of everything, and compares what the
// servers saw with every promise.
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

// A Options is what load -chaos is asked for.
type Options struct {
	Seed      uint64
	Minutes   float64
	Customers int
	Logs      string // a file for what the functions log; "": none
	Weather   faultSet
}

const (
	// callTimeout is what the functions are given for a call: short, so that a
	// killed one's lease is soon over.
	callTimeout = 20 * time.Second
	// clockEvery is how often tick is told that its rounds come: about as often as
	// they do, and well within callTimeout.
	tickInterval = 3 * time.Second
	// patience is how long everything may take to come to its end once the
	// faults are over: a batch that was committed and not published waits
	// three minutes for tick.
	settleTimeout = 6 * time.Minute
	// quiet is how long nothing may happen in a mailing that has ended.
	quietAfterEnd = 5 * time.Second
	// atOnce is how many mailings are under way at most.
	maxActiveMailings = 8
)

// A chaos is one run.
type chaosRun struct {
	Options
	out        io.Writer
	cloud      *local.Cloud
	firestore  faultyFirestore
	pubsub     faultyPubSub
	pushFaults *pushFaults // nil where the embedded Pub/Sub makes the faults
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

// Run drives mailings through faults of everything for some minutes, waits
// until all is at rest, and holds what the servers saw to every promise.
func (s Options) Run(ctx context.Context, o local.Options, out io.Writer) (err error) {
	if s.Minutes <= 0 || s.Customers < 100 {
		return errors.New("load -chaos: some minutes, and at least 100 customers")
	}
	fmt.Fprintf(out, "seed %d, %g minutes of faults, %d customers, weather %s\n", s.Seed, s.Minutes, s.Customers, s.Weather)
	o.WithFunctions, o.BackOff, o.Attempts, o.Clock = false, 0.02, 5, tickInterval
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

// open starts the functions behind their addresses and subscribes them.
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
	if c.fleet, err = instances.NewFleet(instances.FleetSizes(instances.DefaultDeliver), callTimeout, calls, c.panicLog); err != nil {
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
	c.customers = newTestCustomers(c.client, l.Phones, c.Customers, c.Seed, c.Weather)
	c.checker = newChecker(c.customers, calls, c.Weather)
	c.injector = newFaultInjector(l, c.fleet, c.sendLog, c.Seed, c.Weather)
	c.injector.firestore, c.injector.pubsub = c.firestore, c.pubsub
	c.crasher = newCrasher(c.sendLog, c.fleet)
	c.firestore.SetFaultAfter(c.injector.recordCommit)
	l.Phones.SetWitness(func(x fcm.Sighting) {
		c.sendLog.recordRequest(x)
		c.crasher.crashOnRequest(x)
	})

	c.injector.changeConditions(func(*fcmConditions) {})
	c.customers.registerFIDs()
	return l.Phones.SetOutcomes(initialOutcomes...)
}

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

// listen subscribes to the events.
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

// through is the run itself.
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
	storming, calm := context.WithTimeout(ctx, long)
	defer calm()
	var faults, lives, churn sync.WaitGroup
	ticking, stop := context.WithCancel(ctx)
	var clock sync.WaitGroup
	defer clock.Wait()
	defer stop()
	clock.Go(func() { c.publishTicks(ticking, storming) })
	c.injector.startFaults(storming, &faults, c.Seed)
	c.startUnreliableFCM(ctx, storming, &churn)
	if c.Weather[faultUndecodable] {
		faults.Go(func() { c.damageDocuments(storming) })
	}

	c.customers.startTokenChanges(ctx, storming, &churn, c.Seed)
	lives.Go(func() { c.sendMessages(ctx, storming, &lives) })
	c.submitMailings(ctx, storming, &lives)
	faults.Wait()
	c.printProgress("the faults are over, the rest comes to its end")
	if err := c.injector.stopFaults(ctx); err != nil {
		return err
	}
	if err := c.repairCustomers(ctx); err != nil {
		return err
	}

	churn.Wait()
	if err := c.injector.resetOutcomes(c.customers.invalidOutcomes()); err != nil {
		return err
	}

	lives.Wait()
	c.printProgress("every mailing has ended, and has been examined")
	if err := c.reader.waitForPublished(ctx); err != nil {
		c.checker.addFinding(brokenEvents, "%v", err)
	}
	if err := errors.Join(c.waitForUnflag(ctx), c.waitForHeldFlags(ctx)); err != nil {
		return err
	}
	if err := c.pubsub.WaitIdle(ctx); err != nil {
		c.checker.addFinding(brokenOther, "Pub/Sub is not at rest: %v", err)
	}

	c.printProgress("all is at rest, every customer is examined")
	return c.checkFinalState(ctx)
}

// tell prints how far the run is.
func (c *chaosRun) printProgress(what string) {
	fmt.Fprintf(c.out, "%s: %s\n", time.Since(c.startedAt).Round(time.Second), what)
}

// remember writes down which version of everybody the import left.
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
