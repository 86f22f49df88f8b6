package mailings

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/fcm"
	"carillon.example/shared/personal"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// Deps are the dependencies and settings of the function. Store, Queue and Proof are
// required.
type Deps struct {
	Store dataStore
	Queue publisher
	Proof payloadProver
	Log   *slog.Logger     // nil: the default
	Now   func() time.Time // nil: time.Now
	API   api.Options      // timeout of the function, and permissions of callers
	// RequireKey refuses mailings without an Idempotency-Key.
	RequireKey bool
	// QuotaPerMinute is FCM's quota for the project in messages a minute, for estimates;
	// 0: 600,000.
	QuotaPerMinute int
	// ShowFCMReport shows what FCM's Data API reports of a mailing.
	ShowFCMReport bool
}

// dataStore is what the function needs of the store.
type dataStore interface {
	mailingStore
	sumStore
	stateStore
	flagStore
	timelineStore
	messageStore
	previewStore
}

// mailingStore creates and reads mailings.
type mailingStore interface {
	CreateMailing(ctx context.Context, m *push.Mailing) (*push.Mailing, bool, error)
	ReadMailingHeader(ctx context.Context, id string) (*push.Mailing, error)
	ReadMailingWithAudience(ctx context.Context, id string, whole bool) (*push.Mailing, *push.AudienceList, error)
	ListMailings(ctx context.Context, state push.State, tag string, size int, token string) ([]*push.Mailing, string, error)
	ReadLastWaitingTime(ctx context.Context, mailing string) (time.Time, error)
	CountMailingsSince(ctx context.Context, at time.Time) (int, error)
}

// sumStore has the sums of mailings: what FCM answered, what phones reported, and what
// FCM reports.
type sumStore interface {
	ReadTotals(ctx context.Context, m *push.Mailing) (push.Totals, error)
	CountReports(ctx context.Context, m *push.Mailing) (push.ReportCounts, error)
	ReadDeliveryReport(ctx context.Context, label string) (*push.DeliveryReport, error)
}

// stateStore changes the states of mailings.
type stateStore interface {
	CancelMailing(ctx context.Context, id string) (*push.Mailing, error)
	PauseMailing(ctx context.Context, id string) (*push.Mailing, error)
	ResumeMailing(ctx context.Context, id string) (*push.Mailing, error)
}

// flagStore has what became of mailings: their recipients, and the tokens they
// flagged.
type flagStore interface {
	ListInvalidTokens(ctx context.Context, mailing string, size int, token string) ([]push.InvalidToken, string, error)
	DecideHeldFlags(ctx context.Context, id string, decision push.HeldDecision) (*push.Mailing, error)
	StartUnflag(ctx context.Context, id string) (*push.Mailing, error)
	ReadUnflagProgress(ctx context.Context, m *push.Mailing) (*push.Unflag, error)
	ListRecipients(ctx context.Context, mailing, after string, n int) ([]store.MailingRecipient, error)
}

// timelineStore has when batches were settled.
type timelineStore interface {
	ListSettledBatches(ctx context.Context, mailing string) ([]push.SettledBatch, error)
}

// publisher publishes dispatch messages, and messages to one customer.
type publisher interface {
	PublishDispatch(ctx context.Context, messages ...push.DispatchMessage) error
	PublishMessages(ctx context.Context, refs ...push.MessageRef) error
}

// payloadProver asks FCM whether it accepts a payload.
type payloadProver interface {
	ProvePayload(ctx context.Context, m *fcm.Message) fcm.Answer
}

// service has what all requests of an instance share.
type service struct {
	Deps
	api    *api.API
	drafts *api.Form[push.Draft]

	previews *api.Form[previewDraft]

	messages  *api.Form[push.MessageDraft]
	templates personal.Cache // of messages to one customer
}

