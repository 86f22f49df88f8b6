package api

import (
	"context"
	"log/slog"

	"carillon.example/shared/push"
)

// auditMessage is the message of every line of the audit log.
const auditMessage = "audit"

// A Change is one change that a caller made, as the audit log records it.
type Change struct {
	Operation string // the OpenAPI operation id, as change-settings
	Mailing   string // id of the changed mailing; "": none
	Message   string // id of the message to one customer; "": none
	Customer  string // id of the changed customer, logged as a hash; "": none
	// Before and After are the changed value before and after the change, without
	// personal data. nil is left out of the line.
	Before, After any
}

// Audit writes the line of one change to the audit log: the caller of ctx, the
// operation and what changed. Call it once the change is stored.
func Audit(ctx context.Context, log *slog.Logger, c Change) {
	attrs := []slog.Attr{slog.String("caller", string(Caller(ctx))), slog.String("operation", c.Operation)}
	if c.Mailing != "" {
		attrs = append(attrs, slog.String("mailing", c.Mailing))
	}
	if c.Message != "" {
		attrs = append(attrs, slog.String("message_id", c.Message))
	}
	if c.Customer != "" {
		attrs = append(attrs, slog.String("customer", push.CustomerKey(c.Customer)))
	}
	if c.Before != nil {
		attrs = append(attrs, slog.Any("before", c.Before))
	}
	if c.After != nil {
		attrs = append(attrs, slog.Any("after", c.After))
	}

	log.LogAttrs(ctx, slog.LevelInfo, auditMessage, attrs...)
}
