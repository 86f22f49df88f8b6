package devices

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/auth"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// MaxBody is the limit of a body in bytes; a push token has at most push.MaxToken.
const MaxBody = 4 << 10

// Deps are the dependencies and settings of the function. Store, Queue and Auth are
// required.
type Deps struct {
	Store   dataStore
	Queue   publisher
	Auth    verifier
	Claim   string           // the claim of the ID token that names the customer; "", uid or sub: the user id
	Tenant  string           // the tenant of Identity Platform whose tokens are accepted; "": those without a tenant
	Origins []string         // origins of web pages that may call; none: only apps
	Log     *slog.Logger     // nil: the default
	Now     func() time.Time // nil: time.Now
	Timeout time.Duration    // timeout of the function; 0: api.DefaultTimeout

	AppCheck AppCheck     // whether App Check tokens are verified; "": AppCheckOff
	Apps     appVerifier  // required unless AppCheck is off
	Limits   *push.Limits // of each customer; nil: push.DefaultLimits

	// EventsPerHour limits the events that each customer reports to an instance; 0: 600.
	EventsPerHour int
}

// dataStore is what the function needs of the store.
type dataStore interface {
	RegisterToken(ctx context.Context, customer string, r push.Registration) (store.RegistrationResult, error)
	UnregisterToken(ctx context.Context, customer, tokenID string) ([]push.Event, error)
	MarkEventsPublished(ctx context.Context, events ...push.Event) error
	RecordReports(ctx context.Context, list []push.Report, publish store.PublishEvents) (store.RecordedReports, error)
}

// publisher is what the function needs of the queue.
type publisher interface {
	PublishEvents(ctx context.Context, events ...push.Event) error
}

// verifier verifies ID tokens.
type verifier interface {
	Verify(ctx context.Context, token string) (auth.Identity, error)
}

// appVerifier verifies App Check tokens.
type appVerifier interface {
	VerifyApp(ctx context.Context, token string) (app string, err error)
}

// AppCheck says what happens to a request without a valid App Check token.
type AppCheck string

// AppCheckOff needs no token, AppCheckLog logs a line without one, AppCheckEnforce
// refuses the request.
const (
	AppCheckOff     AppCheck = "off"
	AppCheckLog     AppCheck = "log"
	AppCheckEnforce AppCheck = "enforce"
)

// service has what all requests of an instance share.
type service struct {
	Deps
	bodies *api.Form[registration]
	events *api.Form[phoneEvents]
	limit  *eventLimit
}

// New makes the handler of the function. All of it needs an ID token, its OpenAPI
// document too.
func New(d Deps) http.Handler {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	d.Claim = cmp.Or(d.Claim, "uid")
	if d.Limits == nil {
		d.Limits = &push.DefaultLimits
	}

	d.Log = api.Logger(d.Log)
	a := api.New("Carillon: devices", d.Log, api.Options{Timeout: d.Timeout, Identify: func(r *http.Request) push.Caller { return api.Caller(r.Context()) }, AnyOrigin: true})
	s := &service{Deps: d, bodies: api.NewForm[registration](a), events: api.NewForm[phoneEvents](a), limit: newEventLimit(cmp.Or(d.EventsPerHour, defaultEventsPerHour))}
	post := newOperation(http.MethodPost, "/v1/devices", "register-device", "Register the caller's push token")
	post.Errors = append(post.Errors, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusConflict, http.StatusTooManyRequests)
	post.DefaultStatus = http.StatusCreated
	huma.Register(a, s.bodies.Takes(post), api.Answering(s.Log, s.registerToken))
	del := newOperation(http.MethodDelete, "/v1/devices/{tokenId}", "unregister-device", "Remove the caller's push token")
	del.Errors = append(del.Errors, http.StatusNotFound)
	del.DefaultStatus = http.StatusNoContent
	huma.Register(a, del, api.Answering(s.Log, s.unregisterToken))
	s.registerReports(a)
	a.Describe(documentation)
	return &authMiddleware{d, a}
}

// newOperation describes an operation, with the errors that all operations have.
func newOperation(method, path, id, summary string) huma.Operation {
	return huma.Operation{Method: method, Path: path, OperationID: id, Summary: summary, MaxBodyBytes: MaxBody,
		Security: []map[string][]string{{"idToken": {}}},
		Errors:   []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusServiceUnavailable}}
}

