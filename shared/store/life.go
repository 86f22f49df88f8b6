package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// errUnchanged is returned by a change that leaves the mailing as it is.
var errUnchanged = errors.New("nothing to change")

// changeState changes the state of a mailing in one transaction; to makes the change,
// or returns errUnchanged, or an error that says why it is not possible. The transaction
// reads the mailing again, so that of two changes at the same time the second one sees the
// state of the first.
func (s *Store) changeState(ctx context.Context, id string, to func(*push.Mailing) error) (*push.Mailing, error) {
	m, err := s.updateMailing(ctx, id, func(m *push.Mailing, _ *firestore.Transaction) error { return to(m) })
	if errors.Is(err, errUnchanged) {
		return m, nil
	}
	if err != nil {
		return nil, classifyStateError(err, id)
	}
	return m, nil
}

// classifyStateError is classifyError for a change of a mailing. *push.NotFound and
// *push.Conflict stay as they are, because the API answers with their text.
func classifyStateError(err error, id string) error {
	if push.IsNotFound(err) || push.IsStateConflict(err) {
		return err
	}
	return classifyError(err, "changing the state of mailing %s", id)
}

// newTransitionError returns the *push.Conflict of a state that cannot follow.
func newTransitionError(m *push.Mailing, next string) error {
	return &push.Conflict{Why: fmt.Sprintf("mailing %s is %s and cannot be %s", m.ID, m.State, next)}
}

// CancelMailing ends a mailing by hand. Targets without a result are not sent.
func (s *Store) CancelMailing(ctx context.Context, id string) (*push.Mailing, error) {
	return s.EndMailing(ctx, id, push.Cancelled, "")
}

// EndMailing gives a mailing a final state. Totals and CompletedAt follow when none of
// its tokens is pending any more. A state that cannot follow is a *push.Conflict.
func (s *Store) EndMailing(ctx context.Context, id string, state push.State, refusal string) (*push.Mailing, error) {
	return s.changeState(ctx, id, func(m *push.Mailing) error {
		if m.State == state {
			return errUnchanged
		}
		if !m.State.CanBecome(state) {
			return newTransitionError(m, string(state))
		}
		m.State, m.Refusal, m.PausedReason, m.PausedDetail, m.PausedProject, m.PausedFrom = state, refusal, "", "", "", ""
		return nil
	})
}

// PauseMailing pauses a mailing by hand until ResumeMailing.
func (s *Store) PauseMailing(ctx context.Context, id string) (*push.Mailing, error) {
	return s.PauseMailingFor(ctx, id, push.PausedByHand, "")
}

// PauseMailingFor pauses a mailing for a reason; detail describes what was found. A mailing
// that is already paused keeps its first reason.
func (s *Store) PauseMailingFor(ctx context.Context, id string, reason push.PauseReason, detail string) (*push.Mailing, error) {
	return s.PauseMailingForProject(ctx, id, "", reason, detail)
}

// PauseMailingForProject is PauseMailingFor with the Firebase project that the reason is about, ""
// for the default project.
func (s *Store) PauseMailingForProject(ctx context.Context, id, project string, reason push.PauseReason, detail string) (*push.Mailing, error) {
	return s.changeState(ctx, id, func(m *push.Mailing) error {
		if m.State == push.Paused {
			return errUnchanged
		}
		if !m.State.CanBecome(push.Paused) {
			return newTransitionError(m, "paused")
		}
		m.PausedFrom, m.State, m.PausedReason, m.PausedDetail, m.PausedProject = m.State, push.Paused, reason, detail, project
		return nil
	})
}

// ResumeMailing gives a paused mailing the state that it had before the pause.
func (s *Store) ResumeMailing(ctx context.Context, id string) (*push.Mailing, error) {
	return s.changeState(ctx, id, func(m *push.Mailing) error {
		return s.endPause(m)
	})
}

