package fcm

import (
	"sync"
	"time"
)

// quotas counts sends by project. A minute starts with the first send in it
// and is not aligned to the clock. Everything counts but what is refused here.
type quotas struct {
	mu      sync.Mutex
	windows map[string]*window
}

type window struct {
	ends time.Time
	used int
}

// maxProjects bounds the memory; beyond it windows that have ended go.
const maxProjects = 10_000

// take counts a send of a project, or says how long its minute still lasts.
func (q *quotas) take(project string, limit int, now time.Time) (wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.windows[project]
	if w == nil || !now.Before(w.ends) {
		w = q.open(project, now)
	}
	if w.used >= limit {
		return w.ends.Sub(now), false
	}
	w.used++
	return 0, true
}

func (q *quotas) open(project string, now time.Time) *window {
	if q.windows == nil {
		q.windows = map[string]*window{}
	}
	if len(q.windows) >= maxProjects {
		for name, w := range q.windows {
			if !now.Before(w.ends) {
				delete(q.windows, name)
			}
		}
	}
	w := &window{ends: now.Add(time.Minute)}
	q.windows[project] = w
	return w
}

// reset starts every project's minute anew.
func (q *quotas) reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.windows = nil
}
