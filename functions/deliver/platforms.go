package deliver

import (
	"context"
	"slices"
	"sync"
	"time"

	"carillon.example/shared/push"
)

const (
	// platformDownAfter is how many answers in a row must say that Apple, or a
	// browser's push service, refuses the credentials of an app. From then on the
	// app's tokens of that platform wait and do not fail.
	platformDownAfter = 10
	// platformWait is how long they wait before one of them is tried again.
	platformWait = time.Minute
)

// A platformKey identifies credentials in the Firebase project.
type platformKey struct {
	platform push.Platform
	app      string
}

// platformOf returns the credentials that a target depends on.
func platformOf(t push.Target) platformKey { return platformKey{t.Platform, t.App} }

// platformHealth counts, by platform and app, the answers in a row that refuse the
// credentials. It is safe for concurrent use.
type platformHealth struct {
	mu      sync.Mutex // guards refused
	refused map[platformKey]int
}

func newPlatformHealth() *platformHealth { return &platformHealth{refused: map[platformKey]int{}} }

// countAnswer counts an answer of the platform's push service: whether it refused the
// credentials.
func (p *platformHealth) countAnswer(key platformKey, refused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if refused {
		p.refused[key]++
		return
	}
	delete(p.refused, key)
}

// isDown reports whether the platform refuses the app's credentials.
func (p *platformHealth) isDown(key platformKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refused[key] >= platformDownAfter
}

// postponeForPlatform reports whether a target waits because its platform is down, and stores
// when it may be sent. Each call tries one target of each platform.
func (l *sendLoop) postponeForPlatform(target int) bool {
	key := platformOf(l.batch.Targets[target])
	if !l.platforms.isDown(key) {
		return false
	}
	if !l.triedPlatforms[key] {
		l.triedPlatforms[key] = true
		return false
	}
	l.due[target] = l.Now().Add(platformWait)
	return true
}

// resolvePlatforms decides about the targets whose platform refused the app's
// credentials: they wait if it refuses all, else they have failed. The mailing lists
// the platforms that wait; the others go on.
func (d *delivery) resolvePlatforms(ctx context.Context) error {
	down := map[push.Platform]string{} // what FCM said
	up := map[push.Platform]bool{}
	for _, a := range d.refusedByPlatform {
		t := d.batch.Targets[a.target]
		if !d.platforms.isDown(platformOf(t)) {
			d.setResultWithReason(a.target, push.ResultFailed, a.Text)
			continue
		}
		down[t.Platform] = a.Text
		d.due[a.target] = d.Now().Add(platformWait)
	}

	for _, o := range d.observed {
		up[d.batch.Targets[o.target].Platform] = true
	}

	for platform, text := range down {
		if slices.Contains(d.mailing.PausedPlatforms, platform) {
			continue
		}
		if err := d.Store.SetPlatformPaused(ctx, d.mailing.ID, platform, true); err != nil {
			return err
		}
		d.Log.ErrorContext(ctx, "platform paused", "mailing", d.mailing.ID, "platform", platform, "detail", text)
	}

	for _, platform := range d.mailing.PausedPlatforms {
		if _, isDown := down[platform]; isDown || !up[platform] {
			continue
		}
		if err := d.Store.SetPlatformPaused(ctx, d.mailing.ID, platform, false); err != nil {
			return err
		}
		d.Log.InfoContext(ctx, "platform resumed", "mailing", d.mailing.ID, "platform", platform)
	}

	return nil
}
