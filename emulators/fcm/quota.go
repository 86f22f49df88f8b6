package fcm

import (
	"slices"
	"sync"
	"time"
)

// Shapes of a project's quota, for Settings.QuotaShape. Google documents that the minute
// is not aligned to the clock, and that a sender repeats after a 429 when Retry-After is
// over, or after 60 s without that header. Google does not document how the quota is
// counted. A sender has to work with each shape.
const (
	// QuotaMinuteRetryAfter is a minute that begins with its first send. Retry-After of
	// a 429 is the rest of the minute. It is the default.
	QuotaMinuteRetryAfter = "minute-retry-after"
	// QuotaMinute is the same minute, and a 429 has no Retry-After.
	QuotaMinute = "minute"
	// QuotaBucket is a bucket that holds the quota of a minute. It is full at the start
	// and is refilled steadily. A 429 has no Retry-After.
	QuotaBucket = "bucket"
)

var quotaShapes = []string{QuotaMinuteRetryAfter, QuotaMinute, QuotaBucket}

func knownShape(shape string) bool { return slices.Contains(quotaShapes, shape) }

// quotas counts sends by project. A send that is refused because of the quota does not
// count.
type quotas struct {
	mu       sync.Mutex // guards accounts and their fields
	accounts map[string]*account
}

// An account is what a project has used of its quota.
type account struct {
	at    time.Time // the end of a minute, or the time of level for a bucket
	used  int       // sends in the minute
	level float64   // sends that the bucket still has
}

// maxProjects limits the memory. Beyond it, the accounts of projects that have their
// whole quota again are dropped.
const maxProjects = 10_000

// countSend counts a send of a project with a quota of limit sends per minute. If the
// quota is used up, it returns false and the value of Retry-After; 0 means no such
// header.
func (q *quotas) countSend(project, shape string, limit int, now time.Time) (retryAfter time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a := q.accounts[project]
	if a == nil {
		a = q.openLocked(project, limit, now)
	}
	if shape == QuotaBucket {
		return 0, a.takeSend(limit, now)
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

// takeSend takes one send out of a bucket. It returns false if the bucket is empty.
func (a *account) takeSend(limit int, now time.Time) bool {
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

// openLocked begins the account of a project, with a minute that is over and a bucket
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
