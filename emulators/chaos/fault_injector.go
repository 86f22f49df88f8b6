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

// A faultInjector injects the faults. The seed determines the sequence of random numbers,
// not which goroutine takes which of them, nor what is in progress at that time.
type faultInjector struct {
	cloud     *local.Cloud
	firestore faultyFirestore
	pubsub    faultyPubSub
	fleet     *instances.Fleet
	sendLog   *sendLog
	enabled   faultSet // does not change

	fcmMu             sync.Mutex    // held while FCM's settings change; guards conditions
	conditions        fcmConditions // FCM settings of some faults; they stay when configureFCM changes the others
	unreliableEndedAt atomic.Int64  // when FCM gave its last wrong answers (unix nanoseconds)
	unreliable        atomic.Bool   // FCM gives wrong answers now

	slowUntil        atomic.Int64 // Firestore is slow until then (unix nanoseconds)
	unreachableUntil atomic.Int64 // Firestore is unavailable until then (unix nanoseconds)
	stopped          atomic.Bool  // set when the faults end: no request is failed or delayed any more
	mu               sync.Mutex   // guards rng and counts
	rng              *rand.Rand
	counts           map[string]int
	fcmOutcomes      map[string]int // how often FCM gave each outcome; written when the faults end, read after that
}

func newFaultInjector(l *local.Cloud, f *instances.Fleet, g *sendLog, seed uint64, on faultSet) *faultInjector {
	return &faultInjector{cloud: l, fleet: f, sendLog: g, enabled: on, conditions: on.initialConditions(), rng: rand.New(rand.NewPCG(seed, 1)), counts: map[string]int{}}
}

// randomFloat draws a number in [0, 1).
func (w *faultInjector) randomFloat() float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.Float64()
}

// randomDuration draws a duration in [low, high).
func (w *faultInjector) randomDuration(low, high time.Duration) time.Duration {
	return low + time.Duration(w.randomFloat()*float64(high-low))
}

// countFault adds one to the count of a fault, or of an error of the run itself.
func (w *faultInjector) countFault(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// Counts returns how often each fault was injected.
func (w *faultInjector) Counts() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.counts)
}

// startFaults starts the faults. Their goroutines end with ctx; the faults of single
// requests to Firestore and Pub/Sub continue until stopFaults.
func (w *faultInjector) startFaults(ctx context.Context, all *sync.WaitGroup, seed uint64) {
	switch {
	case w.enabled[faultPubSub]:
		w.pubsub.SetChaos(pubsub.Chaos{Duplicate: 0.1, Delay: time.Second, Reorder: true, Seed: seed})
	case w.enabled[faultResume]: // with the delay, some batches have no lease yet when their mailing is paused
		w.pubsub.SetChaos(pubsub.Chaos{Delay: 2 * time.Second, Seed: seed})
	}

	w.firestore.SetFault(w.failRequest)
	for name, f := range map[string]func(context.Context){
		faultKills: w.killInstances, faultBlackouts: w.stopDeliver, faultFCM: w.injectFCMFaults, faultFirestore: w.blockFirestore, faultSlowFirestore: w.slowDownFirestore,
	} {
		if w.enabled[name] {
			all.Go(func() { f(ctx) })
		}
	}
}

// stopFaults ends the faults and starts the instances that are down. FCM's rules for
// tokens stay.
func (w *faultInjector) stopFaults(ctx context.Context) error {
	w.stopped.Store(true)
	w.pubsub.SetChaos(pubsub.Chaos{})
	w.firestore.SetFault(nil)
	w.fcmOutcomes = w.cloud.Phones.Stats().Outcomes
	if err := w.configureFCM(fcm.Settings{Latency: w.cloud.FCMLatency, Jitter: w.cloud.FCMJitter, QuotaPerMinute: w.cloud.Quota, QuotaShape: w.cloud.QuotaShape}); err != nil {
		return err
	}
	return w.fleet.StartAll(ctx)
}

// resetOutcomes replaces all of FCM's rules with those for invalid tokens.
func (w *faultInjector) resetOutcomes(invalid []fcm.Outcome) error {
	w.cloud.Phones.ClearOutcomes()
	return w.cloud.Phones.SetOutcomes(invalid...)
}

// sleep waits for d. It reports false if ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool { return client.Sleep(ctx, d) }

// killInstances ends instances, most of them with SIGKILL, and starts them again.
func (w *faultInjector) killInstances(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for sleep(ctx, w.randomDuration(500*time.Millisecond, 6*time.Second)) {
		x := w.fleet.All[int(w.randomFloat()*float64(len(w.fleet.All)))]
		if w.randomFloat() < 0.4 {
			x = w.fleet.ByFunction["deliver"][int(w.randomFloat()*float64(len(w.fleet.ByFunction["deliver"])))]
		}

		sig := syscall.SIGKILL
		if w.randomFloat() < 0.3 {
			sig = syscall.SIGTERM
		}
		down := w.randomDuration(0, 2*time.Second)
		all.Go(func() { w.restartInstance(ctx, x, sig, down) })
	}
}

// restartInstance ends an instance, and starts it again after down.
func (w *faultInjector) restartInstance(ctx context.Context, x *instances.Instance, sig syscall.Signal, down time.Duration) {
	w.fleet.End(x, sig)
	if sleep(ctx, down) {
		if err := w.fleet.Start(ctx, x); err != nil && ctx.Err() == nil {
			w.countFault("instances that did not start: " + err.Error())
		}
	}
}

