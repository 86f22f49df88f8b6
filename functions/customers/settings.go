package customers

import (
	"context"
	"encoding/json"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// settingsBody is GET and PUT /v1/settings.
type settingsBody struct {
	Devices push.Devices `json:"devices" enum:"all,latest" doc:"which of a customer's tokens a mailing goes to that does not say"`
}

type settingsInput struct{ Body json.RawMessage }

type settingsOutput struct{ Body settingsBody }

func (s *service) settings(ctx context.Context, _ *struct{}) (*settingsOutput, error) {
	d, err := s.Store.Settings(ctx)
	return &settingsOutput{settingsBody{d}}, err
}

func (s *service) setSettings(ctx context.Context, in *settingsInput) (*settingsOutput, error) {
	b, faults := s.choices.Read(in.Body)
	if len(faults) > 0 {
		return nil, faults
	}
	before, err := s.Store.Settings(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.Store.SetSettings(ctx, b.Devices); err != nil {
		return nil, err
	}
	api.Audit(ctx, s.Log, api.Change{Operation: "change-settings", Before: settingsBody{before}, After: *b})
	return &settingsOutput{*b}, nil
}
