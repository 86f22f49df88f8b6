package mailings

import (
	"context"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// auditChange records in the audit log that the caller of ctx changed a mailing.
func (s *service) auditChange(ctx context.Context, operation, id string, before, after any) {
	api.Audit(ctx, s.Log, api.Change{Operation: operation, Mailing: id, Before: before, After: after})
}

// auditedState is the state of a mailing in the audit log.
type auditedState struct {
	State push.State `json:"state"`
}

// auditedDraft is a draft in the audit log: without texts, which may name a person,
// and without the listed customers and tokens.
type auditedDraft struct {
	State         push.State           `json:"state"`
	Audience      string               `json:"audience"` // the field that is set
	Listed        int                  `json:"listed,omitempty"`
	Segments      *push.Segments       `json:"segments,omitempty"`
	Devices       push.DeviceSelection `json:"devices,omitempty"`
	Category      string               `json:"category,omitempty"`
	RatePerMinute int                  `json:"ratePerMinute,omitempty"`
	DryRun        bool                 `json:"dryRun,omitempty"`
}

// newAuditedDraft returns what the audit log has of the draft of a mailing.
func newAuditedDraft(m *push.Mailing) auditedDraft {
	d := auditedDraft{State: m.State, Segments: m.Audience.Segments, Devices: m.Devices, Category: m.Category, RatePerMinute: m.RateLimit(), DryRun: m.DryRun}
	switch a := m.Audience; {
	case a.Everyone:
		d.Audience = "everyone"
	case a.Segments != nil:
		d.Audience = "segments"
	case a.Customers != nil:
		d.Audience, d.Listed = "customers", len(a.Customers)
	default:
		d.Audience, d.Listed = "tokens", len(a.Tokens)
	}
	return d
}

// changeState lets f change the state of a mailing by hand, logs the change and
// returns the mailing. It reads the mailing first, because the audit log has the
// state before.
func (s *service) changeState(ctx context.Context, id, what string, f func(context.Context, string) (*push.Mailing, error)) (*push.Mailing, error) {
	before, err := s.Store.ReadMailingHeader(ctx, id)
	if err != nil {
		return nil, err
	}

	m, err := f(ctx, id)
	if err != nil {
		return nil, err
	}

	s.Log.InfoContext(ctx, "mailing state", "mailing", m.ID, "to", m.State, "reason", what+" by hand")
	if before.State != m.State {
		s.auditChange(ctx, what+"-mailing", m.ID, auditedState{before.State}, auditedState{m.State})
	}
	return m, nil
}
