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
const anotherProject = "demo-another"

// circumstances are the settings of FCM that a doubt changes.
type circumstances struct {
	outages   map[string]string
	project   string
	exclusive bool
	mustFIDs  bool
}

// lay puts the circumstances over settings.
func (x circumstances) lay(s fcm.Settings) fcm.Settings {
	s.Outages, s.PhonesProject, s.ExclusiveInstallations, s.FIDsMustRegister = x.outages, x.project, x.exclusive, x.mustFIDs
	return s
}

// configure changes FCM's settings and keeps the circumstances.
func (w *weather) configure(s fcm.Settings) error {
	w.fcmMu.Lock()
	defer w.fcmMu.Unlock()
	return w.l.Phones.Configure(w.now.lay(s))
}

// change changes the circumstances and keeps the other settings.
func (w *weather) change(f func(*circumstances)) {
	w.fcmMu.Lock()
	defer w.fcmMu.Unlock()
	f(&w.now)
	if err := w.l.Phones.Configure(w.now.lay(w.l.Phones.Settings())); err != nil {
		w.note("FCM took no settings: " + err.Error())
	}
}

// doubtful reports whether FCM says things that are not true just now.
func (w *weather) doubtful() bool { return w.doubts.Load() > 0 }

// doubt waits for a quarter of the run, and lets begin hold for a third of it.
func (w *weather) doubt(ctx context.Context, long time.Duration, what string, begin, end func()) {
	if !wait(ctx, long/4) {
		return
	}
	w.doubts.Add(1)
	w.note(what)
	begin()
	wait(ctx, long/3)
	end()
	w.doubted.Store(time.Now().UnixNano())
	w.doubts.Add(-1)
	w.note("end of: " + what)
}

// doubt lets what the forecast has of them happen while it storms. What an app
// has begun to tell us is brought to its end in ctx.
func (c *chaos) doubt(ctx, storming context.Context, all *sync.WaitGroup) {
	w, m := c.weather, c.people
	long := time.Duration(c.Minutes * float64(time.Minute))
	if c.Weather[weatherBase404] {
		all.Go(func() {
			w.doubt(storming, long, "every token answers 404",
				func() { w.change(func(x *circumstances) { x.outages = map[string]string{fcm.Every: "UNREGISTERED"} }) },
				func() { w.change(func(x *circumstances) { x.outages = nil }) })
		})
	}
	if c.Weather[weatherProject] {
		all.Go(func() {
			w.doubt(storming, long, "another project than the phones'",
				func() { w.change(func(x *circumstances) { x.project = anotherProject }) },
				func() { w.change(func(x *circumstances) { x.project = "" }) })
		})
	}
	if c.Weather[weatherUnknownFIDs] {
		all.Go(func() {
			w.doubt(storming, long, "an app update hands out FIDs that FCM does not know",
				func() { m.update(ctx) }, m.registerAll)
		})
	}
	if c.Weather[weatherMigration] {
		w.note("a migration from tokens to FIDs")
		all.Go(func() { m.migrate(ctx, storming, long) })
	}
}

// begins are the circumstances at the start of a run.
func (f forecast) begins() circumstances {
	return circumstances{exclusive: f[weatherMigration], mustFIDs: f[weatherUnknownFIDs]}
}

// migrated holds a mailing to one ring a phone: by its token or by its FID.
func (o *one) migrated() {
	if !o.forecast[weatherMigration] {
		return
	}
	by := map[string]who{}
	for k, s := range o.b.seen {
		if len(s.delivered) == 0 {
			continue
		}
		fid, _, _ := strings.Cut(k.token, ":")
		if other, twice := by[fid]; twice && other.token != k.token {
			o.say(brokenTwice, "a phone of customer %s was rung by its token and by its FID in mailing %s", k.customer, o.p.id)
		}
		by[fid] = k
	}
}

// clearedWithin is how long after a doubt flags may wait to be released or
// confirmed.
const clearedWithin = 2 * time.Minute

// cleared waits until every customer is as they must be, or until the flags that
// a doubt has held back have had their time. What is wrong after that is found
// by the examination.
func (c *chaos) cleared(ctx context.Context) error {
	until := time.Unix(0, c.weather.doubted.Load()).Add(clearedWithin)
	for c.Weather.doubtsFCM() && time.Now().Before(until) {
		stored, err := c.archive.customers(ctx)
		if err != nil {
			return err
		}
		probe := newExam(c.people, c.exam.calls, c.Weather)
		probe.dead, probe.undone = c.exam.dead, c.exam.undone
		c.events.mu.Lock()
		err = probe.everybody(ctx, c.client, c.events, stored)
		c.events.mu.Unlock()
		if err != nil || len(probe.counts) == 0 || !wait(ctx, 2*time.Second) {
			return err
		}
	}

	return nil
}

// falseAlarms are events that say that somebody whose phones were alive all the
// while is out of reach, or a token of theirs invalid.
func (x *exam) falseAlarms(e *events) {
	if !x.doubtsFCM() {
		return
	}
	for k, available := range e.availability {
		if q := x.byID[k.customer]; q != nil && q.stable && q.good() > 0 && !available && k.version > q.before {
			x.say(brokenAlarm, "customer %s, version %d, is told as out of reach, and never was", k.customer, k.version)
		}
	}

	for k := range e.invalidated {
		q := x.byID[k.customer]
		if q == nil || !q.stable {
			continue
		}
		for _, y := range q.phones {
			if !y.gone && push.TokenID(y.token) == k.token {
				x.say(brokenAlarm, "token %s of customer %s is told as invalid in mailing %s, and never was", k.token, k.customer, k.mailing)
			}
		}
	}
}