// New makes the handler of the function.
func New(d Deps) http.Handler {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}

	d.QuotaPerMinute = cmp.Or(d.QuotaPerMinute, 600_000)
	d.Log = api.Logger(d.Log)
	a := api.New("Carillon: mailings", d.Log, d.API)
	s := &service{Deps: d, api: a, drafts: api.NewForm[push.Draft](a), previews: api.NewForm[previewDraft](a), messages: api.NewForm[push.MessageDraft](a)}
	create := newOperation(http.MethodPost, "/v1/mailings", "create-mailing", "Create a mailing", http.StatusConflict, http.StatusUnsupportedMediaType)
	create.DefaultStatus, create.MaxBodyBytes = http.StatusAccepted, api.MaxBody
	huma.Register(a, s.drafts.Takes(create), api.Answering(s.Log, s.createMailing))
	preview := newOperation(http.MethodPost, "/v1/mailings/preview", "preview-mailing", "Show what a mailing would send, to how many, at what cost", http.StatusNotFound, http.StatusUnsupportedMediaType)
	preview.MaxBodyBytes = api.MaxBody
	huma.Register(a, s.previews.Takes(preview), api.Answering(s.Log, s.previewMailing))
	huma.Register(a, newOperation(http.MethodGet, "/v1/mailings", "list-mailings", "List mailings, the newest first"), api.Answering(s.Log, s.listMailings))
	huma.Register(a, newOperation(http.MethodGet, "/v1/mailings/{id}", "show-mailing", "Show a mailing, its state and its sums", http.StatusNotFound), api.Answering(s.Log, s.showMailing))
	life := func(path, name, summary string, f func(context.Context, *idInput) (*stateOutput, error)) {
		huma.Register(a, newOperation(http.MethodPost, path, name+"-mailing", summary, http.StatusNotFound, http.StatusConflict), api.Answering(s.Log, f))
	}

	life("/v1/mailings/{id}/cancel", "cancel", "Cancel a mailing: what is not sent yet is not sent", s.cancelMailing)
	life("/v1/mailings/{id}/pause", "pause", "Pause a mailing", s.pauseMailing)
	life("/v1/mailings/{id}/resume", "resume", "Resume a paused mailing", s.resumeMailing)
	life("/v1/mailings/{id}/flag-held", "flag-held", "Decide that the tokens whose flags are held are invalid", s.decideHeldFlags(push.FlagHeld))
	life("/v1/mailings/{id}/drop-held", "drop-held", "Decide that the tokens whose flags are held are valid: none is flagged", s.decideHeldFlags(push.DropHeld))
	huma.Register(a, newOperation(http.MethodGet, "/v1/mailings/{id}/invalid-tokens", "list-invalid-tokens", "List the tokens that a mailing flagged", http.StatusNotFound), api.Answering(s.Log, s.listInvalidTokens))
	unflag := newOperation(http.MethodPost, "/v1/mailings/{id}/unflag", "unflag", "Remove every flag of the mailing that is still set", http.StatusNotFound, http.StatusConflict)
	unflag.Description = "Works in the background; GET /v1/mailings/{id} shows the progress. After the answer the mailing flags no more tokens. A repeated request changes nothing."
	unflag.DefaultStatus = http.StatusAccepted
	huma.Register(a, unflag, api.Answering(s.Log, s.unflagMailing))
	s.registerRecipients()
	s.registerTimeline()
	s.registerMessages()
	a.Describe(documentation)
	return a
}

// newOperation describes an operation that answers 200, and with which errors
// beside those that any has.
func newOperation(method, path, id, summary string, errors ...int) huma.Operation {
	errors = append(errors, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	if method == http.MethodPost {
		errors = append(errors, http.StatusBadRequest, http.StatusRequestEntityTooLarge)
	}
	permission := push.PermissionSend
	if method == http.MethodGet {
		permission = push.PermissionRead
	}
	return api.RequirePermission(permission, huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary,
		DefaultStatus: http.StatusOK, MaxBodyBytes: api.MaxSmall, Errors: errors})
}

// registerMessages registers the operations of messages to one customer.
func (s *service) registerMessages() {
	send := newOperation(http.MethodPost, "/v1/messages", "send-message", "Send a message to one customer", http.StatusConflict, http.StatusUnsupportedMediaType)
	send.DefaultStatus, send.MaxBodyBytes = http.StatusAccepted, api.MaxSmall
	result := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[sentBody](), true, "")
	send.Responses = map[string]*huma.Response{"200": {Description: "With `wait`: the result came in time.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: result}}}}
	huma.Register(s.api, s.messages.Takes(send), api.Answering(s.Log, s.sendMessage))

	many := newOperation(http.MethodPost, "/v1/messages:batch", "send-messages", "Send messages, up to 500, each to one customer", http.StatusConflict, http.StatusUnsupportedMediaType)
	many.MaxBodyBytes = api.MaxBody
	huma.Register(s.api, s.messages.TakesMany(many, "messages", push.MaxMessages), api.Answering(s.Log, s.sendMessages))

	show := newOperation(http.MethodGet, "/v1/messages/{id}", "show-message", "Show a message and its results", http.StatusNotFound)
	huma.Register(s.api, show, api.Answering(s.Log, s.showMessage))
}
