package mailings

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/fcm"
	"carillon.example/shared/personal"
	"carillon.example/shared/push"
)

// Deps is what the function works with; Store, Queue and Proof are needed.
type Deps struct {
	Store ledger
	Queue publisher
	Proof prover
	Log   *slog.Logger
	Now   func() time.Time
}

type ledger interface {
	CreateMailing(ctx context.Context, m *push.Mailing) (*push.Mailing, bool, error)
	Mailing(ctx context.Context, id string) (*push.Mailing, error)
	Peek(ctx context.Context, id string) (*push.Mailing, error)
	Totals(ctx context.Context, m *push.Mailing) (push.Totals, error)
	Mailings(ctx context.Context, state push.State, size int, token string) ([]*push.Mailing, string, error)
	Cancel(ctx context.Context, id string) (*push.Mailing, error)
	Pause(ctx context.Context, id string) (*push.Mailing, error)
	Resume(ctx context.Context, id string) (*push.Mailing, error)
	InvalidTokens(ctx context.Context, mailing string, size int, token string) ([]push.Dead, string, error)
	Unflag(ctx context.Context, mailing string) (int, []push.Event, error)
}

type publisher interface {
	Dispatch(ctx context.Context, orders ...push.DispatchOrder) error
	Events(ctx context.Context, events ...push.Event) error
}

type prover interface {
	Prove(ctx context.Context, m *fcm.Message) (fcm.Answer, error)
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
	a := api.New("Carillon: mailings", d.Log)
	huma.Register(a, operation(http.MethodPost, "/v1/mailings", "create-mailing", "Hand in a mailing", http.StatusAccepted), wrap(s, s.create))
	huma.Register(a, operation(http.MethodGet, "/v1/mailings", "list-mailings", "List mailings, the newest first", http.StatusOK), wrap(s, s.list))
	huma.Register(a, operation(http.MethodGet, "/v1/mailings/{id}", "show-mailing", "Show a mailing and where everybody went", http.StatusOK), wrap(s, s.show))
	for name, act := range map[string]action{"cancel": s.Store.Cancel, "pause": s.Store.Pause, "resume": s.Store.Resume} {
		huma.Register(a, operation(http.MethodPost, "/v1/mailings/{id}/"+name, name+"-mailing", strings.ToUpper(name[:1])+name[1:]+" a mailing", http.StatusOK),
			wrap(s, s.act(name, act)))
	}
	huma.Register(a, operation(http.MethodGet, "/v1/mailings/{id}/invalid-tokens", "list-invalid-tokens", "List the tokens a mailing marked invalid", http.StatusOK), wrap(s, s.invalid))
	huma.Register(a, operation(http.MethodPost, "/v1/mailings/{id}/unflag", "unflag", "Take back every mark the mailing set that still stands", http.StatusOK), wrap(s, s.unflag))
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

// createInput is POST /v1/mailings.
type createInput struct {
	Key     string `header:"Idempotency-Key" maxLength:"255" doc:"the same key and body: the same answer again"`
	Body    push.Draft
	RawBody []byte
}

// createOutput is its answer.
type createOutput struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotency-Replayed"`
	Body     struct {
		ID    string     `json:"id"`
		State push.State `json:"state"`
	}
}

func (s *service) create(ctx context.Context, in *createInput) (*createOutput, error) {
	now := s.Now().UTC()
	faults := in.Body.Check(now)
	template, more := personal.Compile(in.Body.Message, in.Body.Link)
	if faults = append(faults, more...); len(faults) > 0 {
		return nil, faults
	}
	digest := sha256.Sum256(in.RawBody)
	m := push.NewMailing(newID(in.Key), hex.EncodeToString(digest[:]), in.Body, now)
	if in.Key != "" {
		if was, err := s.Store.Peek(ctx, m.ID); err == nil && was.Digest == m.Digest {
			return answer(was, true), nil
		}
	}
	if err := s.prove(ctx, m, template); err != nil {
		return nil, err
	}
	stored, created, err := s.Store.CreateMailing(ctx, m)
	if err != nil {
		return nil, err
	}
	if created && stored.State == push.Accepted {
		if err := s.Queue.Dispatch(ctx, push.DispatchOrder{Mailing: stored.ID, Shard: push.Start}); err != nil {
			s.Log.WarnContext(ctx, "the mailing is recorded, but its start was not published; tick does it", "mailing", stored.ID, "error", err)
		}
	}
	return answer(stored, !created), nil
}

func answer(m *push.Mailing, replayed bool) *createOutput {
	out := &createOutput{Location: "/v1/mailings/" + m.ID}
	if replayed {
		out.Replayed = "true"
	}
	out.Body.ID, out.Body.State = m.ID, m.State
	if replayed && m.State != push.Scheduled {
		out.Body.State = push.Accepted // the same answer again
	}
	return out
}

// newID names a mailing by its key, so that one key is one document.
func newID(key string) string {
	if key == "" {
		return "m" + strings.ToLower(rand.Text())
	}
	return "m" + push.TokenID("idempotency\x00"+key)
}

// prove has FCM judge the payload with no token involved; of a personal message
// that of a customer of whom nothing is known. Out of reach, the mailing is
// accepted, and proven before the first batch.
func (s *service) prove(ctx context.Context, m *push.Mailing, t *personal.Template) error {
	message, link, err := t.Render("customer", nil)
	if err != nil {
		return push.Faults{{Location: "body.message", Message: err.Error()}}
	}
	msg, err := fcm.Compile(message, fcm.Extra{MailingID: m.ID, Link: link})
	if err != nil {
		return err
	}
	a, err := s.Proof.Prove(ctx, msg)
	switch {
	case err != nil:
		s.Log.WarnContext(ctx, "FCM could not be asked about a payload", "mailing", m.ID, "error", err)
	case a.Outcome == fcm.Accepted:
		m.Proven = true
	case a.Outcome == fcm.Waiting, a.Outcome == fcm.Misconfigured, a.Provisional:
		s.Log.WarnContext(ctx, "a payload is not proven yet", "mailing", m.ID, "outcome", a.Outcome.String(), "text", a.Text)
	default:
		return push.Faults{{Location: "body.message", Message: "FCM refuses it: " + a.Text}}
	}
	return nil
}