// endPause changes a paused mailing, in memory, to the state before the pause. A
// mailing whose time to start has come is accepted.
func (s *Store) endPause(m *push.Mailing) error {
	if m.State != push.Paused {
		return newTransitionError(m, "resumed")
	}
	m.SizeAllowed = m.SizeAllowed || m.PausedReason == push.PausedAudience
	m.State, m.PausedFrom, m.PausedReason, m.PausedDetail, m.PausedProject = m.PausedFrom, "", "", "", ""
	m.ResumedAt = s.currentTimestamp()
	if m.State == push.Scheduled && !m.StartAt.After(s.now()) {
		m.State = push.Accepted
	}
	return nil
}

// ResumeImplausibleMailing resumes a mailing that Carillon paused because of implausible
// answers. A mailing that is paused by hand stays paused.
func (s *Store) ResumeImplausibleMailing(ctx context.Context, id string) (*push.Mailing, error) {
	return s.changeState(ctx, id, func(m *push.Mailing) error {
		if m.State != push.Paused || !m.PausedReason.Implausible() {
			return errUnchanged
		}
		return s.endPause(m)
	})
}

// SetPlatformPaused records that a mailing is not sent to a platform (paused), because its
// push service refuses the app's credentials, or that it is sent again.
func (s *Store) SetPlatformPaused(ctx context.Context, id string, p push.Platform, paused bool) error {
	_, err := s.changeState(ctx, id, func(m *push.Mailing) error {
		i := slices.Index(m.PausedPlatforms, p)
		switch {
		case paused == (i >= 0):
			return errUnchanged
		case paused:
			m.PausedPlatforms = append(m.PausedPlatforms, p)
		default:
			m.PausedPlatforms = slices.Delete(m.PausedPlatforms, i, i+1)
		}
		return nil
	})
	return err
}

// DecideHeldFlags records what a person decided about the held flags of a mailing, and
// about those that it still finds. A mailing that is paused because of them is
// resumed.
func (s *Store) DecideHeldFlags(ctx context.Context, id string, decision push.HeldDecision) (*push.Mailing, error) {
	return s.changeState(ctx, id, func(m *push.Mailing) error {
		if m.State.Final() {
			return newTransitionError(m, "decided about")
		}
		m.HeldDecision = decision
		if m.State == push.Paused && m.PausedReason.Implausible() {
			return s.endPause(m)
		}
		return nil
	})
}

// MarkPayloadProven records that FCM accepts the payload of the mailing.
func (s *Store) MarkPayloadProven(ctx context.Context, id string) error {
	_, err := s.changeState(ctx, id, func(m *push.Mailing) error {
		if m.Proven {
			return errUnchanged
		}
		m.Proven = true
		return nil
	})
	return err
}

// AcceptMailing changes a scheduled mailing to accepted once its time has come.
func (s *Store) AcceptMailing(ctx context.Context, id string) (*push.Mailing, error) {
	return s.changeState(ctx, id, func(m *push.Mailing) error {
		if m.State != push.Scheduled || m.StartAt.After(s.now()) {
			return errUnchanged
		}
		m.State = push.Accepted
		return nil
	})
}

// StartMailing creates the shards of an accepted mailing and changes it to sending, in
// one transaction, with the selection of devices and the hours that are in force. A
// mailing that has started already stays as it is.
func (s *Store) StartMailing(ctx context.Context, id string, selection push.DeviceSelection, hours *push.Window, shards []push.Shard) (*push.Mailing, error) {
	m, err := s.updateMailing(ctx, id, func(m *push.Mailing, tx *firestore.Transaction) error {
		if m.State != push.Accepted {
			return errUnchanged
		}
		m.Estimated = 0
		for _, sh := range shards {
			m.Estimated += sh.Estimated
			sh.ExpireAt = m.ExpiresAt.Add(KeepBatches)
			if err := tx.Create(s.shardDocument(id, sh.Number), encodeShard(&sh)); err != nil {
				return err
			}
		}
		m.State, m.StartedAt, m.Selection, m.Shards = push.Sending, s.now(), selection, len(shards)
		m.Hours = hours
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return m, nil
	}
	if err != nil {
		return nil, classifyStateError(err, id)
	}

	return m, nil
}
