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
	Store ledger
	Queue publisher
	Proof prover
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

// ledger is what the function needs of the store.
type ledger interface {
	mailingStore
	sumStore
	stateStore
	flagStore
	messageStore
	previewStore
}

// mailingStore has the mailings.
type mailingStore interface {
	CreateMailing(ctx context.Context, m *push.Mailing) (*push.Mailing, bool, error)
	MailingHeader(ctx context.Context, id string) (*push.Mailing, error)
	MailingWithAudience(ctx context.Context, id string, whole bool) (*push.Mailing, *push.AudienceList, error)
	Mailings(ctx context.Context, state push.State, tag string, size int, token string) ([]*push.Mailing, string, error)
	LastWaiting(ctx context.Context, mailing string) (time.Time, error)
	CountMailingsSince(ctx context.Context, at time.Time) (int, error)
}

// sumStore has the sums of mailings: what FCM answered, what phones reported, and what
// FCM reports.
type sumStore interface {
	Totals(ctx context.Context, m *push.Mailing) (push.Totals, error)
	Reported(ctx context.Context, m *push.Mailing) (push.ReportCounts, error)
	DeliveryReport(ctx context.Context, label string) (*push.DeliveryReport, error)
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
	InvalidTokens(ctx context.Context, mailing string, size int, token string) ([]push.InvalidToken, string, error)
	DecideHeld(ctx context.Context, id string, decision push.HeldDecision) (*push.Mailing, error)
	StartUnflag(ctx context.Context, id string) (*push.Mailing, error)
	UnflagProgress(ctx context.Context, m *push.Mailing) (*push.Unflag, error)
	Recipients(ctx context.Context, mailing, after string, n int) ([]store.MailingRecipient, error)
}

type publisher interface {
	PublishDispatch(ctx context.Context, orders ...push.DispatchMessage) error
	PublishMessages(ctx context.Context, refs ...push.MessageRef) error
}

type prover interface {
	ProvePayload(ctx context.Context, m *fcm.Message) fcm.Answer
}

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
	create := operation(http.MethodPost, "/v1/mailings", "create-mailing", "Hand in a mailing", http.StatusConflict, http.StatusUnsupportedMediaType)
	create.DefaultStatus, create.MaxBodyBytes = http.StatusAccepted, api.MaxBody
	huma.Register(a, s.drafts.Takes(create), api.Answering(s.Log, s.create))
	preview := operation(http.MethodPost, "/v1/mailings/preview", "preview-mailing", "Show what a mailing would send, to how many, at what cost", http.StatusNotFound, http.StatusUnsupportedMediaType)
	preview.MaxBodyBytes = api.MaxBody
	huma.Register(a, s.previews.Takes(preview), api.Answering(s.Log, s.preview))
	huma.Register(a, operation(http.MethodGet, "/v1/mailings", "list-mailings", "List mailings, the newest first"), api.Answering(s.Log, s.list))
	huma.Register(a, operation(http.MethodGet, "/v1/mailings/{id}", "show-mailing", "Show a mailing and where everybody went", http.StatusNotFound), api.Answering(s.Log, s.show))
	life := func(path, name, summary string, f func(context.Context, *idInput) (*stateOutput, error)) {
		huma.Register(a, operation(http.MethodPost, path, name+"-mailing", summary, http.StatusNotFound, http.StatusConflict), api.Answering(s.Log, f))
	}

	life("/v1/mailings/{id}/cancel", "cancel", "End a mailing: what is not sent yet never will be", s.cancel)
	life("/v1/mailings/{id}/pause", "pause", "Hold a mailing", s.pause)
	life("/v1/mailings/{id}/resume", "resume", "Let a paused mailing go on", s.resume)
	life("/v1/mailings/{id}/flag-held", "flag-held", "Decide that the tokens whose flags are held are invalid", s.decide(push.FlagHeld))
	life("/v1/mailings/{id}/drop-held", "drop-held", "Decide that the tokens whose flags are held are valid: none is flagged", s.decide(push.DropHeld))
	huma.Register(a, operation(http.MethodGet, "/v1/mailings/{id}/invalid-tokens", "list-invalid-tokens", "List the tokens a mailing marked invalid", http.StatusNotFound), api.Answering(s.Log, s.invalid))
	unflag := operation(http.MethodPost, "/v1/mailings/{id}/unflag", "unflag", "Take back every flag the mailing set that still stands", http.StatusNotFound, http.StatusConflict)
	unflag.Description = "Works in the background; GET /v1/mailings/{id} shows how far it has come. From the answer on the mailing flags no token any more. Asking again changes nothing."
	unflag.DefaultStatus = http.StatusAccepted
	huma.Register(a, unflag, api.Answering(s.Log, s.unflag))
	s.registerRecipients()
	s.registerMessages()
	a.Describe(documentation)
	return a
}

// operation describes an operation that answers 200, and with which errors
// beside those that any has.
func operation(method, path, id, summary string, errors ...int) huma.Operation {
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
	send := operation(http.MethodPost, "/v1/messages", "send-message", "Send a message to one customer", http.StatusConflict, http.StatusUnsupportedMediaType)
	send.DefaultStatus, send.MaxBodyBytes = http.StatusAccepted, api.MaxSmall
	result := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[sentBody](), true, "")
	send.Responses = map[string]*huma.Response{"200": {Description: "With `wait`: the result came in time.",
		Content: map[string]*huma.MediaType{"application/json": {Schema: result}}}}
	huma.Register(s.api, s.messages.Takes(send), api.Answering(s.Log, s.sendMessage))

	many := operation(http.MethodPost, "/v1/messages:batch", "send-messages", "Send messages, up to 500, each to one customer", http.StatusConflict, http.StatusUnsupportedMediaType)
	many.MaxBodyBytes = api.MaxBody
	huma.Register(s.api, s.messages.TakesMany(many, "messages", push.MaxMessages), api.Answering(s.Log, s.sendMessages))

	show := operation(http.MethodGet, "/v1/messages/{id}", "show-message", "Show a message and what became of it", http.StatusNotFound)
	huma.Register(s.api, show, api.Answering(s.Log, s.showMessage))
}
