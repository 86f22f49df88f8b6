package mailings

import (
	"context"
	"time"

	"carillon.example/shared/push"
)

type idInput struct {
	ID string `path:"id" maxLength:"100" doc:"as the answer to POST /v1/mailings has it"`
}

// mailingBody is a mailing as the API shows it.
type mailingBody struct {
	ID            string      `json:"id"`
	State         push.State  `json:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused"`
	PausedBecause string      `json:"pausedBecause,omitempty" doc:"why it is held; of a completed one, why it was when the last token was answered, unless it was by hand"`
	Refusal       string      `json:"refusal,omitempty"`
	CreatedAt     time.Time   `json:"createdAt"`
	CreatedBy     push.Caller `json:"createdBy,omitempty" doc:"who handed it in: the e-mail address or the subject of the caller's ID token"`
	StartedAt     *time.Time  `json:"startedAt"`
	CompletedAt   *time.Time  `json:"completedAt"`
	ExpiresAt     time.Time   `json:"expiresAt"`
	push.Draft
	push.Totals
}

type mailingOutput struct{ Body mailingBody }

func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func body(m *push.Mailing, t push.Totals) mailingBody {
	return mailingBody{ID: m.ID, State: m.State, PausedBecause: m.PausedBecause, Refusal: m.Refusal, CreatedAt: m.CreatedAt, CreatedBy: m.CreatedBy,
		StartedAt: stamp(m.StartedAt), CompletedAt: stamp(m.CompletedAt), ExpiresAt: m.ExpiresAt, Draft: m.Draft, Totals: t}
}

func (s *service) show(ctx context.Context, in *idInput) (*mailingOutput, error) {
	m, err := s.Store.Mailing(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	t, err := s.Store.Totals(ctx, m)
	if err != nil {
		return nil, err
	}
	return &mailingOutput{body(m, t)}, nil
}

type listInput struct {
	State     push.State `query:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused"`
	PageSize  int        `query:"pageSize" minimum:"1" maximum:"500" default:"50"`
	PageToken string     `query:"pageToken" maxLength:"500"`
}

type listed struct {
	ID          string      `json:"id"`
	State       push.State  `json:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused"`
	CreatedAt   time.Time   `json:"createdAt"`
	StartedAt   *time.Time  `json:"startedAt"`
	CompletedAt *time.Time  `json:"completedAt"`
	CreatedBy   push.Caller `json:"createdBy,omitempty" doc:"who handed it in"`
}

type listOutput struct {
	Body struct {
		Mailings      []listed `json:"mailings"`
		NextPageToken string   `json:"nextPageToken,omitempty"`
	}
}

func (s *service) list(ctx context.Context, in *listInput) (*listOutput, error) {
	list, next, err := s.Store.Mailings(ctx, in.State, in.PageSize, in.PageToken)
	if err != nil {
		return nil, err
	}
	out := &listOutput{}
	out.Body.Mailings, out.Body.NextPageToken = []listed{}, next
	for _, m := range list {
		out.Body.Mailings = append(out.Body.Mailings, listed{m.ID, m.State, m.CreatedAt, stamp(m.StartedAt), stamp(m.CompletedAt), m.CreatedBy})
	}
	return out, nil
}

type invalidInput struct {
	ID        string `path:"id" maxLength:"100"`
	PageSize  int    `query:"pageSize" minimum:"1" maximum:"500" default:"50"`
	PageToken string `query:"pageToken" maxLength:"500"`
}

type invalidOutput struct {
	Body struct {
		Tokens        []push.Dead `json:"tokens"`
		NextPageToken string      `json:"nextPageToken,omitempty"`
	}
}

func (s *service) invalid(ctx context.Context, in *invalidInput) (*invalidOutput, error) {
	if _, err := s.Store.Peek(ctx, in.ID); err != nil {
		return nil, err
	}
	list, next, err := s.Store.InvalidTokens(ctx, in.ID, in.PageSize, in.PageToken)
	if err != nil {
		return nil, err
	}
	out := &invalidOutput{}
	out.Body.Tokens, out.Body.NextPageToken = list, next
	if list == nil {
		out.Body.Tokens = []push.Dead{}
	}
	return out, nil
}
