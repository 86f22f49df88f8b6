package main

import (
	"context"
	"time"
)

const (
	// resumesWithin is how soon after the answer to a resume FCM is asked, where
	// nothing else goes wrong.
	resumesWithin = 5 * time.Second
	// resumesInStorm is the same where instances are killed and FCM and Firestore
	// fail: a lease has to end, and a tick to come.
	resumesInStorm = 90 * time.Second
)

// pauseAndResume pauses a mailing that is being sent slowly, and resumes it.
func (p *post) pauseAndResume(ctx context.Context, act func(string) error) error {
	wait(ctx, 3*time.Second)
	if err := act("pause"); err != nil {
		return err
	}
	wait(ctx, 5*time.Second)
	if err := act("resume"); err != nil {
		return err
	}
	p.resumed = time.Now()
	return nil
}

// resumption holds a resumed mailing to how soon it went on, if anything was
// left of it.
func (o *one) resumption() {
	if o.p.resumed.IsZero() {
		return
	}
	first := time.Time{}
	for _, s := range o.b.seen {
		for _, d := range s.delivered {
			if d.at.After(o.p.resumed) && (first.IsZero() || d.at.Before(first)) {
				first = d.at
			}
		}
	}
	if first.IsZero() {
		return
	}
	took := first.Sub(o.p.resumed)
	o.count.ResumeSeconds = max(o.count.ResumeSeconds, took.Seconds())
	limit := resumesWithin
	if o.forecast[weatherKills] || o.forecast[weatherBlackouts] || o.forecast[weatherFCM] || o.forecast[weatherFirestore] || o.forecast[weatherSlow] {
		limit = resumesInStorm
	}
	if took > limit {
		o.say(brokenSlow, "mailing %s went on %.1f s after it was resumed, and %s are allowed", o.p.id, took.Seconds(), limit)
	}
}
