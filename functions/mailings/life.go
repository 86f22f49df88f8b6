package mailings

import (
	"context"

	"carillon.example/shared/push"
)

type stateOutput struct {
	Body struct {
		ID    string     `json:"id"`
		State push.State `json:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused"`
	}
}

func (s *service) cancel(ctx context.Context, in *idInput) (*stateOutput, error) {
	m, err := s.Store.Cancel(ctx, in.ID)
	return s.changed(ctx, m, err, "cancel")
}

func (s *service) pause(ctx context.Context, in *idInput) (*stateOutput, error) {
	m, err := s.Store.Pause(ctx, in.ID)
	return s.changed(ctx, m, err, "pause")
}

func (s *service) resume(ctx context.Context, in *idInput) (*stateOutput, error) {
	m, err := s.Store.Resume(ctx, in.ID)
	out, err := s.changed(ctx, m, err, "resume")
	if err != nil {
		return nil, err
	}
	if err := s.Queue.Dispatch(ctx, push.DispatchOrder{Mailing: m.ID, Shard: push.Start}); err != nil {
		s.Log.WarnContext(ctx, "the mailing is resumed, but its start was not published; tick does it", "mailing", m.ID, "error", err)
	}
	return out, nil
}

// decide decides about the flags that wait for evidence. deliver acts on it when
// it next looks at the batches that hold them, within a minute.
func (s *service) decide(d push.HeldDecision) func(context.Context, *idInput) (*stateOutput, error) {
	return func(ctx context.Context, in *idInput) (*stateOutput, error) {
		m, err := s.Store.DecideHeld(ctx, in.ID, d)
		out, err := s.changed(ctx, m, err, string(d)+"-held")
		if err != nil {
			return nil, err
		}
		if err := s.Queue.Dispatch(ctx, push.DispatchOrder{Mailing: m.ID, Shard: push.Start}); err != nil {
			s.Log.WarnContext(ctx, "the decision is recorded, but its order was not published; tick does it", "mailing", m.ID, "error", err)
		}
		return out, nil
	}
}

// changed logs and answers a change of state by hand.
func (s *service) changed(ctx context.Context, m *push.Mailing, err error, what string) (*stateOutput, error) {
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "mailing state", "mailing", m.ID, "to", m.State, "reason", what+" by hand")
	out := &stateOutput{}
	out.Body.ID, out.Body.State = m.ID, m.State
	return out, nil
}

type unflagOutput struct {
	Body struct {
		ID     string       `json:"id"`
		Unflag *push.Unflag `json:"unflag"`
	}
}

// unflag has every flag of a mailing taken back, by dispatch. Where its order
// is not published tick publishes it.
func (s *service) unflag(ctx context.Context, in *idInput) (*unflagOutput, error) {
	m, err := s.Store.StartUnflag(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "mailing unflag", "mailing", m.ID, "state", m.Unflag.State, "reason", "by hand")

	if m.Unflag.State == push.UnflagRunning {
		if err := s.Queue.Dispatch(ctx, push.DispatchOrder{Mailing: m.ID, Shard: push.TakeFlagsBack}); err != nil {
			s.Log.WarnContext(ctx, "the unflag is recorded, but its order was not published; tick does it", "mailing", m.ID, "error", err)
		}
	}

	out := &unflagOutput{}
	out.Body.ID = m.ID
	out.Body.Unflag, err = s.Store.UnflagProgress(ctx, m)
	return out, err
}
