package customers

import (
	"cmp"
	"context"
	"encoding/json"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// settingsInput is PUT /v1/settings.
type settingsInput struct {
	Condition
	Body json.RawMessage
}

// settingsOutput answers GET and PUT /v1/settings.
type settingsOutput struct {
	ETag string `header:"ETag"`
	Body push.Settings
}

// showSettings answers GET /v1/settings.
func (s *service) showSettings(ctx context.Context, _ *struct{}) (*settingsOutput, error) {
	set, err := s.Store.ReadSettings(ctx)
	return &settingsOutput{push.ETag(set.Revision), set}, err
}

// changeSettings replaces all settings: what the body leaves out gets its default.
func (s *service) changeSettings(ctx context.Context, in *settingsInput) (*settingsOutput, error) {
	condition, err := in.parseMatch()
	if err != nil {
		return nil, err
	}
	body, faults := s.choices.Read(in.Body)
	if body.Window != nil {
		var wrong push.Faults
		body.Window.Check(&wrong, "body.window")
		faults = api.Join(faults, wrong...)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	before, err := s.Store.ReadSettings(ctx)
	if err != nil {
		return nil, err
	}

	body.Muted = cmp.Or(body.Muted, push.MutedSend)
	body.WrongSender = cmp.Or(body.WrongSender, push.WrongSenderFlag)
	body.ChangedBy = api.Caller(ctx)
	set, err := s.Store.SaveSettings(ctx, *body, condition)
	if err != nil {
		return nil, err
	}
	api.Audit(ctx, s.Log, api.Change{Operation: "change-settings", Before: newAuditedSettings(before), After: newAuditedSettings(set)})
	return &settingsOutput{push.ETag(set.Revision), set}, nil
}

// auditedSettings are the settings as the audit log shows them. The line of the log itself
// says who changed them, and when.
type auditedSettings struct {
	Revision    int64
	Devices     push.DeviceSelection
	Muted       push.MutedCustomers
	WrongSender push.WrongSenderTokens
	Window      string
}

// newAuditedSettings returns what the audit log has of settings.
func newAuditedSettings(s push.Settings) auditedSettings {
	return auditedSettings{s.Revision, s.Devices, s.Muted, s.WrongSender, s.Window.String()}
}