// stopDeliver keeps all instances of deliver down long enough for Pub/Sub to give up
// messages.
func (w *faultInjector) stopDeliver(ctx context.Context) {
	for sleep(ctx, w.randomDuration(20*time.Second, 90*time.Second)) {
		w.countFault("all instances of deliver down")
		down := w.randomDuration(6*time.Second, 10*time.Second)
		var all sync.WaitGroup
		for _, x := range w.fleet.ByFunction["deliver"] {
			all.Go(func() { w.restartInstance(ctx, x, syscall.SIGKILL, down) })
		}
		all.Wait()
	}
}

// steadyFaults are the faults of FCM in the whole run, as shares of the requests.
var steadyFaults = map[string]float64{
	"UNAVAILABLE": 0.006, "INTERNAL": 0.006, "UNAVAILABLE_BARE": 0.002, "BAD_GATEWAY": 0.002, "QUOTA_DEVICE": 0.002,
	fcm.HANG: 0.0005, fcm.RESET: 0.003, fcm.SLOW: 0.01,
	fcm.HangDelivered: 0.0005, fcm.ResetDelivered: 0.003, fcm.UnavailableDelivered: 0.003,
}

// injectFCMFaults injects the steady faults of FCM, GOAWAY frames, and bursts of
// errors.
func (w *faultInjector) injectFCMFaults(ctx context.Context) {
	for {
		s := fcm.Settings{Latency: w.randomDuration(10*time.Millisecond, 150*time.Millisecond), Jitter: 10 * time.Millisecond, Slow: time.Second,
			QuotaPerMinute: w.cloud.Quota, QuotaShape: w.cloud.QuotaShape, GoAwayAfter: 100 + int(w.randomFloat()*900), Seed: uint64(w.randomFloat() * (1 << 53)), Chaos: steadyFaults}
		if err := w.configureFCM(s); err != nil {
			w.countFault("FCM refused the settings: " + err.Error())
		}
		if !sleep(ctx, w.randomDuration(2*time.Second, 8*time.Second)) {
			return
		}

		if w.burstActive() || w.randomFloat() < 0.5 {
			continue
		}
		burst := fcm.Outcome{Token: "*", Outcome: "UNAVAILABLE", Times: 20 + int(w.randomFloat()*300)}
		switch p := w.randomFloat(); {
		case p < 0.25:
			burst = fcm.Outcome{Token: "*", Outcome: "QUOTA_PROJECT", Times: 1 + int(w.randomFloat()*20), RetryAfter: w.randomDuration(time.Second, 4*time.Second)}
		case p < 0.5:
			burst.Outcome, burst.RetryAfter = "INTERNAL", time.Second
		case p < 0.6:
			burst.Outcome = fcm.ResetDelivered
		}

		w.countFault("bursts of FCM's " + burst.Outcome)
		if err := w.cloud.Phones.SetOutcomes(burst); err != nil {
			w.countFault("FCM refused the rule: " + err.Error())
		}
	}
}

// burstActive reports whether a burst has not ended yet. A burst ends after a number of
// requests, and the sender sends fewer requests during a burst. If a new burst could start
// before the last one has ended, the bursts would never end.
func (w *faultInjector) burstActive() bool {
	return slices.ContainsFunc(w.cloud.Phones.CurrentOutcomes(), func(o fcm.Outcome) bool { return o.Token == "*" })
}

// blockFirestore makes Firestore unavailable for 0.5 to 4 seconds at a time.
func (w *faultInjector) blockFirestore(ctx context.Context) {
	for sleep(ctx, w.randomDuration(10*time.Second, 30*time.Second)) {
		w.countFault("Firestore unavailable for some seconds")
		w.unreachableUntil.Store(time.Now().Add(w.randomDuration(500*time.Millisecond, 4*time.Second)).UnixNano())
	}
}

// slowRPCDelay is the delay that is added to each RPC while Firestore is slow.
const slowRPCDelay = 100 * time.Millisecond

// slowDownFirestore makes all RPCs of Firestore slow for 20 to 40 seconds at a time.
func (w *faultInjector) slowDownFirestore(ctx context.Context) {
	for sleep(ctx, w.randomDuration(10*time.Second, 30*time.Second)) {
		w.countFault("Firestore slow for a while")
		w.slowUntil.Store(time.Now().Add(w.randomDuration(20*time.Second, 40*time.Second)).UnixNano())
	}
}

// failRequest fails or delays a request of Firestore before it is executed.
func (w *faultInjector) failRequest(method string, req proto.Message) error {
	if w.stopped.Load() {
		return nil
	}
	if time.Now().UnixNano() < w.slowUntil.Load() {
		time.Sleep(slowRPCDelay)
	}
	if !w.enabled[faultFirestore] {
		return nil
	}

	p := w.randomFloat()
	switch {
	case time.Now().UnixNano() < w.unreachableUntil.Load(), p < 0.006:
		w.countFault("Firestore UNAVAILABLE")
		w.sendLog.recordFault(req)
		return status.Error(codes.Unavailable, "The service is currently unavailable.")
	case p < 0.012 && method == "Commit":
		w.countFault("Firestore ABORTED")
		w.sendLog.recordFault(req)
		return status.Error(codes.Aborted, "Too much contention on these documents. Please try again.")
	case p < 0.03:
		w.countFault("Firestore slow")
		time.Sleep(w.randomDuration(50*time.Millisecond, time.Second))
	}

	return nil
}

// recordCommit records the batches of an executed commit. For some commits it returns an
// error, as if the answer had been lost.
func (w *faultInjector) recordCommit(method string, req proto.Message) error {
	if method != "Commit" {
		return nil
	}
	w.sendLog.recordBatches(req)
	if w.stopped.Load() || !w.enabled[faultFirestore] || w.randomFloat() >= 0.008 {
		return nil
	}
	w.countFault("Firestore's answer lost after a commit")
	w.sendLog.recordFault(req)
	return status.Error(codes.Unavailable, "The connection was lost after the commit.")
}
