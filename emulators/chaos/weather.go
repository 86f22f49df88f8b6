package chaos

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/client"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/instances"
	"carillon.example/emulators/local"
	"carillon.example/emulators/pubsub"
)

// weather makes the faults: who is hit and when is drawn from the seed, what is
// under way then is not.
type weather struct {
	l      *local.Cloud
	faults faulty
	pubsub shaky
	fleet  *instances.Fleet
	ledger *ledger
	on     forecast

	fcmMu   sync.Mutex    // of changes of FCM's settings
	now     circumstances // of FCM, kept whatever else is set
	doubted atomic.Int64  // when the last of them ended (unix nanoseconds)
	doubts  atomic.Int32  // weathers under way in which FCM is not to be believed

	slow  atomic.Int64 // until then (unix nanoseconds) Firestore takes longer
	storm atomic.Int64 // until then (unix nanoseconds) Firestore is out of reach
	calm  atomic.Bool  // no more faults
	mu    sync.Mutex
	dice  *rand.Rand
	made  map[string]int
	fcm   map[string]int // FCM's own count, when the faults ended
}

func newWeather(l *local.Cloud, f *instances.Fleet, g *ledger, seed uint64, on forecast) *weather {
	return &weather{l: l, fleet: f, ledger: g, on: on, now: on.begins(), dice: rand.New(rand.NewPCG(seed, 1)), made: map[string]int{}}
}

// chance draws a number in [0, 1), between draws a duration.
func (w *weather) chance() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dice.Float64()
}

func (w *weather) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.chance()*float64(high-low))
}

func (w *weather) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made[what]++
}

func (w *weather) Counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.made)
}

// begin lets the faults begin; they go on until ctx ends.
func (w *weather) begin(ctx context.Context, all *sync.WaitGroup, seed uint64) {
	switch {
	case w.on[weatherPubSub]:
		w.pubsub.SetChaos(pubsub.Chaos{Duplicate: 0.1, Delay: time.Second, Reorder: true, Seed: seed})
	case w.on[weatherResume]: // so that batches wait untouched when their mailing is paused
		w.pubsub.SetChaos(pubsub.Chaos{Delay: 2 * time.Second, Seed: seed})
	}

	w.faults.SetFault(w.before)
	for name, f := range map[string]func(context.Context){
		weatherKills: w.kill, weatherBlackouts: w.blackout, weatherFCM: w.phones, weatherFirestore: w.gusts, weatherSlow: w.slowFirestore,
	} {
		if w.on[name] {
			all.Go(func() { f(ctx) })
		}
	}
}

// end makes everything work again but FCM, and starts what is down.
func (w *weather) end(ctx context.Context) error {
	w.calm.Store(true)
	w.pubsub.SetChaos(pubsub.Chaos{})
	w.faults.SetFault(nil)
	w.fcm = w.l.Phones.Stats().Outcomes
	if err := w.configure(fcm.Settings{Latency: w.l.FCMLatency, Jitter: w.l.FCMJitter, QuotaPerMinute: w.l.Quota, QuotaShape: w.l.QuotaShape}); err != nil {
		return err
	}
	return w.fleet.StartAll(ctx)
}

// clear takes FCM's rules back but those of the dead.
func (w *weather) clear(dead []fcm.Outcome) error {
	w.l.Phones.ClearOutcomes()
	return w.l.Phones.SetOutcomes(dead...)
}

// wait sleeps, and reports whether the faults are to go on.
func wait(ctx context.Context, d time.Duration) bool { return client.Sleep(ctx, d) }

// kill ends instances, most of them without a word, and starts them again.
func (w *weather) kill(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for wait(ctx, w.between(500*time.Millisecond, 6*time.Second)) {
		x := w.fleet.All[int(w.chance()*float64(len(w.fleet.All)))]
		if w.chance() < 0.4 {
			x = w.fleet.ByFunction["deliver"][int(w.chance()*float64(len(w.fleet.ByFunction["deliver"])))]
		}
		sig := syscall.SIGKILL
		if w.chance() < 0.3 {
			sig = syscall.SIGTERM
		}
		down := w.between(0, 2*time.Second)
		all.Go(func() { w.bounce(ctx, x, sig, down) })
	}
}

func (w *weather) bounce(ctx context.Context, x *instances.Instance, sig syscall.Signal, down time.Duration) {
	w.fleet.End(x, sig)
	if wait(ctx, down) {
		if err := w.fleet.Start(ctx, x); err != nil && ctx.Err() == nil {
			w.note("instances that did not start: " + err.Error())
		}
	}
}

// blackout keeps all of deliver down for so long that Pub/Sub gives up.
func (w *weather) blackout(ctx context.Context) {
	for wait(ctx, w.between(20*time.Second, 90*time.Second)) {
		w.note("deliver wholly down")
		down := w.between(6*time.Second, 10*time.Second)
		var all sync.WaitGroup
		for _, x := range w.fleet.ByFunction["deliver"] {
			all.Go(func() { w.bounce(ctx, x, syscall.SIGKILL, down) })
		}
		all.Wait()
	}
}

