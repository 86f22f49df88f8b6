package customers

import (
	"context"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// messagesInput is GET /v1/customers/{customer}/messages.
type messagesInput struct {
	CustomerPath
	PageSize  int    `query:"pageSize" minimum:"1" maximum:"20" default:"20" doc:"how many mailings and messages are searched for the customer"`
	PageToken string `query:"pageToken" maxLength:"500"`
}

// messageBody is one mailing, or one message to this customer alone.
type messageBody struct {
	Mailing     string          `json:"mailing,omitempty" doc:"the id of the mailing"`
	Message     string          `json:"message,omitempty" doc:"the id of the message to this customer alone, instead of mailing"`
	Name        string          `json:"name,omitempty"`
	Title       string          `json:"title,omitempty" doc:"the title of its notification before templates are rendered, at most 300 bytes"`
	State       push.State      `json:"state" enum:"scheduled,accepted,sending,paused,completed,cancelled,expired,refused" doc:"the state of the mailing or message"`
	Excluded    push.Exclusion  `json:"excluded,omitempty" enum:"unknown,noValidToken,optedOut,category,muted,filtered" doc:"only of a message: why the customer was left out"`
	DryRun      bool            `json:"dryRun,omitempty"`
	CreatedAt   time.Time       `json:"createdAt"`
	StartedAt   *time.Time      `json:"startedAt"`
	CompletedAt *time.Time      `json:"completedAt"`
	Tokens      []recipientBody `json:"tokens" nullable:"false" doc:"the tokens of the customer that it was sent to, or was to be sent to"`
}

// recipientBody is what became of one token.
type recipientBody struct {
	ID       string        `json:"id" doc:"the token's id"`
	Kind     push.Kind     `json:"kind"`
	Platform push.Platform `json:"platform"`
	App      string        `json:"app"`
	Result   string        `json:"result" enum:"pending,accepted,invalid,refused,failed,expired,cancelled" doc:"accepted by FCM, which does not say whether it was delivered; pending: not answered yet"`
	Code     string        `json:"code,omitempty" doc:"only with the result invalid: UNREGISTERED, INVALID_ARGUMENT or SENDER_ID_MISMATCH"`
	Opened   *time.Time    `json:"opened,omitempty" doc:"when it was opened on this phone, as the app reported it"`
}

// messagesOutput is the answer to GET /v1/customers/{customer}/messages.
type messagesOutput struct {
	Body struct {
		Messages      []messageBody `json:"messages" nullable:"false"`
		NextPageToken string        `json:"nextPageToken,omitempty" doc:"absent on the last page; a page may be short, or empty, and have a next one"`
	}
}

// listMessages lists what was sent to a customer, the newest first. A customer who was
// erased is not found, and one who came back has nothing from before.
func (s *service) listMessages(ctx context.Context, in *messagesInput) (*messagesOutput, error) {
	c, err := s.Store.ReadCustomer(ctx, in.Customer)
	if err != nil {
		return nil, err
	}
	list, next, err := s.Store.ListCustomerMessages(ctx, c, in.PageSize, in.PageToken)
	if err != nil {
		return nil, err
	}

	out := &messagesOutput{}
	out.Body.Messages, out.Body.NextPageToken = []messageBody{}, next
	for _, m := range list {
		out.Body.Messages = append(out.Body.Messages, newMessageBody(m))
	}

	return out, nil
}

// newMessageBody returns a mailing or message as the list of a customer shows it.
func newMessageBody(x store.CustomerMessage) messageBody {
	b := messageBody{Tokens: []recipientBody{}}
	switch m := x.Message; {
	case m != nil:
		b.Message, b.Title, b.State, b.Excluded = m.ID, m.Title, m.State, m.Excluded
		b.CreatedAt, b.StartedAt, b.CompletedAt = m.CreatedAt, timeOrNil(m.CreatedAt), timeOrNil(m.CompletedAt)
	default:
		m := x.Mailing
		b.Mailing, b.Name, b.Title, b.State, b.DryRun = m.ID, m.Name, m.Title, m.State, m.DryRun
		b.CreatedAt, b.StartedAt, b.CompletedAt = m.CreatedAt, timeOrNil(m.StartedAt), timeOrNil(m.CompletedAt)
	}

	for _, r := range x.Recipients {
		b.Tokens = append(b.Tokens, recipientBody{
			ID: r.TokenID, Kind: r.Kind, Platform: r.Platform, App: r.App, Result: r.Result.String(), Code: r.Result.FlagCode(), Opened: timeOrNil(r.Opened.UTC()),
		})
	}

	return b
}

// timeOrNil returns nil for the zero time, which JSON then leaves out or shows as null.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
