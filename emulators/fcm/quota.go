package fcm

import (
	"slices"
	"sync"
	"time"
)

// Shapes of a project's quota, for Settings.QuotaShape. Google documents that
// the minute is not aligned to the clock and that a 429 is to be repeated after
// Retry-After, else after 60 s; it does not say how the quota is counted. A
// sender has to do with each of these.
const (
	// QuotaMinuteRetryAfter is a minute that begins with its first send; a 429
	// says in Retry-After how long it still lasts. The default.
	QuotaMinuteRetryAfter = "minute-retry-after"
	// QuotaMinute is the same minute, and a 429 has no Retry-After.
	QuotaMinute = "minute"
	// QuotaBucket is a bucket that holds a minute's quota, begins full and is
	// refilled steadily; a 429 has no Retry-After.
	QuotaBucket = "bucket"
)

var quotaShapes = []string{QuotaMinuteRetryAfter, QuotaMinute, QuotaBucket}

func knownShape(shape string) bool { return slices.Contains(quotaShapes, shape) }

// quotas counts sends by project. Everything counts but what is refused here.
type quotas struct {
	mu       sync.Mutex
	accounts map[string]*account
}

// account is what a project has used of its quota.
type account struct {
	at    time.Time // a minute: when it ends; a bucket: when level was true
	used  int       // a minute's sends
	level float64   // sends left in a bucket
}

// maxProjects bounds the memory; beyond it the accounts of projects that have
// all of their quota again are dropped.
const maxProjects = 10_000

// take counts a send of a project with a quota of limit sends a minute. If the
// quota is used up it returns false, and what Retry-After is to say; 0: nothing.
func (q *quotas) take(project, shape string, limit int, now time.Time) (retryAfter time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.accounts[project]
	if a == nil {
		a = q.openLocked(project, limit, now)
	}
	if shape == QuotaBucket {
		return 0, a.draw(limit, now)
	}

	if !now.Before(a.at) {
		*a = account{at: now.Add(time.Minute)}
	}
	if a.used < limit {
		a.used++
		return 0, true
	}
	if shape == QuotaMinute {
		return 0, false
	}
	return a.at.Sub(now), false
}

// draw takes one send out of a bucket, if there is one.
func (a *account) draw(limit int, now time.Time) bool {
	if elapsed := now.Sub(a.at).Minutes(); elapsed > 0 {
		a.level = min(float64(limit), a.level+elapsed*float64(limit))
		a.at = now
	}
	if a.level < 1 {
		return false
	}
	a.level--
	return true
}

// openLocked begins a project's account: a minute that has ended, or a bucket
// that is full.
func (q *quotas) openLocked(project string, limit int, now time.Time) *account {
	if q.accounts == nil {
		q.accounts = map[string]*account{}
	}
	if len(q.accounts) >= maxProjects {
		for name, a := range q.accounts {
			if now.Sub(a.at) > time.Minute {
				delete(q.accounts, name)
			}
		}
	}
	a := &account{at: now, level: float64(limit)}
	q.accounts[project] = a
	return a
}

// reset gives every project its whole quota.
func (q *quotas) reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.accounts = nil
}
