package deliver

import (
	"context"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	// releaseAge is how long an answer for a young installation id, and a suspicion,
	// count.
	releaseAge = 24 * time.Hour
	// releaseTokens is how many young installation ids of a group an instance
	// remembers.
	releaseTokens = 1000
	// fewYoung is how many young installation ids must be invalid before a release is
	// suspected.
	fewYoung = 5
)

// releaseAnswers has FCM's last answer for each young installation id of a group. A faulty
// release becomes visible only over hours and many mailings, so the answers of one batch are
// not enough. It has no lock: groupStore.mu guards it.
type releaseAnswers struct {
	last  map[string]pastAnswer // by token
	order []string              // the tokens in the order of their first answers
}

// addAnswer stores the answer for a token.
func (r *releaseAnswers) addAnswer(token string, invalid bool, at time.Time) {
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

// countSince counts the tokens that were answered within releaseAge and after a
// time, and those of them that were invalid.
func (r *releaseAnswers) countSince(after, now time.Time) (invalid, all int) {
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

// dependsOnRelease reports whether a faulty release of the app can be the reason why FCM
// does not know the tokens of the group. FCM creates registration tokens, but apps
// create their installation ids.
func (g tokenGroup) dependsOnRelease() bool { return g.young && g.kind == push.KindFID }

// isSuspicionValid reports whether a suspicion still counts.
func isSuspicionValid(s store.Suspicion, now time.Time) bool {
	return !s.At.IsZero() && now.Sub(s.At) <= releaseAge
}

// addReleaseAnswer adds FCM's answer for a young installation id.
func (g *groupStore) addReleaseAnswer(t push.Target, invalid bool, now time.Time) {
	if key := groupOf(t); key.dependsOnRelease() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.groupLocked(key).releases.addAnswer(t.Token, invalid, now)
	}
}

// countReleaseAnswers counts the group's answers after a time.
func (g *groupStore) countReleaseAnswers(key tokenGroup, after, now time.Time) (invalid, all int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.groupLocked(key).releases.countSince(after, now)
}

// addReleaseEvidence adds what is known about the release of a part. It returns the stored
// suspicion.
func (d *delivery) addReleaseEvidence(ctx context.Context, p *heldPart) store.Suspicion {
	a := &p.answers
	if !a.group.dependsOnRelease() {
		return store.Suspicion{}
	}

	recorded, err := d.Store.ReadSuspicion(ctx, a.group.storedName())
	if err != nil {
		d.Log.WarnContext(ctx, "suspicion not read", "mailing", d.mailing.ID, "batch", d.batch.Batch, "error", err)
	}
	a.suspected = err != nil || isSuspicionValid(recorded, d.Now())
	a.youngInvalid, a.youngAnswered = d.groups.countReleaseAnswers(a.group, recorded.Cleared, d.Now())
	for i, target := range p.targets {
		a.early = a.early || a.invalid[i] && d.Now().Sub(d.answeredAt(target)) < heldWait
	}

	return recorded
}

// saveSuspicion stores a suspicion that the call has found, or its end. A suspicion
// is stored again only in the second half of its time.
func (d *delivery) saveSuspicion(ctx context.Context, p *heldPart, decision tokenDecision, recorded store.Suspicion) {
	switch {
	case decision.cleared:
		recorded = store.Suspicion{Cleared: d.Now()}
	case decision.releaseSuspected && d.Now().Sub(recorded.At) > releaseAge/2:
		recorded.At = d.Now()
		d.Log.WarnContext(ctx, "release suspected", "mailing", d.mailing.ID, "platform", p.answers.group.platform, "app", p.answers.group.app,
			"invalid", p.answers.youngInvalid, "answered", p.answers.youngAnswered)
	default:
		return
	}

	if err := d.Store.SaveSuspicion(ctx, p.answers.group.storedName(), recorded); err != nil {
		d.Log.WarnContext(ctx, "suspicion not recorded", "mailing", d.mailing.ID, "error", err) // the next call finds it again
	}
}
