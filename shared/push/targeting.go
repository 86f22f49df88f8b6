package push

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
)

// A Targeting decides which tokens of a customer a mailing or a message goes to.
type Targeting struct {
	Mailing      string // its id: the control group of each mailing is another one
	Category     string
	Devices      DeviceSelection
	Muted        MutedCustomers
	Only         *Only     // nil: every platform and app
	ControlGroup float64   // share of the customers who get nothing, 0 to MaxControlGroup
	Shares       []float64 // of the variants; nil without variants
}

// TargetingOf returns the targeting of a mailing. The settings decide what the mailing
// leaves open.
func TargetingOf(m *Mailing, set Settings) *Targeting {
	return &Targeting{
		Mailing: m.ID, Category: m.Category, Devices: cmp.Or(m.Selection, m.Devices, set.Devices), Muted: set.Muted,
		Only: m.Only, ControlGroup: m.ControlGroup, Shares: m.variantShares(),
	}
}

// SelectTokens returns the valid tokens of a customer that the mailing goes to, or the first
// reason why it leaves the customer out, in the order of the exclusions. A nil
// customer is unknown. If the audience lists tokens, listed has the ids of those that
// are the customer's, and the device selection does not count; else it is nil.
func (g *Targeting) SelectTokens(c *Customer, listed []string) ([]Token, Exclusion) {
	if c == nil {
		return nil, ExcludedUnknown
	}
	if why := c.ExclusionWithMuted(g.Category, g.Muted); why != NotExcluded {
		return nil, why
	}

	tokens := g.wantedTokens(c, listed)
	switch {
	case len(tokens) == 0 && g.Only != nil:
		return nil, ExcludedFiltered
	case len(tokens) == 0:
		return nil, ExcludedNoValidToken
	case g.InControlGroup(c.ID):
		return nil, ExcludedControl
	}

	return tokens, NotExcluded
}

// wantedTokens returns the valid tokens that the device selection, or the list of the
// audience, and the filter choose.
func (g *Targeting) wantedTokens(c *Customer, listed []string) []Token {
	if listed == nil {
		return c.SelectFilteredTokens(g.Devices, g.Only)
	}
	var out []Token
	for _, id := range listed {
		if t, ok := c.FindToken(id); ok && t.Valid() && g.Only.AllowsToken(*t) {
			out = append(out, *t)
		}
	}
	return out
}

// InControlGroup reports whether a customer is in the control group. It is a hash of
// mailing and customer, so that every try decides the same, and each mailing has
// another control group.
func (g *Targeting) InControlGroup(customer string) bool {
	return g.ControlGroup > 0 && shareOf(g.Mailing, "control", customer) < g.ControlGroup
}

// shareOf returns a number from 0 to below 1 that is the same for the same mailing,
// purpose and customer, and evenly spread over customers.
func shareOf(mailing, purpose, customer string) float64 {
	sum := sha256.Sum256([]byte(mailing + "\x00" + purpose + "\x00" + customer))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}
