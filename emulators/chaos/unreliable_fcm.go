package chaos

import (
	"context"
	"strings"
	"sync"
	"time"

	"carillon.example/emulators/fcm"
	"carillon.example/shared/push"
)

// These weathers let FCM say things of live phones that are not true of them:
// none may be flagged in the end, and nobody be told that one is out of reach.

// anotherProject is a project that is not ours.
const otherProject = "demo-another"

// circumstances are the settings of FCM that a doubt changes.
type fcmConditions struct {
	outages          map[string]string
	phonesProject    string
	exclusive        bool
	mustRegisterFIDs bool
}

// lay puts the circumstances over settings.
func (x fcmConditions) applyTo(s fcm.Settings) fcm.Settings {
	s.Outages, s.PhonesProject, s.ExclusiveInstallations, s.FIDsMustRegister = x.outages, x.phonesProject, x.exclusive, x.mustRegisterFIDs
	return s
}

// configure changes FCM's settings and keeps the circumstances.
func (w *faultInjector) configureFCM(s fcm.Settings) error {
	w.fcmMu.Lock()
	defer w.fcmMu.Unlock()
	return w.cloud.Phones.Configure(w.conditions.applyTo(s))
}

// change changes the circumstances and keeps the other settings.
func (w *faultInjector) changeConditions(f func(*fcmConditions)) {
	w.fcmMu.Lock()
	defer w.fcmMu.Unlock()
	f(&w.conditions)
	if err := w.cloud.Phones.Configure(w.conditions.applyTo(w.cloud.Phones.Settings())); err != nil {
		w.countFault("FCM took no settings: " + err.Error())
	}
}

// doubtful reports whether FCM says things that are not true just now.
func (w *faultInjector) fcmUnreliable() bool { return w.unreliableKinds.Load() > 0 }

// doubt waits for a quarter of the run, and lets begin hold for a third of it.
func (w *faultInjector) runUnreliableFCM(ctx context.Context, long time.Duration, what string, begin, end func()) {
	if !sleep(ctx, long/4) {
		return
	}
	w.unreliableKinds.Add(1)
	w.countFault(what)
	begin()
	sleep(ctx, long/3)
	end()
	w.unreliableEndedAt.Store(time.Now().UnixNano())
	w.unreliableKinds.Add(-1)
	w.countFault("end of: " + what)
}

// doubt lets what the forecast has of them happen while it storms. What an app
// has begun to tell us is brought to its end in ctx.
func (c *chaosRun) startUnreliableFCM(ctx, storming context.Context, all *sync.WaitGroup) {
	w, m := c.injector, c.customers
	long := time.Duration(c.Minutes * float64(time.Minute))
	if c.Weather[faultBase404] {
		all.Go(func() {
			w.runUnreliableFCM(storming, long, "every token answers 404",
				func() {
					w.changeConditions(func(x *fcmConditions) { x.outages = map[string]string{fcm.Every: "UNREGISTERED"} })
				},
				func() { w.changeConditions(func(x *fcmConditions) { x.outages = nil }) })
		})
	}
	if c.Weather[faultOtherProject] {
		all.Go(func() {
			w.runUnreliableFCM(storming, long, "another project than the phones'",
				func() { w.changeConditions(func(x *fcmConditions) { x.phonesProject = otherProject }) },
				func() { w.changeConditions(func(x *fcmConditions) { x.phonesProject = "" }) })
		})
	}
	if c.Weather[faultUnknownFIDs] {
		all.Go(func() {
			w.runUnreliableFCM(storming, long, "an app update hands out FIDs that FCM does not know",
				func() { m.addUnknownFIDs(ctx) }, m.registerFIDs)
		})
	}
	if c.Weather[faultMigration] {
		w.countFault("a migration from tokens to FIDs")
		all.Go(func() { m.migrateToFIDs(ctx, storming, long) })
	}
}

// begins are the circumstances at the start of a run.
func (f faultSet) initialConditions() fcmConditions {
	return fcmConditions{exclusive: f[faultMigration], mustRegisterFIDs: f[faultUnknownFIDs]}
}

// migrated holds a mailing to one ring a phone: by its token or by its FID.
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
			o.addFinding(brokenDuplicates, "a phone of customer %s was rung by its token and by its FID in mailing %s", k.customer, o.mailing.id)
		}
		by[fid] = k
	}
}

// clearedWithin is how long after a doubt flags may wait to be released or
// confirmed.
const heldFlagsTimeout = 2 * time.Minute

// cleared waits until every customer is as they must be, or until the flags that
// a doubt has held back have had their time. What is wrong after that is found
// by the examination.
func (c *chaosRun) waitForHeldFlags(ctx context.Context) error {
	until := time.Unix(0, c.injector.unreliableEndedAt.Load()).Add(heldFlagsTimeout)
	for c.Weather.makesFCMUnreliable() && time.Now().Before(until) {
		stored, err := c.reader.readCustomers(ctx)
		if err != nil {
			return err
		}
		probe := newChecker(c.customers, c.checker.calls, c.Weather)
		probe.foundInvalid, probe.unflagged = c.checker.foundInvalid, c.checker.unflagged
		c.events.mu.Lock()
		err = probe.checkCustomers(ctx, c.client, c.events, stored)
		c.events.mu.Unlock()
		if err != nil || len(probe.counts) == 0 || !sleep(ctx, 2*time.Second) {
			return err
		}
	}

	return nil
}

// falseAlarms are events that say that somebody whose phones were alive all the
// while is out of reach, or a token of theirs invalid.
func (x *checker) checkFalseEvents(e *eventLog) {
	if !x.makesFCMUnreliable() {
		return
	}
	for k, available := range e.availability {
		if q := x.byID[k.customer]; q != nil && q.stable && q.countValid() > 0 && !available && k.version > q.importVersion {
			x.addFinding(brokenFalseEvents, "customer %s, version %d, is told as out of reach, and never was", k.customer, k.version)
		}
	}

	for k := range e.invalidated {
		q := x.byID[k.customer]
		if q == nil || !q.stable {
			continue
		}
		for _, y := range q.tokens {
			if !y.unregistered && push.TokenID(y.token) == k.token {
				x.addFinding(brokenFalseEvents, "token %s of customer %s is told as invalid in mailing %s, and never was", k.token, k.customer, k.mailing)
			}
		}
	}
}
