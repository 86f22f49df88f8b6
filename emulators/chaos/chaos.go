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
	Weather   forecast
}

const (
	// callTimeout is what the functions are given for a call: short, so that a
	// killed one's lease is soon over.
	callTimeout = 20 * time.Second
	// clockEvery is how often tick is told that its rounds come: about as often as
	// they do, and well within callTimeout.
	clockEvery = 3 * time.Second
	// patience is how long everything may take to come to its end once the
	// faults are over: a batch that was committed and not published waits
	// three minutes for tick.
	patience = 6 * time.Minute
	// quiet is how long nothing may happen in a mailing that has ended.
	quiet = 5 * time.Second
	// atOnce is how many mailings are under way at most.
	atOnce = 8
)

// A chaos is one run.
type chaos struct {
	Options
	out     io.Writer
	laptop  *local.Cloud
	faults  faulty
	pubsub  shaky
	pushes  *pushes // nil where the embedded Pub/Sub makes the faults
	fleet   *instances.Fleet
	weather *weather
	ledger  *ledger
	people  *people
	exam    *exam
	events  *events
	archive archive
	client  *client.Client
	panics  *panics
	poison  *poison
	began   time.Time
}

// Run drives mailings through faults of everything for some minutes, waits
// until all is at rest, and holds what the servers saw to every promise.
func (s Options) Run(ctx context.Context, o local.Options, out io.Writer) (err error) {
	if s.Minutes <= 0 || s.Customers < 100 {
		return errors.New("load -chaos: some minutes, and at least 100 customers")
	}
	fmt.Fprintf(out, "seed %d, %g minutes of faults, %d customers, weather %s\n", s.Seed, s.Minutes, s.Customers, s.Weather)
	o.WithFunctions, o.BackOff, o.Attempts, o.Clock = false, 0.02, 5, clockEvery
	c := &chaos{Options: s, out: out, ledger: newLedger(), events: newEvents()}
	if c.laptop, err = local.Start(ctx, o); err != nil {
		return err
	}

	defer c.laptop.Close()
	if err := c.rough(ctx); err != nil {
		return err
	}
	if err := c.open(ctx); err != nil {
		return err
	}

	err = c.through(ctx)
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted; seed %d", s.Seed)
	}
	return errors.Join(c.report(), err)
}

// open starts the functions behind their addresses and subscribes them.
func (c *chaos) open(ctx context.Context) error {
	l, calls := c.laptop, instances.NewCallLog()
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

	c.panics = &panics{to: logs}
	if c.fleet, err = instances.NewFleet(instances.FleetSizes(instances.DefaultDeliver), callTimeout, calls, c.panics); err != nil {
		return err
	}

	l.OnClose(c.fleet.Close)
	if err := c.fleet.StartAll(ctx); err != nil {
		return err
	}
	if err := l.Serve(c.workers(c.fleet.Handler), c.listener()); err != nil {
		return err
	}
	if err := l.Subscribe(ctx); err != nil {
		return err
	}
	if err := c.listen(ctx); err != nil {
		return err
	}

	db, err := firestore.NewClient(ctx, l.Project)
	if err != nil {
		return fmt.Errorf("reaching Firestore: %w", err)
	}

	l.OnClose(func() { db.Close() })
	c.archive, c.client = archive{db}, client.New(l.APIURL)
	c.client.HTTP.Timeout = time.Minute
	c.people = newPeople(c.client, l.Phones, c.Customers, c.Seed, c.Weather)
	c.exam = newExam(c.people, calls, c.Weather)
	c.weather = newWeather(l, c.fleet, c.ledger, c.Seed, c.Weather)
	c.weather.faults, c.weather.pubsub = c.faults, c.pubsub
	c.poison = newPoison(c.ledger, c.fleet)
	c.faults.SetFaultAfter(c.weather.after)
	l.Phones.SetWitness(func(x fcm.Sighting) {
		c.ledger.sighted(x)
		c.poison.sighted(x)
	})

	c.weather.change(func(*circumstances) {})
	c.people.registerAll()
	return l.Phones.SetOutcomes(deadTokens...)
}

func (c *chaos) openLogs() (io.Writer, error) {
	if c.Logs == "" {
		return io.Discard, nil
	}
	f, err := os.Create(c.Logs)
	if err != nil {
		return nil, fmt.Errorf("-logs: %w", err)
	}
	c.laptop.OnClose(func() { f.Close() })
	return f, nil
}

// listen subscribes to the events.
func (c *chaos) listen(ctx context.Context) error {
	client, err := pubsub.NewClient(ctx, c.laptop.Project)
	if err != nil {
		return fmt.Errorf("reaching Pub/Sub: %w", err)
	}
	defer client.Close()
	_, err = client.SubscriptionAdminClient.CreateSubscription(ctx, &pubsubpb.Subscription{
		Name: "projects/" + c.laptop.Project + "/subscriptions/chaos-events", Topic: c.laptop.TopicName("push-events"),
		PushConfig: &pubsubpb.PushConfig{PushEndpoint: c.laptop.PushURL + "/events"}, AckDeadlineSeconds: 10,
	})
	return err
}

// through is the run itself.
func (c *chaos) through(ctx context.Context) error {
	c.weather.calm.Store(true)
	if err := c.people.imports(ctx); err != nil {
		return err
	}
	if err := c.remember(ctx); err != nil {
		return err
	}

	c.weather.calm.Store(false)
	c.began = time.Now()
	long := time.Duration(c.Minutes * float64(time.Minute))
	ctx, cancel := context.WithTimeout(ctx, long+patience)
	defer cancel()
	storming, calm := context.WithTimeout(ctx, long)
	defer calm()
	var faults, lives, churn sync.WaitGroup
	ticking, stop := context.WithCancel(ctx)
	var clock sync.WaitGroup
	defer clock.Wait()
	defer stop()
	clock.Go(func() { c.clock(ticking, storming) })
	c.weather.begin(storming, &faults, c.Seed)
	c.doubt(ctx, storming, &churn)
	if c.Weather[weatherUndecodable] {
		faults.Go(func() { c.undecodable(storming) })
	}

	c.people.churn(ctx, storming, &churn, c.Seed)
	lives.Go(func() { c.sendMessages(ctx, storming, &lives) })
	c.post(ctx, storming, &lives)
	faults.Wait()
	c.tell("the faults are over, the rest comes to its end")
	if err := c.weather.end(ctx); err != nil {
		return err
	}
	if err := c.repair(ctx); err != nil {
		return err
	}

	churn.Wait()
	if err := c.weather.clear(c.people.dead()); err != nil {
		return err
	}

	lives.Wait()
	c.tell("every mailing has ended, and has been examined")
	if err := c.archive.published(ctx); err != nil {
		c.exam.say(brokenEvents, "%v", err)
	}
	if err := errors.Join(c.flagsTakenBack(ctx), c.cleared(ctx)); err != nil {
		return err
	}
	if err := c.pubsub.WaitIdle(ctx); err != nil {
		c.exam.say(brokenOther, "Pub/Sub is not at rest: %v", err)
	}

	c.tell("all is at rest, every customer is examined")
	return c.last(ctx)
}

// tell prints how far the run is.
func (c *chaos) tell(what string) {
	fmt.Fprintf(c.out, "%s: %s\n", time.Since(c.began).Round(time.Second), what)
}

// remember writes down which version of everybody the import left.
func (c *chaos) remember(ctx context.Context) error {
	stored, err := c.archive.customers(ctx)
	if err != nil {
		return err
	}
	for _, p := range c.people.all {
		p.before = stored[p.id].availability
	}
	return nil
}
