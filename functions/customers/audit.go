package customers

import (
	"context"
	"maps"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// pushDecisions are the decisions of a customer about push, as the audit log shows them.
type pushDecisions struct {
	OptedOut   bool            `json:"optedOut"`
	Categories map[string]bool `json:"categories,omitempty"`
}

// decisionsOf returns the decisions of a customer.
func decisionsOf(c *push.Customer) *pushDecisions {
	return &pushDecisions{OptedOut: c.OptedOut, Categories: maps.Clone(c.Categories)}
}

// readDecisions reads the decisions of a customer before a patch that changes them. It
// returns nil, without a read, if the patch changes none.
func (s *service) readDecisions(ctx context.Context, customer string, p push.CustomerPatch) (*pushDecisions, error) {
	if !p.ChangesDecisions() {
		return nil, nil
	}
	c, err := s.Store.ReadCustomer(ctx, customer)
	if push.IsNotFound(err) {
		return &pushDecisions{}, nil
	}
	if err != nil {
		return nil, err
	}
	return decisionsOf(c), nil
}

// auditDecisions logs the decisions of a customer before and after a change, if they
// differ.
func (s *service) auditDecisions(ctx context.Context, customer string, before *pushDecisions, c *push.Customer) {
	if before == nil {
		return
	}
	after := decisionsOf(c)
	if before.OptedOut == after.OptedOut && maps.Equal(before.Categories, after.Categories) {
		return
	}
	api.Audit(ctx, s.Log, api.Change{Operation: "change-customer", Customer: customer, Before: before, After: after})
}

// auditedImport is an import in the audit log.
type auditedImport struct {
	Imported int `json:"imported"`
	Failed   int `json:"failed"`
	Decided  int `json:"decided"` // lines that name optedOut or categories
}

// auditImport logs an import. decided is the number of its lines that decide about
// push.
func (s *service) auditImport(ctx context.Context, out *importOutput, decided int) {
	api.Audit(ctx, s.Log, api.Change{Operation: "import-customers", After: auditedImport{Imported: out.Body.Imported, Failed: out.Body.Failed, Decided: decided}})
}
