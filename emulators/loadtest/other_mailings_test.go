package loadtest

import (
	"testing"

	"carillon.example/emulators/client"
)

// TestCheckOneOfMany: only invalid tokens that another mailing has
// flagged before may be missing.
func TestCheckOneOfMany(t *testing.T) {
	t.Parallel()
	m := &Result{Customers: 10, Tokens: 14}
	const invalid = 2
	for name, c := range map[string]struct {
		matched, targeted, accepted int64
		faulty                      bool
	}{
		"all tokens":               {10, 14, 12, false},
		"invalid tokens missing":   {10, 12, 12, false},
		"a customer is missing":    {9, 14, 12, true},
		"a valid token is missing": {10, 14, 11, true},
		"one token too many":       {10, 15, 12, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var end client.Mailing
			end.Customers.Matched, end.Tokens.Targeted, end.Tokens.Accepted = c.matched, c.targeted, c.accepted
			if err := checkOneOfMany(&end, m, invalid); (err != nil) != c.faulty {
				t.Errorf("checkOneOfMany returned %v, want an error: %t", err, c.faulty)
			}
		})
	}
}
