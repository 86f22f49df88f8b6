package mailings

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
)

// timelineOutput is the answer to GET /v1/mailings/{id}/timeline.
type timelineOutput struct{ Body push.Timeline }

// registerTimeline registers how a mailing was sent over time.
func (s *service) registerTimeline() {
	op := api.WithLongDeadline(newOperation(http.MethodGet, "/v1/mailings/{id}/timeline", "show-timeline", "Show how a mailing was sent over time", http.StatusNotFound))
	huma.Register(s.api, op, api.Answering(s.Log, s.showTimeline))
}

// showTimeline answers GET /v1/mailings/{id}/timeline.
func (s *service) showTimeline(ctx context.Context, in *idInput) (*timelineOutput, error) {
	m, err := s.Store.ReadMailingHeader(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	batches, err := s.Store.ListSettledBatches(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	return &timelineOutput{push.NewTimeline(batches, m.Pauses)}, nil
}
