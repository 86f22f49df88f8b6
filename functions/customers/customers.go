package customers

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// Deps is what the function works with; Store and Queue are needed.
type Deps struct {
	Store ledger
	Queue publisher
	Log   *slog.Logger
	Now   func() time.Time
}

type ledger interface {
	Register(ctx context.Context, customer string, r push.Registration) (store.Registered, error)
	Customer(ctx context.Context, id string) (*push.Customer, error)
	Import(ctx context.Context, lines []store.ImportLine) []error
	Settings(ctx context.Context) (push.Devices, error)
	SetSettings(ctx context.Context, d push.Devices) error
}

type publisher interface {
	Events(ctx context.Context, events ...push.Event) error
}

type service struct{ Deps }

// New makes the function's handler.
func New(d Deps) http.Handler {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	s := &service{d}
	a := api.New("Carillon: customers", d.Log)
	huma.Register(a, operation(http.MethodPost, "/v1/customers/{customer}/tokens", "register-token", "Register a push token", http.StatusCreated), wrap(s, s.register))
	huma.Register(a, operation(http.MethodGet, "/v1/customers/{customer}", "show-customer", "Show a customer and whether push reaches them", http.StatusOK), wrap(s, s.show))
	huma.Register(a, operation(http.MethodGet, "/v1/settings", "show-settings", "Show the settings", http.StatusOK), wrap(s, s.settings))
	huma.Register(a, operation(http.MethodPut, "/v1/settings", "change-settings", "Change the settings", http.StatusOK), wrap(s, s.setSettings))
	imports := operation(http.MethodPost, "/v1/imports", "import-customers", "Import customers, one a line", http.StatusOK)
	imports.MaxBodyBytes = api.MaxImport
	huma.Register(a, imports, wrap(s, s.importLines))
	return a
}

func operation(method, path, id, summary string, status int) huma.Operation {
	return huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, DefaultStatus: status,
		MaxBodyBytes: api.MaxBody, Errors: []int{400, 404, 409, 413, 415, 422, 503}}
}

// wrap puts the table of errors behind a use case.
func wrap[I, O any](s *service, f func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	return func(ctx context.Context, in *I) (*O, error) {
		out, err := f(ctx, in)
		return out, api.Answer(ctx, s.Log, err)
	}
}

type customerInput struct {
	Customer string `path:"customer"`
}

// Resolve checks the id before anything is done with it.
func (in *customerInput) Resolve(huma.Context) []error {
	if why := push.CheckCustomerID(in.Customer); why != "" {
		return []error{&huma.ErrorDetail{Location: "path.customer", Message: why}}
	}
	return nil
}

// staleAfter is how long a token may go unseen before it is shown as stale
// (Google's advice: a month).
const staleAfter = 30 * 24 * time.Hour

type tokenBody struct {
	ID       string        `json:"id"`
	Kind     push.Kind     `json:"kind"`
	Platform push.Platform `json:"platform"`
	App      string        `json:"app"`
	AddedAt  time.Time     `json:"addedAt"`
	SeenAt   time.Time     `json:"seenAt"`
	Valid    bool          `json:"valid"`
	Latest   bool          `json:"latest"`
	Stale    bool          `json:"stale"`
	Invalid  *push.Invalid `json:"invalid,omitempty"`
}

func (s *service) token(t push.Token, latest string) tokenBody {
	return tokenBody{ID: t.ID, Kind: t.Kind, Platform: t.Platform, App: t.App, AddedAt: t.AddedAt, SeenAt: t.SeenAt,
		Valid: t.Valid(), Latest: t.ID == latest, Stale: s.Now().Sub(t.SeenAt) > staleAfter, Invalid: t.Invalid}
}

type customerOutput struct {
	Body struct {
		ID            string          `json:"id"`
		PushAvailable bool            `json:"pushAvailable"`
		Tokens        []tokenBody     `json:"tokens"`
		Segments      []string        `json:"segments"`
		Attributes    map[string]any  `json:"attributes"`
		OptedOut      bool            `json:"optedOut"`
		Categories    map[string]bool `json:"categories"`
		TimeZone      string          `json:"timeZone"`
	}
}

