package chaos

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

// In these kinds of faults FCM gives wrong answers for valid tokens. At the end no valid
// token may have a flag, and no event may report its customer as unreachable.

// otherProject is a project that the functions do not send for.
const otherProject = "demo-another"

// fcmConditions are the FCM settings that these faults change.
type fcmConditions struct {
	outages          map[string]string
	phonesProject    string
	exclusive        bool
	mustRegisterFIDs bool
}

// applyTo returns the settings with the conditions in them.
func (x fcmConditions) applyTo(s fcm.Settings) fcm.Settings {
	s.Outages, s.PhonesProject, s.ExclusiveInstallations, s.FIDsMustRegister = x.outages, x.phonesProject, x.exclusive, x.mustRegisterFIDs
	return s
}

// configureFCM changes FCM's settings and keeps the conditions.
func (w *faultInjector) configureFCM(s fcm.Settings) error {
	w.fcmMu.Lock()
	defer w.fcmMu.Unlock()
	return w.cloud.Phones.Configure(w.conditions.applyTo(s))
}

// changeConditions changes the conditions and keeps the other settings.
func (w *faultInjector) changeConditions(f func(*fcmConditions)) {
	w.fcmMu.Lock()
	defer w.fcmMu.Unlock()
	f(&w.conditions)
	if err := w.cloud.Phones.Configure(w.conditions.applyTo(w.cloud.Phones.Settings())); err != nil {
		w.countFault("FCM refused the settings: " + err.Error())
	}
}

// fcmUnreliable reports whether FCM gives wrong answers now.
func (w *faultInjector) fcmUnreliable() bool { return w.unreliable.Load() }

// An unreliableKind is a kind of wrong answers of FCM, which begins and ends in a run.
type unreliableKind struct {
	what       string
	begin, end func()
}

// runUnreliableFCM waits for a quarter of the run, begins the kinds in the reverse order,
// waits for a third of the run, and ends them in their order: see startUnreliableFCM. long is
// the length of the run.
func (w *faultInjector) runUnreliableFCM(ctx context.Context, long time.Duration, kinds []unreliableKind) {
	if len(kinds) == 0 || !sleep(ctx, long/4) {
		return
	}
	w.unreliable.Store(true)
	for _, k := range slices.Backward(kinds) {
		w.countFault(k.what)
		k.begin()
	}
	sleep(ctx, long/3)
	for _, k := range kinds {
		k.end()
		w.countFault("end of: " + k.what)
	}
	w.unreliableEndedAt.Store(time.Now().UnixNano())
	w.unreliable.Store(false)
}

// startUnreliableFCM starts these kinds of faults, as far as the run has them. They
// end with faultCtx. A registration that has begun continues in ctx: the model is
// exact only if every registration finishes.
//
// The kinds end in the order of the list: first FCM learns the FIDs of the app update, then
// it answers for the right project, and last it accepts tokens again. In another order FCM
// would call valid tokens invalid for a moment while its other answers are right, and deliver
// could not find that out.
func (c *chaosRun) startUnreliableFCM(ctx, faultCtx context.Context, all *sync.WaitGroup) {
	w, m := c.injector, c.customers
	long := time.Duration(c.Minutes * float64(time.Minute))
	var kinds []unreliableKind
	if c.Faults[faultUnknownFIDs] {
		// Registrations are slow while other things fail, too. They go on beside the other
		// kinds, so that they make none of them longer.
		update, endUpdate := context.WithCancel(ctx)
		var adding sync.WaitGroup
		kinds = append(kinds, unreliableKind{"an app update registers FIDs that FCM does not know",
			func() { adding.Go(func() { m.addUnknownFIDs(ctx, update) }) },
			func() {
				endUpdate()
				adding.Wait()
				m.registerFIDs()
			}})
	}
	if c.Faults[faultOtherProject] {
		kinds = append(kinds, unreliableKind{"the tokens belong to another project",
			func() { w.changeConditions(func(x *fcmConditions) { x.phonesProject = otherProject }) },
			func() { w.changeConditions(func(x *fcmConditions) { x.phonesProject = "" }) }})
	}
	if c.Faults[faultBase404] {
		kinds = append(kinds, unreliableKind{"FCM answers 404 for every token",
			func() {
				w.changeConditions(func(x *fcmConditions) { x.outages = map[string]string{fcm.Every: "UNREGISTERED"} })
			},
			func() { w.changeConditions(func(x *fcmConditions) { x.outages = nil }) }})
	}
	all.Go(func() { w.runUnreliableFCM(faultCtx, long, kinds) })

	if c.Faults[faultMigration] {
		w.countFault("a migration from tokens to FIDs")
		all.Go(func() { m.migrateToFIDs(ctx, faultCtx, long) })
	}
}

