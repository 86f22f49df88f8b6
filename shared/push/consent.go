package push

import (
	"maps"
	"slices"
	"time"
)

// MaxConsents is how many decisions of a customer are kept, the newest ones.
const MaxConsents = 100

// A Decision is what a customer wants.
type Decision string

// The decisions: to get no pushes, to get them, and that neither holds any more.
const (
	DecisionOut  Decision = "out"
	DecisionIn   Decision = "in"
	DecisionNone Decision = "none"
)

// SourceKept is the source of an opt-out that was kept when the customer was erased.
const SourceKept = "kept over an erasure"

// A Consent is one decision: what changed, when, and who reported it.
type Consent struct {
	Category string    `json:"category,omitempty" doc:"absent: all pushes"`
	Decision Decision  `json:"decision" enum:"out,in,none" doc:"opted out, opted in, or not decided any more"`
	At       time.Time `json:"at"`
	Source   string    `json:"source" doc:"the caller who reported it"`
}

// recordConsents adds to c a consent for each decision that differs from before, and keeps
// the newest MaxConsents.
func (c *Customer) recordConsents(before *Customer, at time.Time, source string) {
	note := func(category string, d Decision) {
		c.Consents = append(slices.Clip(c.Consents), Consent{category, d, at, source})
	}
	if c.OptedOut != before.OptedOut {
		note("", decisionOf(!c.OptedOut, true))
	}

	names := maps.Clone(before.Categories)
	if names == nil {
		names = map[string]bool{}
	}

	maps.Copy(names, c.Categories)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := before.Categories[name]
		is, has := c.Categories[name]
		if was != is || had != has {
			note(name, decisionOf(is, has))
		}
	}

	if n := len(c.Consents) - MaxConsents; n > 0 {
		c.Consents = c.Consents[n:]
	}
}

// decisionOf returns the decision for a value that may not be set.
func decisionOf(on, set bool) Decision {
	switch {
	case !set:
		return DecisionNone
	case on:
		return DecisionIn
	}
	return DecisionOut
}
