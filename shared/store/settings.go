package store

import (
	"cmp"
	"context"

	"carillon.example/shared/push"
)

// settingsDoc is settings/push.
type settingsDoc struct {
	Devices string `firestore:"devices"`
	Muted   string `firestore:"muted,omitempty"`
}

// Settings reads the choices that hold for mailings that do not say otherwise.
func (s *Store) Settings(ctx context.Context) (push.Settings, error) {
	set := push.DefaultSettings()
	snap, err := s.db.Doc("settings/push").Get(ctx)
	if missing(err) {
		return set, nil
	}
	if err != nil {
		return push.Settings{}, classify(err, "reading the settings")
	}

	var d settingsDoc
	if err := snap.DataTo(&d); err != nil {
		return push.Settings{}, classify(err, "decoding the settings")
	}
	set.Devices = cmp.Or(push.Devices(d.Devices), set.Devices)
	set.Muted = cmp.Or(push.MutedCustomers(d.Muted), set.Muted)
	return set, nil
}

// SetSettings stores them; the next mailing that starts goes by them.
func (s *Store) SetSettings(ctx context.Context, set push.Settings) error {
	_, err := s.db.Doc("settings/push").Set(ctx, settingsDoc{string(set.Devices), string(set.Muted)})
	return classify(err, "storing the settings")
}
