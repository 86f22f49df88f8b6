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

// decodeSettings returns the stored settings, with the defaults for fields that are not stored.
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

func (s *Store) settingsDocument() *firestore.DocumentRef { return s.db.Doc("settings/push") }

// ReadSettings reads the settings of mailings that have none of their own.
func (s *Store) ReadSettings(ctx context.Context) (push.Settings, error) {
	snap, err := s.settingsDocument().Get(ctx)
	if err != nil && !isNotFound(err) {
		return push.Settings{}, classifyError(err, "reading the settings")
	}
	return decodeSettings(snap)
}

// SaveSettings stores the settings, with the caller in ChangedBy, and returns them with their
// new revision and time. Mailings that start later use them. It returns
// *push.PreconditionFailed if the condition does not hold. The condition is checked in the
// transaction, so that no other change comes in between. Settings that were never stored have
// revision 0.
func (s *Store) SaveSettings(ctx context.Context, set push.Settings, condition *push.Precondition) (push.Settings, error) {
	w := newWriteID()
	err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		snap, err := tx.Get(s.settingsDocument())
		if err != nil && !isNotFound(err) {
			return err
		}
		was, err := decodeSettings(snap)
		if err != nil {
			return err
		}
		if w.changedLast(snap) {
			return errStored
		}
		if !condition.IsMetBy(true, was.Revision) {
			return &push.PreconditionFailed{What: "settings"}
		}

		now := s.currentTimestamp()
		set.Revision, set.ChangedAt = was.Revision+1, &now
		return tx.Set(s.settingsDocument(), settingsDoc{
			Devices: string(set.Devices), Muted: string(set.Muted), WrongSender: string(set.WrongSender), Window: encodeWindow(set.Window),
			ChangedBy: string(set.ChangedBy), ChangedAt: set.ChangedAt, Revision: set.Revision, Write: string(w),
		})
	})
	return set, classifyError(err, "storing the settings")
}
