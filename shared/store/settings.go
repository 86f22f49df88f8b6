package store

import (
	"cmp"
	"context"

	"carillon.example/shared/push"
)

// Settings reads which devices a mailing goes to that does not say.
func (s *Store) Settings(ctx context.Context) (push.Devices, error) {
	snap, err := s.db.Doc("settings/push").Get(ctx)
	if missing(err) {
		return push.All, nil
	}
	if err != nil {
		return "", classify(err, "reading the settings")
	}
	d, _ := snap.Data()["devices"].(string)
	return cmp.Or(push.Devices(d), push.All), nil
}

// SetSettings stores it; the next mailing that starts goes by it.
func (s *Store) SetSettings(ctx context.Context, d push.Devices) error {
	_, err := s.db.Doc("settings/push").Set(ctx, map[string]any{"devices": string(d)})
	return classify(err, "storing the settings")
}
