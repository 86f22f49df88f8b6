package deliver

import (
	"context"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	// releaseAge is how long an answer for a young installation id, and a
	// suspicion, say something of those that follow.
	releaseAge = 24 * time.Hour
	// releaseTokens is how many young installation ids of a group an instance
	// remembers.
	releaseTokens = 1000
	// fewYoung is how many young installation ids have to be invalid before a
	// release is suspected.
	fewYoung = 5
)

// releaseAnswers remember FCM's last answer for each of the young installation
// ids of a group: a faulty release is seen over hours and many mailings, and not
// in one batch. It has no lock: its owner holds one.
type releaseAnswers struct {
	last  map[string]pastAnswer // by token
	order []string              // the tokens as they came
}

// add remembers an answer for a token.
func (r *releaseAnswers) add(token string, invalid bool, at time.Time) {
	if r.last == nil {
		r.last = map[string]pastAnswer{}
	}
	if _, known := r.last[token]; !known {
		r.order = append(r.order, token)
	}
	r.last[token] = pastAnswer{invalid, at}
	if len(r.order) > releaseTokens {
		delete(r.last, r.order[0])
		r.order = r.order[1:]
	}
}

// count counts the tokens that were answered within releaseAge and after a
// time, and those of them that were invalid.
func (r *releaseAnswers) count(after, now time.Time) (invalid, all int) {
	for _, a := range r.last {
		if a.at.After(after) && now.Sub(a.at) <= releaseAge {
			all++
			if a.invalid {
				invalid++
			}
		}
	}
	return invalid, all
}

// ofRelease reports whether a faulty release of the app may be why FCM does not
// know the tokens of the group. FCM itself hands out registration tokens, and an
// app its own installation ids.
func (g tokenGroup) ofRelease() bool { return g.young && g.kind == push.KindFID }

// stands reports whether a suspicion still holds.
func stands(s store.Suspicion, now time.Time) bool {
	return !s.At.IsZero() && now.Sub(s.At) <= releaseAge
}

// observeRelease remembers FCM's answer for a young installation id.
func (g *groups) observeRelease(t push.Target, invalid bool, now time.Time) {
	if key := groupOf(t); key.ofRelease() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.getLocked(key).releases.add(t.Token, invalid, now)
	}
}

// release counts the group's answers after a time.
func (g *groups) release(key tokenGroup, after, now time.Time) (invalid, all int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.getLocked(key).releases.count(after, now)
}

// lookAtRelease completes what is known of a part's release. It returns what is
// recorded of it.
func (d *delivery) lookAtRelease(ctx context.Context, p *heldPart) store.Suspicion {
	a := &p.answers
	if !a.group.ofRelease() {
		return store.Suspicion{}
	}

	recorded, err := d.Store.Suspicion(ctx, a.group.name())
	if err != nil {
		d.Log.WarnContext(ctx, "suspicion not read", "mailing", d.mailing.ID, "batch", d.batch.Batch, "error", err)
	}
	a.suspected = err != nil || stands(recorded, d.Now())
	a.youngInvalid, a.youngAnswered = d.groups.release(a.group, recorded.Cleared, d.Now())
	for i, target := range p.targets {
		a.early = a.early || a.invalid[i] && d.Now().Sub(d.answeredAt(target)) < heldWait
	}
	return recorded
}

// recordRelease records a suspicion that the call has found, and its end. A
// suspicion is recorded again only in the second half of its time.
func (d *delivery) recordRelease(ctx context.Context, p *heldPart, found tokenDecision, recorded store.Suspicion) {
	switch {
	case found.cleared:
		recorded = store.Suspicion{Cleared: d.Now()}
	case found.suspect && d.Now().Sub(recorded.At) > releaseAge/2:
		recorded.At = d.Now()
		d.Log.WarnContext(ctx, "release suspected", "mailing", d.mailing.ID, "platform", p.answers.group.platform, "app", p.answers.group.app,
			"invalid", p.answers.youngInvalid, "answered", p.answers.youngAnswered)
	default:
		return
	}
	if err := d.Store.SaveSuspicion(ctx, p.answers.group.name(), recorded); err != nil {
		d.Log.WarnContext(ctx, "suspicion not recorded", "mailing", d.mailing.ID, "error", err) // the next call finds it again
	}
}
