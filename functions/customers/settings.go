package customers

import (
	"cmp"
	"context"
	"encoding/json"

	"carillon.example/shared/push"
)

type settingsInput struct{ Body json.RawMessage }

// settingsOutput answers GET and PUT /v1/settings.
type settingsOutput struct{ Body push.Settings }

func (s *service) settings(ctx context.Context, _ *struct{}) (*settingsOutput, error) {
	set, err := s.Store.Settings(ctx)
	return &settingsOutput{set}, err
}

// setSettings stores the settings whole: what the body leaves out is the default.
func (s *service) setSettings(ctx context.Context, in *settingsInput) (*settingsOutput, error) {
	set, faults := s.choices.Read(in.Body)
	if len(faults) > 0 {
		return nil, faults
	}
	set.Muted = cmp.Or(set.Muted, push.MutedSend)
	return &settingsOutput{*set}, s.Store.SetSettings(ctx, *set)
}
