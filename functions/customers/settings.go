package customers

import (
	"cmp"
	"context"
	"encoding/json"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

type settingsInput struct {
	Condition
	Body json.RawMessage
}

// settingsOutput answers GET and PUT /v1/settings.
type settingsOutput struct {
	ETag string `header:"ETag"`
	Body push.Settings
}

func (s *service) settings(ctx context.Context, _ *struct{}) (*settingsOutput, error) {
	set, err := s.Store.Settings(ctx)
	return &settingsOutput{push.ETag(set.Revision), set}, err
}

// setSettings stores the settings whole: what the body leaves out is the default.
func (s *service) setSettings(ctx context.Context, in *settingsInput) (*settingsOutput, error) {
	condition, err := in.parse()
	if err != nil {
		return nil, err
	}
	body, faults := s.choices.Read(in.Body)
	if len(faults) > 0 {
		return nil, faults
	}
	before, err := s.Store.Settings(ctx)
	if err != nil {
		return nil, err
	}

	body.Muted = cmp.Or(body.Muted, push.MutedSend)
	body.WrongSender = cmp.Or(body.WrongSender, push.WrongSenderFlag)
	set, err := s.Store.SetSettings(ctx, *body, condition)
	if err != nil {
		return nil, err
	}
	api.Audit(ctx, s.Log, api.Change{Operation: "change-settings", Before: before, After: set})
	return &settingsOutput{push.ETag(set.Revision), set}, nil
}