func (s *service) show(ctx context.Context, in *customerInput) (*customerOutput, error) {
	c, err := s.Store.Customer(ctx, in.Customer)
	if err != nil {
		return nil, err
	}
	out := &customerOutput{}
	b := &out.Body
	b.ID, b.PushAvailable, b.Tokens = c.ID, c.Reachable(), []tokenBody{}
	latest, _ := c.Latest()
	for _, t := range c.Tokens {
		b.Tokens = append(b.Tokens, s.token(t, latest.ID))
	}
	b.Segments, b.Attributes, b.OptedOut, b.Categories, b.TimeZone = c.Segments, c.Attributes, c.OptedOut, c.Categories, c.TimeZone
	return out, nil
}

// registration is a token as it is reported.
type registration struct {
	Token    string        `json:"token,omitempty" doc:"a registration token"`
	FID      string        `json:"fid,omitempty" doc:"or a Firebase Installation ID"`
	Platform push.Platform `json:"platform,omitempty" enum:"android,ios,web"`
	App      string        `json:"app,omitempty" maxLength:"200"`
	AddedAt  *time.Time    `json:"addedAt,omitempty" doc:"imports only"`
}

func (r *registration) check(at string) (push.Registration, push.Faults) {
	out := push.Registration{Kind: push.KindToken, Value: r.Token, Platform: r.Platform, App: r.App}
	var faults push.Faults
	if (r.Token == "") == (r.FID == "") {
		faults = append(faults, push.Fault{Location: at, Message: "needs exactly one of token and fid"})
	}
	if r.FID != "" {
		out.Kind, out.Value = push.KindFID, r.FID
	}
	if why := push.CheckToken(out.Value); why != "" && out.Value != "" {
		faults = append(faults, push.Fault{Location: at + "." + string(out.Kind), Message: why})
	}
	switch r.Platform {
	case "", push.Android, push.IOS, push.Web:
	default:
		faults = append(faults, push.Fault{Location: at + ".platform", Message: "is none of android, ios and web"})
	}
	if r.AddedAt != nil {
		out.AddedAt = *r.AddedAt
	}
	return out, faults
}

type registerInput struct {
	Customer string `path:"customer"`
	Body     registration
}

// Resolve checks the id before anything is done with it.
func (in *registerInput) Resolve(huma.Context) []error {
	return (&customerInput{in.Customer}).Resolve(nil)
}

type registerOutput struct {
	Status int
	Body   tokenBody
}

func (s *service) register(ctx context.Context, in *registerInput) (*registerOutput, error) {
	r, faults := in.Body.check("body")
	if len(faults) > 0 {
		return nil, faults
	}
	r.AddedAt = time.Time{}
	done, err := s.Store.Register(ctx, in.Customer, r)
	if err != nil {
		return nil, err
	}
	if err := s.Queue.Events(ctx, done.Events...); err != nil {
		s.Log.WarnContext(ctx, "a change of availability was not published yet", "error", err)
	}
	latest, _ := done.Customer.Latest()
	out := &registerOutput{Status: http.StatusOK, Body: s.token(done.Token, latest.ID)}
	if done.Created {
		out.Status = http.StatusCreated
	}
	return out, nil
}

type settingsBody struct {
	Body struct {
		Devices push.Devices `json:"devices" enum:"all,latest"`
	}
}

func (s *service) settings(ctx context.Context, _ *struct{}) (*settingsBody, error) {
	d, err := s.Store.Settings(ctx)
	out := &settingsBody{}
	out.Body.Devices = d
	return out, err
}

func (s *service) setSettings(ctx context.Context, in *settingsBody) (*settingsBody, error) {
	return in, s.Store.SetSettings(ctx, in.Body.Devices)
}