// registration is a push token as an app reports it.
type registration struct {
	Token         string             `json:"token,omitempty" doc:"a registration token"`
	FID           string             `json:"fid,omitempty" doc:"instead of token: a Firebase installation id"`
	Platform      push.Platform      `json:"platform" enum:"android,ios,web"`
	App           string             `json:"app,omitempty" doc:"the name of the app, if the customer's tokens come from several apps; at most 200 bytes"`
	Notifications push.Notifications `json:"notifications,omitempty" enum:"on,off" doc:"whether the phone shows notifications"`
	TimeZone      string             `json:"timeZone,omitempty" doc:"the time zone of the phone (a name of the IANA database); it becomes the customer's"`
	Device        string             `json:"device,omitempty" doc:"an id that the app keeps across reinstalls, at most 200 bytes: a second token of the same device and app replaces the first"`
}

// checkRegistration converts what the schema accepts, and adds the faults that the schema cannot
// find.
func (r *registration) checkRegistration(faults push.Faults) (push.Registration, push.Faults) {
	out := push.Registration{Kind: push.KindToken, Value: r.Token, Platform: r.Platform, App: r.App, Device: r.Device, Notifications: r.Notifications, TimeZone: r.TimeZone}
	var wrong push.Faults
	if (r.Token == "") == (r.FID == "") && !api.NamesField(faults, "body.token", "body.fid") {
		wrong = append(wrong, push.Fault{Location: "body", Message: "needs exactly one of token and fid"})
	}
	if r.FID != "" {
		out.Kind, out.Value = push.KindFID, r.FID
	}
	if why := push.CheckToken(out.Value); why != "" && out.Value != "" {
		wrong = append(wrong, push.Fault{Location: "body." + string(out.Kind), Message: why})
	}
	if why := push.CheckApp(r.App); why != "" {
		wrong = append(wrong, push.Fault{Location: "body.app", Message: why})
	}
	if why := push.CheckTimeZone(r.TimeZone); why != "" {
		wrong = append(wrong, push.Fault{Location: "body.timeZone", Message: why})
	}
	if why := push.CheckDevice(r.Device); why != "" {
		wrong = append(wrong, push.Fault{Location: "body.device", Message: why})
	}

	return out, api.Join(faults, wrong...)
}

// registerInput is POST /v1/devices.
type registerInput struct {
	Body json.RawMessage
}

// registerOutput is the answer to a registration: 201 for a new token, 200 for a known one.
type registerOutput struct {
	Status int
	Body   struct {
		ID       string        `json:"id" doc:"the id with which the token is unregistered"`
		Kind     push.Kind     `json:"kind" enum:"token,fid"`
		Platform push.Platform `json:"platform"`
		App      string        `json:"app" doc:"the app that the request names"`
		Valid    bool          `json:"valid"`
	}
}

// registerToken answers POST /v1/devices. The customer is that of the ID token.
func (s *service) registerToken(ctx context.Context, in *registerInput) (*registerOutput, error) {
	body, faults := s.bodies.Read(in.Body)
	r, faults := body.checkRegistration(faults)
	if len(faults) > 0 {
		return nil, faults
	}

	r.Limits = s.Limits
	done, err := s.Store.RegisterToken(ctx, customerOf(ctx), r)
	if err != nil {
		return nil, err
	}

	queue.PublishEvents(ctx, s.Queue, s.Store, s.Log, done.Events)
	t := done.Token
	out := &registerOutput{Status: http.StatusOK}
	if done.Created {
		out.Status = http.StatusCreated
	}

	// App is answered as it was sent: the caller must not learn the app of a token
	// that another customer had.
	b := &out.Body
	b.ID, b.Kind, b.Platform, b.App, b.Valid = t.ID, t.Kind, t.Platform, r.App, t.Valid()
	return out, nil
}

// unregisterInput is DELETE /v1/devices/{tokenId}.
type unregisterInput struct {
	TokenID string `path:"tokenId" pattern:"^[0-9a-v]{32}$" patternDescription:"a token's id" doc:"the id from the answer to POST /v1/devices"`
}

// unregisterToken answers DELETE /v1/devices/{tokenId}.
func (s *service) unregisterToken(ctx context.Context, in *unregisterInput) (*struct{}, error) {
	events, err := s.Store.UnregisterToken(ctx, customerOf(ctx), in.TokenID)
	if err != nil {
		return nil, err
	}
	queue.PublishEvents(ctx, s.Queue, s.Store, s.Log, events)
	return nil, nil
}
