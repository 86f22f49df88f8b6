package chaos

import (
	"context"
	"net/http"
	"time"

	"carillon.example/emulators/client"
)

const (
	// resumesWithin is how soon after the answer to a resume FCM is asked, where
	// nothing else goes wrong.
	resumesWithin = 5 * time.Second
	// resumesInStorm is the same where instances are killed and FCM and Firestore
	// fail: a lease has to end, and a tick to come.
	resumesInStorm = 90 * time.Second
)

// pauseAndResume pauses a mailing as soon as it has batches, most of which no call
// has touched by then, and resumes it.
func (p *post) pauseAndResume(ctx context.Context, c *client.Client, act func(string) error) error {
	for {
		m := &client.Mailing{}
		if err := insist(ctx, c, http.MethodGet, "/v1/mailings/"+p.id, nil, m); err != nil {
			return err
		}
		if m.IsFinal() || m.Tokens.Targeted > 0 {
			break
		}
		if !wait(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
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
