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
	Store     dataStore
	Queue     publisher
	MaxTokens int              // tokens of a customer, as in the store; 0: push.MaxTokens
	Log       *slog.Logger     // nil: the default
	Now       func() time.Time // nil: time.Now
	API       api.Options      // timeout of the function, and permissions of callers
}

// dataStore is what the function needs of the store.
type dataStore interface {
	customerStore
	tokenStore
	transferStore
	settingsStore
	reportStore
}

// customerStore is what the operations on customers need of the store.
type customerStore interface {
	ReadCustomer(ctx context.Context, id string) (*push.Customer, error)
	PatchCustomer(ctx context.Context, customer string, p push.CustomerPatch) (*push.Customer, error)
	EraseCustomer(ctx context.Context, customer string) ([]push.Event, error)
	ListCustomerMessages(ctx context.Context, c *push.Customer, size int, token string) ([]store.CustomerMessage, string, error)
}

// tokenStore has the push tokens, and the events of their changes.
type tokenStore interface {
	RegisterToken(ctx context.Context, customer string, r push.Registration) (store.RegistrationResult, error)
	UnregisterToken(ctx context.Context, customer, tokenID string) ([]push.Event, error)
	MarkEventsPublished(ctx context.Context, events ...push.Event) error
}

// transferStore imports and exports.
type transferStore interface {
	ImportCustomers(ctx context.Context, lines []store.ImportLine) ([]error, []push.Event, error)
	ListAvailabilities(ctx context.Context, after string, size int) ([]store.CustomerAvailability, error)
	ListDayStats(ctx context.Context, first, last string) ([]push.DayStats, error)
}

// settingsStore is what the operations on settings need of the store.
type settingsStore interface {
	ReadSettings(ctx context.Context) (push.Settings, error)
	SaveSettings(ctx context.Context, set push.Settings, condition *push.Precondition) (push.Settings, error)
}

// publisher is what the function needs of the queue.
type publisher interface {
	PublishEvents(ctx context.Context, events ...push.Event) error
}

// service has what all requests of an instance share.
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
	huma.Register(a, s.registrations.Takes(api.RequirePermission(push.PermissionRegister, newOperation(http.MethodPost, tokens, "register-token", "Register a push token", http.StatusCreated))), api.Answering(s.Log, s.registerToken))
	huma.Register(a, api.RequirePermission(push.PermissionRegister, newOperation(http.MethodDelete, tokens+"/{token}", "unregister-token", "Remove a push token of a customer", http.StatusNoContent)), api.Answering(s.Log, s.unregisterToken))
	huma.Register(a, api.RequirePermission(push.PermissionRead, newOperation(http.MethodGet, one, "show-customer", "Show a customer and whether push can reach the customer", http.StatusOK)), api.Answering(s.Log, s.showCustomer))
	huma.Register(a, api.RequirePermission(push.PermissionRead, newOperation(http.MethodGet, one+"/messages", "list-customer-messages", "List what was sent to a customer, with the results", http.StatusOK)), api.Answering(s.Log, s.listMessages))
	huma.Register(a, acceptMergePatch(a, api.RequirePermission(push.PermissionProfile, newOperation(http.MethodPatch, one, "change-customer", "Change the data of a customer", http.StatusOK))), api.Answering(s.Log, s.changeCustomer))
	huma.Register(a, api.RequirePermission(push.PermissionErase, newOperation(http.MethodDelete, one, "erase-customer", "Delete a customer with all data", http.StatusNoContent)), api.Answering(s.Log, s.eraseCustomer))
	huma.Register(a, api.RequirePermission(push.PermissionRead, newOperation(http.MethodGet, settings, "show-settings", "Show the settings", http.StatusOK)), api.Answering(s.Log, s.showSettings))
	huma.Register(a, s.choices.Takes(api.RequirePermission(push.PermissionSettings, newOperation(http.MethodPut, settings, "change-settings", "Change the settings", http.StatusOK))), api.Answering(s.Log, s.changeSettings))
	huma.Register(a, api.RequirePermission(push.PermissionRead, newOperation(http.MethodGet, "/v1/stats", "show-stats", "Show how many customers push could reach, by day", http.StatusOK)), api.Answering(s.Log, s.showStats))
	huma.Register(a, importOperation(), api.Answering(s.Log, s.importCustomers))
	huma.Register(a, exportOperation(a), api.Answering(s.Log, s.exportAvailability))
	s.registerReports()
	a.Describe(documentation)
	return a
}

// newOperation describes an operation, with the errors that operations of its method
// have.
func newOperation(method, path, id, summary string, status int) huma.Operation {
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

// acceptMergePatch documents that op accepts a merge patch, with both media types.
// push.ParsePatch reads it.
func acceptMergePatch(a *api.API, op huma.Operation) huma.Operation {
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
