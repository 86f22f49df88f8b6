package store

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// settingsDoc is settings/push.
type settingsDoc struct {
	Devices     string `firestore:"devices"`
	Muted       string `firestore:"muted,omitempty"`
	WrongSender string `firestore:"wrongSender,omitempty"`
	Window      string `firestore:"window,omitempty"` // JSON

	ChangedBy string     `firestore:"changedBy,omitempty"`
	ChangedAt *time.Time `firestore:"changedAt"`

	Revision int64  `firestore:"revision"`
	Write    string `firestore:"write"` // the writeID of the last change
}

// decodeSettings is what a snapshot says, and the default where it says nothing.
func decodeSettings(snap *firestore.DocumentSnapshot) (push.Settings, error) {
	set := push.DefaultSettings()
	if !snap.Exists() {
		return set, nil
	}
	var d settingsDoc
	if err := snap.DataTo(&d); err != nil {
		return push.Settings{}, fmt.Errorf("decoding the settings: %w", err)
	}
	set.Devices = cmp.Or(push.DeviceSelection(d.Devices), set.Devices)
	set.Muted = cmp.Or(push.MutedCustomers(d.Muted), set.Muted)
	set.WrongSender = cmp.Or(push.WrongSenderTokens(d.WrongSender), set.WrongSender)
	var err error
	if set.Window, err = decodeWindow(d.Window); err != nil {
		return push.Settings{}, fmt.Errorf("decoding the window of the settings: %w", err)
	}
	set.Revision, set.ChangedBy, set.ChangedAt = d.Revision, push.Caller(d.ChangedBy), d.ChangedAt
	return set, nil
}

func (s *Store) settings() *firestore.DocumentRef { return s.db.Doc("settings/push") }

// Settings reads the choices that hold for mailings that do not say otherwise.
func (s *Store) Settings(ctx context.Context) (push.Settings, error) {
	snap, err := s.settings().Get(ctx)
	if err != nil && !missing(err) {
		return push.Settings{}, classify(err, "reading the settings")
	}
	return decodeSettings(snap)
}

// SetSettings stores the settings, with who changed them in ChangedBy, and answers
// them with their new revision and time. A mailing that starts later uses them.
// The answer is *push.PreconditionFailed where the condition does not hold;
// settings that were never stored have revision 0.
func (s *Store) SetSettings(ctx context.Context, set push.Settings, condition *push.Precondition) (push.Settings, error) {
	w := newWriteID()
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.settings())
		if err != nil && !missing(err) {
			return err
		}
		was, err := decodeSettings(snap)
		if err != nil {
			return err
		}
		if w.in(snap) {
			return errStored
		}
		if !condition.IsMetBy(true, was.Revision) {
			return &push.PreconditionFailed{What: "settings"}
		}

		now := s.timestamp()
		set.Revision, set.ChangedAt = was.Revision+1, &now
		return tx.Set(s.settings(), settingsDoc{
			Devices: string(set.Devices), Muted: string(set.Muted), WrongSender: string(set.WrongSender), Window: encodeWindow(set.Window),
			ChangedBy: string(set.ChangedBy), ChangedAt: set.ChangedAt, Revision: set.Revision, Write: string(w),
		})
	})
	return set, classify(err, "storing the settings")
}
