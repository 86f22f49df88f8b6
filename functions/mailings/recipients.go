package mailings

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// recipientBatches is how many batches are in memory at the same time.
const recipientBatches = 5

// recipientsInput is GET /v1/mailings/{id}/recipients.
type recipientsInput struct {
	ID     string `path:"id" maxLength:"100"`
	After  string `query:"after" maxLength:"100" doc:"the batch of the last whole line of an answer that broke off; the list continues after this batch"`
	Accept string `header:"Accept-Encoding" doc:"gzip: the answer is compressed"`
}

// recipientLine is a line of the recipients of a mailing.
type recipientLine struct {
	Customer string        `json:"customer,omitempty" doc:"absent if the customer was erased, or the token has left the customer since"`
	TokenID  string        `json:"tokenId,omitempty" doc:"absent if the customer was erased"`
	Platform push.Platform `json:"platform,omitempty"`
	App      string        `json:"app,omitempty"`
	Variant  string        `json:"variant,omitempty"`
	Result   string        `json:"result" enum:"pending,accepted,invalid,refused,failed,expired,cancelled"`
	Code     string        `json:"code,omitempty" doc:"only with the result invalid: UNREGISTERED, INVALID_ARGUMENT or SENDER_ID_MISMATCH"`
	At       time.Time     `json:"at" doc:"when the token was chosen"`
	Opened   *time.Time    `json:"opened,omitempty" doc:"when it was opened on this phone, as the app reported it"`
	Batch    string        `json:"batch" doc:"the value of after with which a later request continues after this batch"`
}

// registerRecipients registers the stream of the recipients of a mailing.
func (s *service) registerRecipients() {
	op := api.WithLongDeadline(newOperation(http.MethodGet, "/v1/mailings/{id}/recipients", "list-recipients", "Stream to whom a mailing went, and what became of it", http.StatusNotFound))
	line := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[recipientLine](), true, "")
	op.Responses = map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{"application/x-ndjson": {Schema: line}}}}
	huma.Register(s.api, op, api.Answering(s.Log, s.streamRecipients))
}

// streamRecipients streams the recipients of a mailing, a few batches at a time.
func (s *service) streamRecipients(ctx context.Context, in *recipientsInput) (*huma.StreamResponse, error) {
	m, err := s.Store.ReadMailingHeader(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	page, err := s.Store.ListRecipients(ctx, m.ID, in.After, recipientBatches)
	if err != nil {
		return nil, err
	}

	failed := func(err error) {
		s.Log.WarnContext(ctx, "a stream of recipients broke off", "mailing", m.ID, "error", err)
	}
	return &huma.StreamResponse{Body: func(h huma.Context) {
		write := func(w io.Writer) error { return writeRecipients(w, m, page) }
		api.Stream(h, "application/x-ndjson", in.Accept, failed, write, func() (bool, error) {
			if len(page) == 0 {
				return false, nil
			}
			var err error
			page, err = s.Store.ListRecipients(ctx, m.ID, page[len(page)-1].Batch, recipientBatches)
			return len(page) > 0, err
		})
	}}, nil
}

// writeRecipients writes a page of recipients as lines of JSON.
func writeRecipients(w io.Writer, m *push.Mailing, page []store.MailingRecipient) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, r := range page {
		if r.Kind == "" && r.Result == push.ResultPending {
			continue // of a batch that was closed without being read
		}
		line := recipientLine{
			Customer: r.Customer, TokenID: r.TokenID, Platform: r.Platform, App: r.App,
			Result: r.Result.String(), Code: r.Result.FlagCode(), At: r.At.UTC(), Opened: timeOrNil(r.Opened.UTC()), Batch: r.Batch,
		}
		if r.Variant < len(m.Variants) {
			line.Variant = m.Variants[r.Variant].Name
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}

	return nil
}
