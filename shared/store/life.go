package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// errKeep leaves a mailing as it is.
var errKeep = errors.New("nothing to change")

// become moves a mailing to another state in one transaction; to says which and
// why not. A mailing that is there already stays as it is.
func (s *Store) become(ctx context.Context, id string, to func(*push.Mailing) error) (*push.Mailing, error) {
	m, err := s.change(ctx, id, func(m *push.Mailing, _ *firestore.Transaction) error { return to(m) })
	if errors.Is(err, errKeep) {
		return m, nil
	}
	if err != nil {
		return nil, classifyLife(err, id)
	}
	return m, nil
}

func classifyLife(err error, id string) error {
	if push.IsNotFound(err) || push.IsConflict(err) {
		return err
	}
	return classify(err, "changing the state of mailing %s", id)
}

func forbidden(m *push.Mailing, next string) error {
	return &push.Conflict{Why: fmt.Sprintf("mailing %s is %s and cannot be %s", m.ID, m.State, next)}
}

// Cancel ends a mailing by hand: what is not sent yet never will be.
func (s *Store) CancelMailing(ctx context.Context, id string) (*push.Mailing, error) {
	return s.EndMailing(ctx, id, push.Cancelled, "")
}

// End moves a mailing to a final state. Totals and CompletedAt follow when no
// token of it is pending any more.
func (s *Store) EndMailing(ctx context.Context, id string, state push.State, refusal string) (*push.Mailing, error) {
	return s.become(ctx, id, func(m *push.Mailing) error {
		if m.State == state {
			return errKeep
		}
		if !m.State.CanBecome(state) {
			return forbidden(m, string(state))
		}
		m.State, m.Refusal, m.PausedReason, m.PausedDetail, m.PausedFrom = state, refusal, "", "", ""
		return nil
	})
}

// Pause holds a mailing until Resume.
func (s *Store) PauseMailing(ctx context.Context, id string) (*push.Mailing, error) {
	return s.PauseFor(ctx, id, push.PausedByHand, "")
}

// Hold pauses a mailing for a reason; detail says in words what was found. Of a
// mailing that is paused already the first reason stays.
func (s *Store) PauseFor(ctx context.Context, id string, reason push.PauseReason, detail string) (*push.Mailing, error) {
	return s.become(ctx, id, func(m *push.Mailing) error {
		if m.State == push.Paused {
			return errKeep
		}
		if !m.State.CanBecome(push.Paused) {
			return forbidden(m, "paused")
		}
		m.PausedFrom, m.State, m.PausedReason, m.PausedDetail = m.State, push.Paused, reason, detail
		return nil
	})
}

// Resume lets a paused mailing go on from where it was held.
func (s *Store) ResumeMailing(ctx context.Context, id string) (*push.Mailing, error) {
	return s.become(ctx, id, func(m *push.Mailing) error {
		return s.resume(m)
	})
}

func (s *Store) resume(m *push.Mailing) error {
	if m.State != push.Paused {
		return forbidden(m, "resumed")
	}
	m.State, m.PausedFrom, m.PausedReason, m.PausedDetail = m.PausedFrom, "", "", ""
	m.ResumedAt = s.moment()
	if m.State == push.Scheduled && !m.StartAt.After(s.now()) {
		m.State = push.Accepted
	}
	return nil
}

// ResumeImplausible resumes a mailing that is paused because of its invalid
// answers, and no other: a pause by hand stays.
func (s *Store) ResumeImplausible(ctx context.Context, id string) (*push.Mailing, error) {
	return s.become(ctx, id, func(m *push.Mailing) error {
		if m.State != push.Paused || !m.PausedReason.Implausible() {
			return errKeep
		}
		return s.resume(m)
	})
}

// PausePlatform records that nothing of a mailing is sent to a platform, because
// it refuses the app's credentials, or that it is sent again.
func (s *Store) PausePlatform(ctx context.Context, id string, p push.Platform, paused bool) error {
	_, err := s.become(ctx, id, func(m *push.Mailing) error {
		i := slices.Index(m.PausedPlatforms, p)
		switch {
		case paused == (i >= 0):
			return errKeep
		case paused:
			m.PausedPlatforms = append(m.PausedPlatforms, p)
		default:
			m.PausedPlatforms = slices.Delete(m.PausedPlatforms, i, i+1)
		}
		return nil
	})
	return err
}

// DecideHeld records what a person decided about the flags of a mailing that
// wait for evidence, and those that it finds from now on; a mailing that is
// paused because of them goes on.
func (s *Store) DecideHeld(ctx context.Context, id string, decision push.HeldDecision) (*push.Mailing, error) {
	return s.become(ctx, id, func(m *push.Mailing) error {
		if m.State.Final() {
			return forbidden(m, "decided about")
		}
		m.HeldDecision = decision
		if m.State == push.Paused && m.PausedReason.Implausible() {
			return s.resume(m)
		}
		return nil
	})
}

// Prove records that FCM has taken the mailing's payload.
func (s *Store) MarkProven(ctx context.Context, id string) error {
	_, err := s.become(ctx, id, func(m *push.Mailing) error {
		if m.Proven {
			return errKeep
		}
		m.Proven = true
		return nil
	})
	return err
}

// Accept makes a scheduled mailing whose time has come ready to start.
func (s *Store) AcceptMailing(ctx context.Context, id string) (*push.Mailing, error) {
	return s.become(ctx, id, func(m *push.Mailing) error {
		if m.State != push.Scheduled || m.StartAt.After(s.now()) {
			return errKeep
		}
		m.State = push.Accepted
		return nil
	})
}

// Start records the shards of an accepted mailing and that it is sending, at
// once. Where that happened before, it changes nothing.
func (s *Store) StartMailing(ctx context.Context, id string, selection push.DeviceSelection, shards []push.Shard) (*push.Mailing, error) {
	m, err := s.change(ctx, id, func(m *push.Mailing, tx *firestore.Transaction) error {
		if m.State != push.Accepted {
			return errKeep
		}
		for _, sh := range shards {
			sh.ExpireAt = m.ExpiresAt.Add(Keep)
			if err := tx.Create(s.shard(id, sh.Number), encodeShard(&sh)); err != nil {
				return err
			}
		}
		m.State, m.StartedAt, m.Selection, m.Shards = push.Sending, s.now(), selection, len(shards)
		return nil
	})
	if errors.Is(err, errKeep) {
		return m, nil
	}
	if err != nil {
		return nil, classifyLife(err, id)
	}
	return m, nil
}
