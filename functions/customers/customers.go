package customers

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// Deps are the dependencies and settings of the function. Store and Queue are
// required.
type Deps struct {
	Store     ledger
	Queue     publisher
	MaxTokens int              // tokens of a customer, as in the store; 0: push.MaxTokens
	Log       *slog.Logger     // nil: the default
	Now       func() time.Time // nil: time.Now
	API       api.Options      // timeout of the function, and permissions of callers
}

// ledger is what the function needs of the store.
type ledger interface {
	customerStore
	tokenStore
	transferStore
	settingsStore
	reportStore
}

// customerStore has the customers.
type customerStore interface {
	Customer(ctx context.Context, id string) (*push.Customer, error)
	PatchCustomer(ctx context.Context, customer string, p push.CustomerPatch) (*push.Customer, error)
	EraseCustomer(ctx context.Context, customer string) ([]push.Event, error)
	CustomerMessages(ctx context.Context, c *push.Customer, size int, token string) ([]store.CustomerMessage, string, error)
}

// tokenStore has the push tokens, and the events of their changes.
type tokenStore interface {
	RegisterToken(ctx context.Context, customer string, r push.Registration) (store.Registered, error)
	UnregisterToken(ctx context.Context, customer, tokenID string) ([]push.Event, error)
	MarkEventsPublished(ctx context.Context, events ...push.Event) error
}

// transferStore imports and exports.
type transferStore interface {
	ImportCustomers(ctx context.Context, lines []store.ImportLine) ([]error, []push.Event, error)
	CustomerAvailabilities(ctx context.Context, after string, size int) ([]store.CustomerAvailability, error)
	Stats(ctx context.Context, first, last string) ([]push.DayStats, error)
}

// settingsStore has the settings.
type settingsStore interface {
	Settings(ctx context.Context) (push.Settings, error)
	SetSettings(ctx context.Context, set push.Settings, condition *push.Precondition) (push.Settings, error)
}

type publisher interface {
	PublishEvents(ctx context.Context, events ...push.Event) error
}

type service struct {
	Deps
	api           *api.API
	registrations *api.Form[registration]
	choices       *api.Form[push.Settings]
	events        *api.Form[phoneEvents]
}

// New makes the handler of the function.
func New(d Deps) http.Handler {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.MaxTokens == 0 {
		d.MaxTokens = push.MaxTokens
	}

	d.Log = api.Logger(d.Log)
	a := api.New("Carillon: customers", d.Log, d.API)
	s := &service{Deps: d, api: a, registrations: api.NewForm[registration](a), choices: api.NewForm[push.Settings](a), events: api.NewForm[phoneEvents](a)}
	const one, tokens, settings = "/v1/customers/{customer}", "/v1/customers/{customer}/tokens", "/v1/settings"
	huma.Register(a, s.registrations.Takes(api.RequirePermission(push.PermissionRegister, operation(http.MethodPost, tokens, "register-token", "Register a push token", http.StatusCreated))), api.Answering(s.Log, s.register))
	huma.Register(a, api.RequirePermission(push.PermissionRegister, operation(http.MethodDelete, tokens+"/{token}", "unregister-token", "Take a push token from a customer", http.StatusNoContent)), api.Answering(s.Log, s.unregister))
	huma.Register(a, api.RequirePermission(push.PermissionRead, operation(http.MethodGet, one, "show-customer", "Show a customer and whether push reaches them", http.StatusOK)), api.Answering(s.Log, s.show))
	huma.Register(a, api.RequirePermission(push.PermissionRead, operation(http.MethodGet, one+"/messages", "list-customer-messages", "List what was sent to a customer, and what became of it", http.StatusOK)), api.Answering(s.Log, s.messages))
	huma.Register(a, patchable(a, api.RequirePermission(push.PermissionProfile, operation(http.MethodPatch, one, "change-customer", "Change what is known of a customer", http.StatusOK))), api.Answering(s.Log, s.change))
	huma.Register(a, api.RequirePermission(push.PermissionErase, operation(http.MethodDelete, one, "erase-customer", "Delete a customer with everything of theirs", http.StatusNoContent)), api.Answering(s.Log, s.erase))
	huma.Register(a, api.RequirePermission(push.PermissionRead, operation(http.MethodGet, settings, "show-settings", "Show the settings", http.StatusOK)), api.Answering(s.Log, s.settings))
	huma.Register(a, s.choices.Takes(api.RequirePermission(push.PermissionSettings, operation(http.MethodPut, settings, "change-settings", "Change the settings", http.StatusOK))), api.Answering(s.Log, s.setSettings))
	huma.Register(a, api.RequirePermission(push.PermissionRead, operation(http.MethodGet, "/v1/stats", "show-stats", "Show whom push could reach, day by day", http.StatusOK)), api.Answering(s.Log, s.stats))
	huma.Register(a, importOperation(), api.Answering(s.Log, s.importLines))
	huma.Register(a, exportOperation(a), api.Answering(s.Log, s.export))
	s.registerReports()
	a.Describe(documentation)
	return a
}

func operation(method, path, id, summary string, status int) huma.Operation {
	errors := []int{http.StatusUnprocessableEntity, http.StatusServiceUnavailable}
	if method != http.MethodGet && method != http.MethodDelete {
		errors = append(errors, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	if method == http.MethodPatch || method == http.MethodPut {
		errors = append(errors, http.StatusPreconditionFailed)
	}
	if method == http.MethodGet || method == http.MethodDelete {
		errors = append(errors, http.StatusNotFound)
	}
	return huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, DefaultStatus: status,
		MaxBodyBytes: maxBody(method), Errors: errors}
}

// maxBody is the limit of a body in bytes.
func maxBody(method string) int64 {
	if method == http.MethodPatch {
		return api.MaxProfile
	}
	return api.MaxSmall
}

// patchable documents that op accepts a merge patch, with both media types.
// push.ParsePatch reads it.
func patchable(a *api.API, op huma.Operation) huma.Operation {
	schema := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[patchBody](), true, "")
	op.SkipValidateBody = true
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/merge-patch+json": {Schema: schema}, "application/json": {Schema: schema},
	}}
	return op
}

// CustomerPath is the customer in a path. It is exported because huma does not fill
// in fields of an unexported struct that inputs embed.
type CustomerPath struct {
	Customer string `path:"customer" doc:"the customer's id, percent-encoded"`
}

// Resolve checks the id before anything else is done.
func (in *CustomerPath) Resolve(huma.Context) []error {
	if why := push.CheckCustomerID(in.Customer); why != "" {
		return []error{&huma.ErrorDetail{Location: "path.customer", Message: why}}
	}
	return nil
}
