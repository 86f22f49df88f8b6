package fcm

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is a rule: what a send to a token is answered with.
type Outcome struct {
	// Token is a registration token or installation id, exact or as a pattern
	// in which * stands for any text. Topics are addressed as /topics/NAME.
	Token string
	// Outcome is one of Outcomes().
	Outcome string
	// Times is how often the rule holds; 0: always.
	Times int
	// RetryAfter is sent as a header, rounded up to seconds; 0: none.
	RetryAfter time.Duration
	// Latency is added to that of the settings; 0: none, for SLOW
	// Settings.Slow.
	Latency time.Duration
	// Share is how many of the sends the rule holds for, from 0 to 1; 0: all.
	// The others go by the rules before it. What speaks of a token is drawn by
	// token, the rest by request.
	Share float64
}

// Outcomes that are no error bodies.
const (
	// OK accepts, whatever the token looks like and chaos has drawn.
	OK = "OK"
	// SLOW accepts, late.
	SLOW = "SLOW"
	// HANG answers nothing until the client gives up.
	HANG = "HANG"
	// RESET breaks the stream (HTTP/2) or the connection (HTTP/1.1).
	RESET = "RESET"
	// UnavailableDelivered answers 503 and delivers all the same, as FCM
	// sometimes does.
	UnavailableDelivered = "UNAVAILABLE_DELIVERED"
	// HangDelivered delivers and answers nothing until the client gives up.
	HangDelivered = "HANG_DELIVERED"
	// ResetDelivered delivers and breaks what carries the request before its
	// answer: like HangDelivered an answer lost on the wire.
	ResetDelivered = "RESET_DELIVERED"
)

// silently are the outcomes that deliver and do not say so.
var silently = map[string]bool{UnavailableDelivered: true, HangDelivered: true, ResetDelivered: true}

// aboutToken are the outcomes that speak of a token. They need a valid payload,
// as with FCM; a pattern does not give them to a topic; and chaos draws them by
// token, since a invalid token does not come back to life.
var aboutToken = map[string]bool{
	"UNREGISTERED": true, "UNREGISTERED_SEED": true, "INVALID_TOKEN": true, "INVALID_TOKEN_BARE": true,
	"INVALID_TOKEN_OLD": true, "SENDER_ID_MISMATCH": true,
}

// Outcomes lists the names a rule may give, sorted.
func Outcomes() []string {
	names := []string{OK, SLOW, HANG, RESET, UnavailableDelivered, HangDelivered, ResetDelivered}
	for name := range answers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func known(outcome string) bool {
	switch outcome {
	case OK, SLOW, HANG, RESET, UnavailableDelivered, HangDelivered, ResetDelivered:
		return true
	}
	return answers[outcome] != nil
}

// check returns what is wrong with a rule, by field.
func (o Outcome) check() faults {
	var faults faults
	if o.Token == "" {
		faults = append(faults, fault{"token", "must be a token or a pattern"})
	}
	if !known(o.Outcome) {
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

// rule is an outcome that has been set.
type rule struct {
	Outcome
	order   uint64 // the later one wins
	left    int    // of Times
	pattern bool
}

func (r *rule) spent() bool { return r.Times > 0 && r.left == 0 }

// rules holds the outcomes: those of one token in a map, so that a hundred
// thousand cost a send nothing, and the patterns in a list.
type rules struct {
	any      atomic.Bool // whether there is any rule
	mu       sync.Mutex
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
			s.patterns = append(without(s.patterns, r), r)
		} else {
			s.exact[o.Token] = append(without(s.exact[o.Token], r), r)
		}
	}

	s.any.Store(true)
}

// without drops what can never win again once r is set: rules that are spent,
// and all for the same tokens if r always holds. A share takes the place of
// another of the same outcome.
func without(all []*rule, r *rule) []*rule {
	return slices.DeleteFunc(all, func(old *rule) bool {
		replaced := r.Times == 0 && old.Token == r.Token &&
			(r.Share == 0 || old.Share > 0 && old.Outcome.Outcome == r.Outcome.Outcome)
		return old.spent() || replaced
	})
}

func (s *rules) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exact, s.patterns = nil, nil
	s.any.Store(false)
}

// take finds the latest rule for an address that fits, and uses it up once.
func (s *rules) take(address string, fits func(*rule) bool) (Outcome, bool) {
	if !s.any.Load() {
		return Outcome{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	best := latest(s.exact[address], fits)
	if p := latest(s.patterns, func(r *rule) bool { return matches(r.Token, address) && fits(r) }); p != nil &&
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

func latest(all []*rule, fits func(*rule) bool) *rule {
	for _, r := range slices.Backward(all) {
		if !r.spent() && fits(r) {
			return r
		}
	}
	return nil
}

// list returns the rules that still hold, in the order they were set, each
// with the times it has left.
func (s *rules) list() []Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Clone(s.patterns)
	for _, rs := range s.exact {
		all = append(all, rs...)
	}

	all = slices.DeleteFunc(all, (*rule).spent)
	slices.SortFunc(all, func(a, b *rule) int { return int(a.order) - int(b.order) })
	out := make([]Outcome, len(all))
	for i, r := range all {
		out[i] = r.Outcome
		out[i].Times = r.left
	}

	return out
}

// matches reports whether text fits a pattern in which * stands for any text.
func matches(pattern, text string) bool {
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
