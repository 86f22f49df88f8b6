package mailings

import (
	"context"

	"carillon.example/shared/push"
)

// stateOutput is the answer to a change of state.
type stateOutput struct {
	Body struct {
		ID    string     `json:"id"`
		State push.State `json:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused"`
	}
}

// cancelMailing answers POST /v1/mailings/{id}/cancel.
func (s *service) cancelMailing(ctx context.Context, in *idInput) (*stateOutput, error) {
	m, err := s.changeState(ctx, in.ID, "cancel", s.Store.CancelMailing)
	return newStateOutput(m), err
}

// pauseMailing answers POST /v1/mailings/{id}/pause.
func (s *service) pauseMailing(ctx context.Context, in *idInput) (*stateOutput, error) {
	m, err := s.changeState(ctx, in.ID, "pause", s.Store.PauseMailing)
	return newStateOutput(m), err
}

// resumeMailing answers POST /v1/mailings/{id}/resume. If the message that starts the
// mailing is not published, tick publishes it.
func (s *service) resumeMailing(ctx context.Context, in *idInput) (*stateOutput, error) {
	m, err := s.changeState(ctx, in.ID, "resume", s.Store.ResumeMailing)
	if err != nil {
		return nil, err
	}
	publishing, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := s.Queue.PublishDispatch(publishing, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart}); err != nil {
		s.Log.WarnContext(ctx, "the mailing is resumed, but its start was not published; tick publishes it", "mailing", m.ID, "error", err)
	}
	return newStateOutput(m), nil
}

// decideHeldFlags returns the handler that stores a decision about the held flags of a
// mailing. deliver acts on it when it next works on their batches, within a minute.
func (s *service) decideHeldFlags(d push.HeldDecision) func(context.Context, *idInput) (*stateOutput, error) {
	return func(ctx context.Context, in *idInput) (*stateOutput, error) {
		m, err := s.Store.DecideHeldFlags(ctx, in.ID, d)
		if err != nil {
			return nil, err
		}
		s.auditChange(ctx, string(d)+"-held", m.ID, nil, auditedState{m.State})

		publishing, cancel := context.WithTimeout(ctx, publishTimeout)
		defer cancel()
		if err := s.Queue.PublishDispatch(publishing, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart}); err != nil {
			s.Log.WarnContext(ctx, "the decision is stored, but its message was not published; tick publishes it", "mailing", m.ID, "error", err)
		}
		return newStateOutput(m), nil
	}
}

// newStateOutput returns the answer with the state of a mailing, nil for nil.
func newStateOutput(m *push.Mailing) *stateOutput {
	if m == nil {
		return nil
	}
	out := &stateOutput{}
	out.Body.ID, out.Body.State = m.ID, m.State
	return out
}

// unflagOutput is the answer to POST /v1/mailings/{id}/unflag.
type unflagOutput struct {
	Body struct {
		ID     string       `json:"id"`
		Unflag *push.Unflag `json:"unflag"`
	}
}

// unflagMailing starts the unflag of a mailing, which dispatch does. If its message is not
// published, tick publishes it.
func (s *service) unflagMailing(ctx context.Context, in *idInput) (*unflagOutput, error) {
	m, err := s.Store.StartUnflag(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s.auditChange(ctx, "unflag", m.ID, nil, map[string]push.UnflagState{"unflag": m.Unflag.State})
	s.Log.InfoContext(ctx, "mailing unflag", "mailing", m.ID, "state", m.Unflag.State, "reason", "by hand")

	if m.Unflag.State == push.UnflagRunning {
		publishing, cancel := context.WithTimeout(ctx, publishTimeout)
		defer cancel()
		if err := s.Queue.PublishDispatch(publishing, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchUnflag}); err != nil {
			s.Log.WarnContext(ctx, "the unflag is stored, but its message was not published; tick publishes it", "mailing", m.ID, "error", err)
		}
	}

	out := &unflagOutput{}
	out.Body.ID = m.ID
	out.Body.Unflag, err = s.Store.ReadUnflagProgress(ctx, m)
	return out, err
}
