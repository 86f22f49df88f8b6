package fcm

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A Phone describes the phones whose token or installation id matches.
type Phone struct {
	// Token is a registration token or installation id, exact or as a pattern
	// in which * stands for any text.
	Token string `json:"token"`
	// Platform is android, ios or web; "": unknown. It decides which of
	// Settings.Outages apply to the phone.
	Platform string `json:"platform,omitempty"`
	// Notifications is on or off; "": unknown. A message to a phone with
	// notifications off is accepted and not shown, because FCM does not know.
	Notifications string `json:"notifications,omitempty"`
}

// Platforms of a Phone.
const (
	Android = "android"
	IOS     = "ios"
	Web     = "web"
)

const (
	notificationsOn  = "on"
	notificationsOff = "off"
)

// check returns what is wrong with a phone, by field.
func (p Phone) check() faults {
	var f faults
	if p.Token == "" {
		f = append(f, fault{"token", "must be a token or a pattern"})
	}
	if !slices.Contains([]string{"", Android, IOS, Web}, p.Platform) {
		f = append(f, fault{"platform", "must be android, ios or web"})
	}
	if !slices.Contains([]string{"", notificationsOn, notificationsOff}, p.Notifications) {
		f = append(f, fault{"notifications", "must be on or off"})
	}
	return f
}

// over is p with what q says laid over it.
func (p Phone) over(q Phone) Phone {
	if q.Platform != "" {
		p.Platform = q.Platform
	}
	if q.Notifications != "" {
		p.Notifications = q.Notifications
	}
	return p
}

// phones holds what is known of phones: of exact tokens in a map, of patterns
// in the order in which they were set.
type phones struct {
	any      atomic.Bool // whether anything is known; a send looks here first
	mu       sync.RWMutex
	exact    map[string]Phone
	patterns []Phone
}

func (s *phones) set(all []Phone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exact == nil {
		s.exact = map[string]Phone{}
	}

	for _, p := range all {
		if !strings.Contains(p.Token, "*") {
			old := s.exact[p.Token]
			old.Token = p.Token
			s.exact[p.Token] = old.over(p)
			continue
		}
		i := slices.IndexFunc(s.patterns, func(q Phone) bool { return q.Token == p.Token })
		if i >= 0 {
			p = s.patterns[i].over(p)
			s.patterns = slices.Delete(s.patterns, i, i+1)
		}
		s.patterns = append(s.patterns, p)
	}

	s.any.Store(true)
}

// of returns what is known of a token: what was said of it alone wins over
// patterns, and of those the latest.
func (s *phones) of(token string) Phone {
	if !s.any.Load() {
		return Phone{Token: token}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := Phone{Token: token}
	for _, q := range s.patterns {
		if matches(q.Token, token) {
			p = p.over(q)
		}
	}
	return p.over(s.exact[token])
}

// list returns the patterns in their order, then what is known of single
// tokens, by token.
func (s *phones) list() []Phone {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := slices.Clone(s.patterns)
	for _, token := range slices.Sorted(maps.Keys(s.exact)) {
		out = append(out, s.exact[token])
	}
	return out
}

func (s *phones) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exact, s.patterns = nil, nil
	s.any.Store(false)
}

// SetPhones describes phones. If one of them has a fault, it changes nothing and returns
// every fault. Empty fields of a Phone change nothing.
func (s *Server) SetPhones(all ...Phone) error {
	if err := checkAll("setting phones", all); err != nil {
		return err
	}
	s.phones.set(all)
	s.tell(EventChanged, "", nil)
	return nil
}

// Phones returns the descriptions of phones: patterns in their order, then exact tokens.
func (s *Server) Phones() []Phone { return s.phones.list() }

// ClearPhones deletes all descriptions of phones.
func (s *Server) ClearPhones() {
	s.phones.clear()
	s.tell(EventChanged, "", nil)
}
