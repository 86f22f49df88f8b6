package fcm

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is a rule for the answer to sends to a token.
type Outcome struct {
	// Token is a registration token or installation id, exact or a pattern in which
	// * matches any text. A topic is /topics/NAME.
	Token string
	// Project limits the rule to the sends of one project; "": all.
	Project string
	// Outcome is one of Outcomes().
	Outcome string
	// Times is how often the rule applies; 0: always.
	Times int
	// RetryAfter is sent as a header, rounded up to seconds; 0: none.
	RetryAfter time.Duration
	// Latency is added to that of the settings; 0: none, and Settings.Slow for
	// SLOW.
	Latency time.Duration
	// Share is the share of the sends that the rule applies to, from 0 to 1; 0: all.
	// Earlier rules apply to the other sends. For an outcome about a token the token
	// decides whether the rule applies; for any other outcome, each request.
	Share float64
}

// Outcomes without an error body.
const (
	// OK accepts the message, even if the token has an impossible form, and without
	// chaos.
	OK = "OK"
	// SLOW accepts the message after an additional latency.
	SLOW = "SLOW"
	// HANG sends no answer until the client disconnects.
	HANG = "HANG"
	// RESET breaks the stream (HTTP/2) or the connection (HTTP/1.1).
	RESET = "RESET"
	// UnavailableDelivered answers 503 and delivers the message, as FCM sometimes
	// does.
	UnavailableDelivered = "UNAVAILABLE_DELIVERED"
	// HangDelivered delivers the message and sends no answer until the client
	// disconnects.
	HangDelivered = "HANG_DELIVERED"
	// ResetDelivered delivers the message and breaks the stream or connection before
	// the answer, so that the answer is lost, as with HangDelivered.
	ResetDelivered = "RESET_DELIVERED"
)

// silently lists the outcomes that deliver the message although the sender gets an error
// or no answer.
var silently = map[string]bool{UnavailableDelivered: true, HangDelivered: true, ResetDelivered: true}

// aboutToken lists the outcomes about a token. They need a valid payload, as with FCM. A
// pattern does not apply them to a topic. Chaos draws them by token, because an invalid
// token stays invalid.
var aboutToken = map[string]bool{
	"UNREGISTERED": true, "UNREGISTERED_SEED": true, "INVALID_TOKEN": true, "INVALID_TOKEN_BARE": true,
	"INVALID_TOKEN_OLD": true, "SENDER_ID_MISMATCH": true,
}

// Outcomes returns the names of outcomes that a rule may have, sorted.
func Outcomes() []string {
	names := []string{OK, SLOW, HANG, RESET, UnavailableDelivered, HangDelivered, ResetDelivered}
	for name := range answers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func knownOutcome(outcome string) bool {
	switch outcome {
	case OK, SLOW, HANG, RESET, UnavailableDelivered, HangDelivered, ResetDelivered:
		return true
	}
	return answers[outcome] != nil
}

// check returns the faults of a rule, by field.
func (o Outcome) check() faults {
	var faults faults
	if o.Token == "" {
		faults = append(faults, fault{"token", "must be a token or a pattern"})
	}
	if !knownOutcome(o.Outcome) {
		faults = append(faults, fault{"outcome", fmt.Sprintf("unknown outcome %q; known are %s",
			o.Outcome, strings.Join(Outcomes(), ", "))})
	}
	if o.Times < 0 {
		faults = append(faults, fault{"times", "must not be negative"})
	}
	if !(o.Share >= 0 && o.Share <= 1) {
		faults = append(faults, fault{"share", "must be from 0 to 1"})
	}
	if o.RetryAfter < 0 {
		faults = append(faults, fault{"retryAfter", "must not be negative"})
	}
	if o.Latency < 0 {
		faults = append(faults, fault{"latency", "must not be negative"})
	}

	return faults
}

// rule is a stored Outcome.
type rule struct {
	Outcome
	order   uint64 // a higher order wins
	left    int    // of Times
	pattern bool
}

func (r *rule) usedUp() bool { return r.Times > 0 && r.left == 0 }

// rules has the outcomes: those of exact tokens in a map, so that a hundred thousand do not
// slow a send down, and the patterns in a list.
type rules struct {
	any      atomic.Bool // whether there is any rule; a send checks it first, without the lock
	mu       sync.Mutex  // guards the fields below, and left of each rule
	order    uint64
	exact    map[string][]*rule
	patterns []*rule
}

func (s *rules) set(outcomes []Outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exact == nil {
		s.exact = map[string][]*rule{}
	}

	for _, o := range outcomes {
		s.order++
		r := &rule{Outcome: o, order: s.order, left: o.Times, pattern: strings.Contains(o.Token, "*")}
		if r.pattern {
			s.patterns = append(withoutReplaced(s.patterns, r), r)
		} else {
			s.exact[o.Token] = append(withoutReplaced(s.exact[o.Token], r), r)
		}
	}

	s.any.Store(true)
}

// withoutReplaced removes the rules that can never apply again after r is set: rules
// without remaining times, and all for the same tokens and project if r always applies. A
// rule with a share replaces another one with the same outcome.
func withoutReplaced(all []*rule, r *rule) []*rule {
	return slices.DeleteFunc(all, func(old *rule) bool {
		replaced := r.Times == 0 && old.Token == r.Token && old.Project == r.Project &&
			(r.Share == 0 || old.Share > 0 && old.Outcome.Outcome == r.Outcome.Outcome)
		return old.usedUp() || replaced
	})
}

func (s *rules) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exact, s.patterns = nil, nil
	s.any.Store(false)
}

// applyLatest returns the latest rule that matches an address, and counts its use.
func (s *rules) applyLatest(address string, fits func(*rule) bool) (Outcome, bool) {
	if !s.any.Load() {
		return Outcome{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	best := latestRule(s.exact[address], fits)
	if p := latestRule(s.patterns, func(r *rule) bool { return matchesPattern(r.Token, address) && fits(r) }); p != nil &&
		(best == nil || p.order > best.order) {
		best = p
	}
	if best == nil {
		return Outcome{}, false
	}
	if best.Times > 0 {
		best.left--
	}

	return best.Outcome, true
}

func latestRule(all []*rule, fits func(*rule) bool) *rule {
	for _, r := range slices.Backward(all) {
		if !r.usedUp() && fits(r) {
			return r
		}
	}
	return nil
}

// list returns the rules that still apply, in the order in which they were set, each with
// its remaining times.
func (s *rules) list() []Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.patterns)
	for _, rs := range s.exact {
		all = append(all, rs...)
	}

	all = slices.DeleteFunc(all, (*rule).usedUp)
	slices.SortFunc(all, func(a, b *rule) int { return int(a.order) - int(b.order) })
	out := make([]Outcome, len(all))
	for i, r := range all {
		out[i] = r.Outcome
		out[i].Times = r.left
	}

	return out
}

// matchesPattern reports whether a text matches a pattern in which * matches any
// text.
func matchesPattern(pattern, text string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}

	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}

	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, p := range parts[:len(parts)-1] {
		i := strings.Index(text, p)
		if i < 0 {
			return false
		}
		text = text[i+len(p):]
	}

	return strings.HasSuffix(text, last)
}
