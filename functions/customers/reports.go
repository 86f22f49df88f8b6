package customers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// reportStore counts what phones report.
type reportStore interface {
	RecordReports(ctx context.Context, list []push.Report, publish store.PublishEvents) (store.RecordedReports, error)
}

// phoneEvents is the body of POST /v1/events.
type phoneEvents struct {
	Events []phoneEvent `json:"events" minItems:"1" maxItems:"100" nullable:"false"`
}

// phoneEvent is an event as the retailer's backend passes it on.
type phoneEvent struct {
	push.PhoneEvent
	Customer string `json:"customer,omitempty" doc:"the customer's id, which the phone got as data.customer_id; absent: the customer who has the token now. With it an event costs a read less, and counts also after the token has left the customer"`
}

// checkEvents returns the reports of the events, or every fault of them.
func (b *phoneEvents) checkEvents(s *service, faults push.Faults) ([]push.Report, push.Faults) {
	wrong := push.CheckReportCount(len(b.Events))
	var list []push.Report
	for i, e := range b.Events {
		at := fmt.Sprintf("body.events[%d]", i)
		wrong = append(wrong, e.Check(at)...)
		if why := push.CheckCustomerID(e.Customer); why != "" && e.Customer != "" {
			wrong = append(wrong, push.Fault{Location: at + ".customer", Message: why})
		}
		list = append(list, e.Report(e.Customer, s.Now()))
	}
	return list, api.Join(faults, wrong...)
}

// reportInput is POST /v1/events.
type reportInput struct {
	Body json.RawMessage
}

// reportOutput is the answer to POST /v1/events.
type reportOutput struct{ Body push.ReportResult }

// registerReports registers POST /v1/events.
func (s *service) registerReports() {
	op := newOperation(http.MethodPost, "/v1/events", "report-events", "Report what phones did with mailings and messages", http.StatusAccepted)
	op.MaxBodyBytes = api.MaxProfile
	huma.Register(s.api, s.events.Takes(api.RequirePermission(push.PermissionRegister, op)), api.Answering(s.Log, s.reportEvents))
}

// reportEvents counts events. What was counted before an error stays so, and the caller
// repeats the request.
func (s *service) reportEvents(ctx context.Context, in *reportInput) (*reportOutput, error) {
	body, faults := s.events.Read(in.Body)
	list, faults := body.checkEvents(s, faults)
	if len(faults) > 0 {
		return nil, faults
	}

	done, err := s.Store.RecordReports(ctx, list, s.Queue.PublishEvents)
	queue.PublishEvents(ctx, s.Queue, s.Store, s.Log, done.Events)
	if err != nil {
		return nil, err
	}
	s.Log.InfoContext(ctx, "phones reported", "counted", done.Counted, "repeated", done.Repeated, "unknown", done.Unknown)
	return &reportOutput{done.ReportResult}, nil
}
