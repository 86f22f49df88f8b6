package push

import (
	"cmp"
	"slices"
	"time"
)

// A Customer is one customer with all tokens.
type Customer struct {
	ID         string
	Tokens     []Token // in the order of their ids
	Segments   []string
	Attributes map[string]any
	OptedOut   bool            // wants no pushes at all
	Categories map[string]bool // false: unsubscribed from that category
	TimeZone   string
	Consents   []Consent // the newest decisions about OptedOut and Categories, in order
	Usage      Usage     // of apps that register by themselves
	Objected   bool      // OptedOut was kept when the customer was erased: an import does not lift it

	Version      int64        // increases with each change of availability or tokens; events have it
	Availability int64        // the version at which Reported last changed
	Reported     Availability // the state in the last event; none before the first
	Revision     int64        // increases with each write
	CreatedAt    time.Time
}

// DocumentKey returns the name of the document of the customer.
func (c *Customer) DocumentKey() string { return CustomerKey(c.ID) }

// HasValidToken reports whether the customer has a valid token.
func (c *Customer) HasValidToken() bool { return slices.ContainsFunc(c.Tokens, Token.Valid) }

// FindToken returns the token with that id.
func (c *Customer) FindToken(id string) (*Token, bool) {
	for i := range c.Tokens {
		if c.Tokens[i].ID == id {
			return &c.Tokens[i], true
		}
	}
	return nil, false
}

// LatestToken returns the valid token that was added last. If two were added at the same
// time, it is the one that was seen last, then the one with the greater id, so that
// the result is always the same.
func (c *Customer) LatestToken() (Token, bool) {
	var valid []Token
	for _, t := range c.Tokens {
		if t.Valid() {
			valid = append(valid, t)
		}
	}
	if len(valid) == 0 {
		return Token{}, false
	}
	return slices.MaxFunc(valid, func(a, b Token) int {
		return cmp.Or(a.AddedAt.Compare(b.AddedAt), a.SeenAt.Compare(b.SeenAt), cmp.Compare(a.ID, b.ID))
	}), true
}

// SelectTokens returns the valid tokens of a device selection, in the order of their ids.
func (c *Customer) SelectTokens(d DeviceSelection) []Token {
	if d == LatestDevice {
		if t, ok := c.LatestToken(); ok {
			return []Token{t}
		}
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Tokens), func(t Token) bool { return !t.Valid() })
}

// SelectFilteredTokens is like SelectTokens among the tokens that only allows.
func (c *Customer) SelectFilteredTokens(d DeviceSelection, only *Only) []Token {
	if only == nil {
		return c.SelectTokens(d)
	}
	allowed := *c
	allowed.Tokens = slices.DeleteFunc(slices.Clone(c.Tokens), func(t Token) bool { return !only.AllowsToken(t) })
	return allowed.SelectTokens(d)
}

// MakeTargets returns the targets of tokens of the customer at a time, with those of the
// customer's attributes that have these names.
func (c *Customer) MakeTargets(tokens []Token, attributes []string, now time.Time) []Target {
	var named map[string]any
	for _, name := range attributes {
		if v, ok := c.Attributes[name]; ok {
			if named == nil {
				named = map[string]any{}
			}
			named[name] = v
		}
	}

	targets := make([]Target, len(tokens))
	for i, t := range tokens {
		targets[i] = Target{Customer: c.ID, Token: t.Value, Kind: t.Kind, Platform: t.Platform, App: t.App, Young: t.IsYoung(now), Attributes: named}
	}

	return targets
}

// An Exclusion is the reason why a customer of the audience is left out.
type Exclusion string

// The exclusions. If several apply, a customer counts for the first of them in this
// order.
const (
	NotExcluded          Exclusion = ""
	ExcludedUnknown      Exclusion = "unknown"      // the id or token is not registered
	ExcludedNoValidToken Exclusion = "noValidToken" // cannot be reached
	ExcludedOptedOut     Exclusion = "optedOut"     // wants no pushes
	ExcludedUnsubscribed Exclusion = "category"     // wants none of this category
	ExcludedMuted        Exclusion = "muted"        // has notifications off everywhere, and the setting is to skip them
	ExcludedFiltered     Exclusion = "filtered"     // has valid tokens, but none of the platforms and apps that are wanted
	ExcludedControl      Exclusion = "control"      // is in the control group of the mailing
)

// ExclusionFrom returns why a mailing of that category leaves c out, NotExcluded if it does
// not.
func (c *Customer) ExclusionFrom(category string) Exclusion {
	if !c.HasValidToken() {
		return ExcludedNoValidToken
	}
	if c.OptedOut {
		return ExcludedOptedOut
	}
	if on, set := c.Categories[category]; category != "" && set && !on {
		return ExcludedUnsubscribed
	}
	return NotExcluded
}

// ExclusionWithMuted is like Exclude, and with MutedSkip it also leaves out customers who
// have notifications off on every phone.
func (c *Customer) ExclusionWithMuted(category string, muted MutedCustomers) Exclusion {
	why := c.ExclusionFrom(category)
	if why == NotExcluded && muted == MutedSkip && c.HasAllMuted() {
		return ExcludedMuted
	}
	return why
}
