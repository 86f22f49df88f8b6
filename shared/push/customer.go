package push

import (
	"cmp"
	"slices"
	"time"
)

// A Customer is one member of the programme with all devices.
type Customer struct {
	ID         string
	Tokens     []Token // in the order of their ids
	Segments   []string
	Attributes map[string]any
	OptedOut   bool            // wants no pushes at all
	Categories map[string]bool // false: unsubscribed from that category
	TimeZone   string
	Consents   []Consent // the newest decisions on OptedOut and Categories, in their order
	Usage      Usage     // of apps that register by themselves
	Objected   bool      // OptedOut was kept over an erasure: an import does not lift it

	Version      int64        // grows with every change of reachability or tokens; events carry it
	Availability int64        // the version at which Reported last changed
	Reported     Availability // the state that was told last; none until the first
	Revision     int64        // grows with every write
	CreatedAt    time.Time
}

// Key is the name of the customer's document.
func (c *Customer) Key() string { return CustomerKey(c.ID) }

// Reachable reports whether the customer has a valid token.
func (c *Customer) Reachable() bool { return slices.ContainsFunc(c.Tokens, Token.Valid) }

// Token returns the token with that id.
func (c *Customer) Token(id string) (*Token, bool) {
	for i := range c.Tokens {
		if c.Tokens[i].ID == id {
			return &c.Tokens[i], true
		}
	}
	return nil, false
}

// Latest returns the most recently added of the valid tokens. Of two added in
// the same instant the one seen last wins, then the one with the greater id, so
// that everybody who asks gets the same answer.
func (c *Customer) Latest() (Token, bool) {
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

// Select returns the valid tokens a mailing for d goes to, in the order of
// their ids.
func (c *Customer) Select(d DeviceSelection) []Token {
	if d == LatestDevice {
		if t, ok := c.Latest(); ok {
			return []Token{t}
		}
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.Tokens), func(t Token) bool { return !t.Valid() })
}

// An Exclusion is why a customer of the audience is not rung.
type Exclusion string

// Why a customer is left out. A customer whom several reasons concern counts
// for the first of them in this order.
const (
	NotExcluded  Exclusion = ""
	Unknown      Exclusion = "unknown"      // an id or token nobody registered
	NoValidToken Exclusion = "noValidToken" // cannot be reached
	OptedOut     Exclusion = "optedOut"     // wants no pushes
	Unsubscribed Exclusion = "category"     // wants none of this category
	Muted        Exclusion = "muted"        // has notifications off everywhere, and the setting is to skip them
)

// Exclude says whether and why a mailing of that category leaves c out.
func (c *Customer) Exclude(category string) Exclusion {
	if !c.Reachable() {
		return NoValidToken
	}
	if c.OptedOut {
		return OptedOut
	}
	if on, set := c.Categories[category]; category != "" && set && !on {
		return Unsubscribed
	}
	return NotExcluded
}

// ExcludeMuted is Exclude under a setting: with MutedSkip it also leaves out who
// has notifications off on every phone.
func (c *Customer) ExcludeMuted(category string, muted MutedCustomers) Exclusion {
	why := c.Exclude(category)
	if why == NotExcluded && muted == MutedSkip && c.Muted() {
		return Muted
	}
	return why
}
