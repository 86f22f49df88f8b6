package devices

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// MaxEvents is the limit of a body with events, in bytes.
const MaxEvents = 64 << 10

// phoneEvents is the body of POST /v1/devices/events.
type phoneEvents struct {
	Events []push.PhoneEvent `json:"events" minItems:"1" maxItems:"100" nullable:"false"`
}

// reportInput is POST /v1/devices/events.
type reportInput struct {
	Body json.RawMessage
}

// reportOutput is the answer to POST /v1/devices/events.
type reportOutput struct{ Body push.ReportResult }

// registerReports registers POST /v1/devices/events.
func (s *service) registerReports(a *api.API) {
	op := newOperation(http.MethodPost, "/v1/devices/events", "report-device-events", "Report what the caller's phone did with mailings and messages")
	op.Errors = append(op.Errors, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusTooManyRequests)
	op.DefaultStatus, op.MaxBodyBytes = http.StatusAccepted, MaxEvents
	huma.Register(a, s.events.Takes(op), api.Answering(s.Log, s.reportEvents))
}

// reportEvents counts events of the caller's own phones: only what was sent to the customer
// whom the ID token names is found.
func (s *service) reportEvents(ctx context.Context, in *reportInput) (*reportOutput, error) {
	body, faults := s.events.Read(in.Body)
	wrong := push.CheckReportCount(len(body.Events))
	var list []push.Report
	for i, e := range body.Events {
		wrong = append(wrong, e.Check(fmt.Sprintf("body.events[%d]", i))...)
		list = append(list, e.Report(customerOf(ctx), s.Now()))
	}

	if faults = api.Join(faults, wrong...); len(faults) > 0 {
		return nil, faults
	}

	if err := s.limit.countEvents(customerOf(ctx), len(list), s.Now()); err != nil {
		return nil, err
	}
	done, err := s.Store.RecordReports(ctx, list, s.Queue.PublishEvents)
	queue.PublishEvents(ctx, s.Queue, s.Store, s.Log, done.Events)
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "phones reported", "counted", done.Counted, "repeated", done.Repeated, "unknown", done.Unknown)
	return &reportOutput{done.ReportResult}, nil
}
