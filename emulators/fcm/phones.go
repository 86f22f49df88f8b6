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
	// Token is a registration token or installation id, exact or a pattern in
	// which * matches any text.
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

// check returns the faults of a phone, by field.
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

// withOverrides returns p with the fields that q sets.
func (p Phone) withOverrides(q Phone) Phone {
	if q.Platform != "" {
		p.Platform = q.Platform
	}
	if q.Notifications != "" {
		p.Notifications = q.Notifications
	}
	return p
}

// phones has the descriptions of phones: those of exact tokens in a map, and those of
// patterns in the order in which they were set.
type phones struct {
	any      atomic.Bool  // whether there is any description; a send checks it first, without the lock
	mu       sync.RWMutex // guards exact and patterns
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
			s.exact[p.Token] = old.withOverrides(p)
			continue
		}
		i := slices.IndexFunc(s.patterns, func(q Phone) bool { return q.Token == p.Token })
		if i >= 0 {
			p = s.patterns[i].withOverrides(p)
			s.patterns = slices.Delete(s.patterns, i, i+1)
		}
		s.patterns = append(s.patterns, p)
	}

	s.any.Store(true)
}

// describeToken returns the description of a token. A later pattern overrides an earlier
// one, and a description of the token alone overrides all patterns.
func (s *phones) describeToken(token string) Phone {
	if !s.any.Load() {
		return Phone{Token: token}
	}

	s.mu.RLock()
	defer s.mu.RUnlock()

	p := Phone{Token: token}
	for _, q := range s.patterns {
		if matchesPattern(q.Token, token) {
			p = p.withOverrides(q)
		}
	}
	return p.withOverrides(s.exact[token])
}

// list returns the patterns in their order, then the exact tokens, sorted.
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
	s.publishEvent(EventChanged, "", nil)
	return nil
}

// Phones returns the descriptions of phones: patterns in their order, then exact tokens.
func (s *Server) Phones() []Phone { return s.phones.list() }

// ClearPhones deletes all descriptions of phones.
func (s *Server) ClearPhones() {
	s.phones.clear()
	s.publishEvent(EventChanged, "", nil)
}