// initialConditions are the conditions at the start of a run.
func (f faultSet) initialConditions() fcmConditions {
	return fcmConditions{exclusive: f[faultMigration], mustRegisterFIDs: f[faultUnknownFIDs]}
}

// checkMigration checks that a mailing was sent to a device by its token or by its
// FID, not by both.
func (o *mailingCheck) checkMigration() {
	if !o.faultSet[faultMigration] {
		return
	}

	by := map[string]tokenKey{}
	for k, s := range o.log.tokens {
		if len(s.accepted) == 0 {
			continue
		}
		fid, _, _ := strings.Cut(k.token, ":")
		if other, twice := by[fid]; twice && other.token != k.token {
			o.addFinding(brokenDuplicates, "mailing %[2]s was sent to a device of customer %[1]s by its token and by its FID", k.customer, o.mailing.id)
		}
		by[fid] = k
	}
}

// heldFlagsTimeout is how long after the wrong answers the held flags may wait for
// evidence.
const heldFlagsTimeout = 2 * time.Minute

// waitForHeldFlags waits until the checks of all customers pass, or until
// heldFlagsTimeout has passed. The final check reports what is wrong after that.
func (c *chaosRun) waitForHeldFlags(ctx context.Context) error {
	until := time.Unix(0, c.injector.unreliableEndedAt.Load()).Add(heldFlagsTimeout)
	for c.Faults.makesFCMUnreliable() && time.Now().Before(until) {
		stored, err := c.reader.readCustomers(ctx)
		if err != nil {
			return err
		}
		trial := newChecker(c.customers, c.checker.calls, c.Faults)
		trial.foundInvalid, trial.unflagged = c.checker.foundInvalid, c.checker.unflagged
		c.events.mu.Lock() // no event is added while customers are compared with events
		err = trial.checkCustomers(ctx, c.client, c.events, stored)
		c.events.mu.Unlock()
		if err != nil || len(trial.counts) == 0 || !sleep(ctx, 2*time.Second) {
			return err
		}
	}

	return nil
}

// checkFalseEvents finds events that report a customer as unreachable, or a token as
// invalid, although the tokens were valid in the whole run.
func (x *checker) checkFalseEvents(e *eventLog) {
	if !x.makesFCMUnreliable() {
		return
	}
	for k, available := range e.availability {
		if q := x.byID[k.customer]; q != nil && q.stable && q.countValid() > 0 && !available && k.version > q.importVersion {
			x.addFinding(brokenFalseEvents, "an event reports customer %s, version %d, as unreachable; the customer was reachable in the whole run", k.customer, k.version)
		}
	}

	for k := range e.invalidated {
		q := x.byID[k.customer]
		if q == nil || !q.stable {
			continue
		}
		for _, y := range q.tokens {
			if !y.unregistered && push.TokenID(y.token) == k.token {
				x.addFinding(brokenFalseEvents, "an event reports token %s of customer %s as invalid in mailing %s; the token was valid in the whole run", k.token, k.customer, k.mailing)
			}
		}
	}
}
