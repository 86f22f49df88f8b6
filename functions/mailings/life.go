package mailings

import (
	"context"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

type stateOutput struct {
	Body struct {
		ID    string     `json:"id"`
		State push.State `json:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused"`
	}
}

func (s *service) cancel(ctx context.Context, in *idInput) (*stateOutput, error) {
	m, err := s.alter(ctx, in.ID, "cancel", s.Store.Cancel)
	return stateOf(m), err
}

func (s *service) pause(ctx context.Context, in *idInput) (*stateOutput, error) {
	m, err := s.alter(ctx, in.ID, "pause", s.Store.Pause)
	return stateOf(m), err
}

func (s *service) resume(ctx context.Context, in *idInput) (*stateOutput, error) {
	m, err := s.alter(ctx, in.ID, "resume", s.Store.Resume)
	if err != nil {
		return nil, err
	}
	publishing, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := s.Queue.Dispatch(publishing, push.DispatchOrder{Mailing: m.ID, Shard: push.Start}); err != nil {
		s.Log.WarnContext(ctx, "the mailing is resumed, but its start was not published; tick does it", "mailing", m.ID, "error", err)
	}
	return stateOf(m), nil
}

// stateOf answers the state of a mailing, nil for nil.
func stateOf(m *push.Mailing) *stateOutput {
	if m == nil {
		return nil
	}
	out := &stateOutput{}
	out.Body.ID, out.Body.State = m.ID, m.State
	return out
}

type unflagOutput struct {
	Body struct {
		Unflagged int `json:"unflagged"`
	}
}

func (s *service) unflag(ctx context.Context, in *idInput) (*unflagOutput, error) {
	if _, err := s.Store.Peek(ctx, in.ID); err != nil {
		return nil, err
	}
	n, events, err := s.Store.Unflag(ctx, in.ID)
	queue.Tell(ctx, s.Queue, s.Store, s.Log, events)
	if err != nil {
		return nil, err
	}
	s.audit(ctx, "unflag", in.ID, nil, map[string]int{"unflagged": n})
	out := &unflagOutput{}
	out.Body.Unflagged = n
	return out, nil
}