// ordinary is FCM's chaos all the while, as shares of the requests.
var ordinary = map[string]float64{
	"UNAVAILABLE": 0.006, "INTERNAL": 0.006, "UNAVAILABLE_BARE": 0.002, "BAD_GATEWAY": 0.002, "QUOTA_DEVICE": 0.002,
	fcm.HANG: 0.0005, fcm.RESET: 0.003, fcm.SLOW: 0.01,
	fcm.HangDelivered: 0.0005, fcm.ResetDelivered: 0.003, fcm.UnavailableDelivered: 0.003,
}

// phones makes FCM's faults: the ordinary ones, GOAWAY, and bursts on top.
func (w *weather) phones(ctx context.Context) {
	for {
		s := fcm.Settings{Latency: w.between(10*time.Millisecond, 150*time.Millisecond), Jitter: 10 * time.Millisecond, Slow: time.Second,
			QuotaPerMinute: w.l.Quota, QuotaShape: w.l.QuotaShape, GoAwayAfter: 100 + int(w.chance()*900), Seed: uint64(w.chance() * (1 << 53)), Chaos: ordinary}
		if err := w.configure(s); err != nil {
			w.note("FCM took no settings: " + err.Error())
		}
		if !wait(ctx, w.between(2*time.Second, 8*time.Second)) {
			return
		}
		if w.bursting() || w.chance() < 0.5 {
			continue
		}
		burst := fcm.Outcome{Token: "*", Outcome: "UNAVAILABLE", Times: 20 + int(w.chance()*300)}
		switch p := w.chance(); {
		case p < 0.25:
			burst = fcm.Outcome{Token: "*", Outcome: "QUOTA_PROJECT", Times: 1 + int(w.chance()*20), RetryAfter: w.between(time.Second, 4*time.Second)}
		case p < 0.5:
			burst.Outcome, burst.RetryAfter = "INTERNAL", time.Second
		case p < 0.6:
			burst.Outcome = fcm.ResetDelivered
		}
		w.note("bursts of FCM's " + burst.Outcome)
		if err := w.l.Phones.SetOutcomes(burst); err != nil {
			w.note("FCM took no rule: " + err.Error())
		}
	}
}

// bursting reports whether a burst still goes on. A burst is so many requests:
// the sender holds back as it goes on, and one upon another would never end.
func (w *weather) bursting() bool {
	return slices.ContainsFunc(w.l.Phones.CurrentOutcomes(), func(o fcm.Outcome) bool { return o.Token == "*" })
}

// gusts put Firestore wholly out of reach for moments.
func (w *weather) gusts(ctx context.Context) {
	for wait(ctx, w.between(10*time.Second, 30*time.Second)) {
		w.note("Firestore out of reach for a moment")
		w.storm.Store(time.Now().Add(w.between(500*time.Millisecond, 4*time.Second)).UnixNano())
	}
}

// slowRPC is how much longer Firestore takes while it is slow.
const slowRPC = 100 * time.Millisecond

// slowFirestore lets Firestore take longer for a while, for everything.
func (w *weather) slowFirestore(ctx context.Context) {
	for wait(ctx, w.between(10*time.Second, 30*time.Second)) {
		w.note("Firestore slow for a while")
		w.slow.Store(time.Now().Add(w.between(20*time.Second, 40*time.Second)).UnixNano())
	}
}

// before fails or delays what Firestore is asked, with nothing done.
func (w *weather) before(method string, req proto.Message) error {
	if w.calm.Load() {
		return nil
	}
	if time.Now().UnixNano() < w.slow.Load() {
		time.Sleep(slowRPC)
	}
	if !w.on[weatherFirestore] {
		return nil
	}

	p := w.chance()
	switch {
	case time.Now().UnixNano() < w.storm.Load(), p < 0.006:
		w.note("Firestore UNAVAILABLE")
		w.ledger.disturbed(req)
		return status.Error(codes.Unavailable, "The service is currently unavailable.")
	case p < 0.012 && method == "Commit":
		w.note("Firestore ABORTED")
		w.ledger.disturbed(req)
		return status.Error(codes.Aborted, "Too much contention on these documents. Please try again.")
	case p < 0.03:
		w.note("Firestore slow")
		time.Sleep(w.between(50*time.Millisecond, time.Second))
	}

	return nil
}

// after reads along what was stored, and loses some answers.
func (w *weather) after(method string, req proto.Message) error {
	if method != "Commit" {
		return nil
	}
	w.ledger.committed(req)
	if w.calm.Load() || !w.on[weatherFirestore] || w.chance() >= 0.008 {
		return nil
	}
	w.note("Firestore's answer lost after a commit")
	w.ledger.disturbed(req)
	return status.Error(codes.Unavailable, "The connection was lost after the commit.")
}
