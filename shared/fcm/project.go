package fcm

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"
)

// A Project is a Firebase project that a Sender sends to beside Config.Project. Each
// project has its own quota, rate and retries; all share the connections and the
// credentials.
type Project struct {
	ID             string
	QuotaPerMinute int   // 0: that of Config
	Peers          Peers // connects the senders of this project; nil: as in Config
}

// A project has what a Sender knows about one project. Sender.mu guards it.
type project struct {
	id         string
	request    *http.Request // the common part of its requests
	peers      Peers
	scheduler  scheduler
	holdReason string // why everything of it is held, if it is
	holdStatus int    // HTTP status of the answer that caused the hold
	exchanging bool   // an exchange with the peers is under way

	// foreign says that our account belongs to another project. Its requests name this
	// project as the one whose quota they use: Google counts them for the project of the
	// account otherwise, if it treats FCM as one of its client-based APIs.
	foreign     bool
	header      http.Header // of the requests of a foreign project: that of the access token, and the project
	headerToken int         // number of the access token in header
}

// headerLocked returns the header of requests to a project with the current access
// token. It is never changed.
func (s *Sender) headerLocked(p *project) http.Header {
	if !p.foreign {
		return s.credentials.header
	}
	if p.header == nil || p.headerToken != s.credentials.number {
		p.header, p.headerToken = s.credentials.header.Clone(), s.credentials.number
		p.header.Set("X-Goog-User-Project", p.id)
	}
	return p.header
}

// newProjects makes the projects of a sender: first that of the config, then the
// others.
func newProjects(c Config, t endpoint, now time.Time) ([]*project, error) {
	all := append([]Project{{ID: c.Project, QuotaPerMinute: c.QuotaPerMinute, Peers: c.Peers}}, c.Projects...)
	var out []*project
	known := map[string]bool{}
	for _, p := range all {
		if p.ID == "" || known[p.ID] {
			return nil, fmt.Errorf("fcm: the project %q is empty or given twice", p.ID)
		}
		known[p.ID] = true
		url := t.sendURL(p.ID)
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, http.NoBody)
		if err != nil {
			return nil, err
		}
		quota := cmp.Or(p.QuotaPerMinute, c.QuotaPerMinute)
		out = append(out, &project{id: p.ID, request: request, peers: p.Peers, foreign: p.ID != c.Own,
			scheduler: scheduler{queue: newQueue(), limiter: newLimiter(quota, c.MaxInstances, p.Peers == nil, now)}})
	}

	return out, nil
}

// projectOf returns a project by its id, nil if the sender does not have it. "" is
// the project of the config.
func (s *Sender) projectOf(id string) *project {
	if id == "" {
		return s.projects[0]
	}
	for _, p := range s.projects {
		if p.id == id {
			return p
		}
	}
	return nil
}

// waitReason returns why an item of the project is given back now.
func (p *project) waitReason(now time.Time) string {
	if p.scheduler.limiter.heldUntil().After(now) {
		return p.holdReason
	}
	return "its time ended"
}

// rateLocked returns how many messages a second all projects may send together.
func (s *Sender) rateLocked() (sum float64) {
	for _, p := range s.projects {
		sum += p.scheduler.limiter.rate()
	}
	return sum
}

// recordBlockedLocked records that messages wait for a connection: no project's rate
// shrinks because of it.
func (s *Sender) recordBlockedLocked() {
	for _, p := range s.projects {
		if p.scheduler.queue.length > 0 {
			p.scheduler.limiter.usage.blocked = true
		}
	}
}
