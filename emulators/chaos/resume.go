package chaos

import (
	"context"
	"net/http"
	"time"

	"carillon.example/emulators/client"
)

const (
	// maxResumeDelay is how soon after the answer to a resume FCM must get a request,
	// in a run without other faults.
	maxResumeDelay = 5 * time.Second
	// maxResumeDelayUnderFaults is the same in a run with faults of instances, FCM or
	// Firestore: a lease has to end, and a tick has to come.
	maxResumeDelayUnderFaults = 90 * time.Second
)

// pauseAndResume pauses a mailing as soon as it has batches, and resumes it. At that
// time no call has leased most of the batches.
func (p *testMailing) pauseAndResume(ctx context.Context, c *client.Client, act func(string) error) error {
	for {
		m := &client.Mailing{}
		if err := callUntilAnswered(ctx, c, http.MethodGet, "/v1/mailings/"+p.id, nil, m); err != nil {
			return err
		}
		if m.IsFinal() || m.Tokens.Targeted > 0 {
			break
		}
		if !sleep(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
	if err := act("pause"); err != nil {
		return err
	}

	sleep(ctx, 5*time.Second)
	if err := act("resume"); err != nil {
		return err
	}

	p.resumedAt = time.Now()
	return nil
}

// checkResume checks how soon a resumed mailing was sent again, if anything was left
// to send.
func (o *mailingCheck) checkResume() {
	if o.mailing.resumedAt.IsZero() {
		return
	}
	first := time.Time{}
	for _, s := range o.log.tokens {
		for _, d := range s.accepted {
			if d.at.After(o.mailing.resumedAt) && (first.IsZero() || d.at.Before(first)) {
				first = d.at
			}
		}
	}
	if first.IsZero() {
		return
	}

	took := first.Sub(o.mailing.resumedAt)
	o.figures.ResumeSeconds = max(o.figures.ResumeSeconds, took.Seconds())
	limit := maxResumeDelay
	if o.faultSet[faultKills] || o.faultSet[faultBlackouts] || o.faultSet[faultFCM] || o.faultSet[faultFirestore] || o.faultSet[faultSlowFirestore] {
		limit = maxResumeDelayUnderFaults
	}
	if took > limit {
		o.addFinding(brokenSlow, "mailing %s was sent again %.1f s after it was resumed, the limit is %s", o.mailing.id, took.Seconds(), limit)
	}
}
