package mailings

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/fcm"
	"carillon.example/shared/personal"
	"carillon.example/shared/push"
)

// createInput is POST /v1/mailings.
type createInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"the same key and body: the same answer again, and nothing is sent twice"`
	Body json.RawMessage
}

// Resolve refuses keys that look like one and are none: an empty one would let
// every try make a mailing, and of two the second would be passed over.
func (in *createInput) Resolve(ctx huma.Context) []error {
	var keys []string
	ctx.EachHeader(func(name, value string) {
		if strings.EqualFold(name, "Idempotency-Key") {
			keys = append(keys, value)
		}
	})

	why := ""
	switch {
	case len(keys) > 1:
		why = "stands twice"
	case len(keys) == 1 && strings.TrimSpace(unquoted(keys[0])) == "":
		why = "is empty; leave it out where a second try may make a second mailing"
	default:
		in.Key = unquoted(in.Key)
		return nil
	}

	return []error{&huma.ErrorDetail{Location: "header.Idempotency-Key", Message: why}}
}

// unquoted is a key without the quotes in which the IETF's draft writes it: "q-1"
// and q-1 are the same key.
func unquoted(key string) string {
	inner, ok := strings.CutPrefix(strings.TrimSpace(key), `"`)
	if inner, closed := strings.CutSuffix(inner, `"`); ok && closed {
		return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(inner)
	}
	return key
}

// createOutput is its answer.
type createOutput struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotency-Replayed" doc:"true when this key and body were handed in before"`
	Body     struct {
		ID    string     `json:"id"`
		State push.State `json:"state" enum:"accepted,scheduled"`
	}
}

func (s *service) create(ctx context.Context, in *createInput) (*createOutput, error) {
	if in.Key == "" && s.RequireKey {
		return nil, api.BadRequest(push.Faults{{Location: "header.Idempotency-Key", Message: "is missing; without it a second try would send a second time"}})
	}
	id, digest := newID(api.Caller(ctx), in.Key), digest(in.Body)
	if in.Key != "" {
		// Before anything is judged: what was right when it came stays so.
		if was, err := s.Store.MailingHeader(ctx, id); err == nil && was.Digest == digest {
			return accepted(was, true), s.start(ctx, was, true)
		} else if err != nil && !push.IsNotFound(err) {
			return nil, err
		}
	}

	now := s.Now().UTC()
	var draft *push.Draft
	var template *personal.Template
	var faults push.Faults
	if err := s.api.Decode(ctx, len(in.Body), func() { draft, template, faults = s.validate(in.Body, now) }); err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		return nil, faults
	}

	m := push.NewMailing(id, digest, *draft, now)
	m.CreatedBy = api.Caller(ctx)
	if err := s.prove(ctx, m, template); err != nil {
		return nil, err
	}

	stored, created, err := s.Store.CreateMailing(ctx, m)
	if err != nil {
		return nil, err
	}
	if created {
		s.audit(ctx, "create-mailing", stored.ID, nil, summary(stored))
	}
	// Not created: the same request came at the same time.
	return accepted(stored, !created), s.start(ctx, stored, in.Key != "")
}

// validate reads a draft and names everything wrong with it, whoever finds it: the
// schema, the draft's own rules, the templates, what Carillon adds to data.
func (s *service) validate(body []byte, now time.Time) (*push.Draft, *personal.Template, push.Faults) {
	draft, faults := s.drafts.Read(body)
	faults = api.Join(faults, draft.Check(now)...)
	if len(draft.Message) > push.MaxMessage || len(draft.Link) > push.MaxLink {
		return nil, nil, faults // Check has said so; compiling it would cost in vain
	}

	template, wrong := personal.Compile(draft.Message, draft.Link)
	faults = api.Join(faults, wrong...)
	_, err := fcm.Compile(draft.Message, fcm.Extra{Link: draft.Link})
	if wrong, ok := errors.AsType[push.Faults](err); ok {
		faults = api.Join(faults, wrong...)
	}
	return draft, template, faults
}

// publishTimeout is how long a request waits for Pub/Sub: what it did is stored,
// and tick publishes what is left.
const publishTimeout = 5 * time.Second

// start publishes the order to start a mailing that is due; of one that was
// handed in before, too, because that may be what its first answer could not
// do. Where it fails, whoever can safely ask again is told to; without a key
// that would make a second mailing, and tick starts this one.
func (s *service) start(ctx context.Context, m *push.Mailing, keyed bool) error {
	if m.State != push.Accepted && !s.startsSoon(m) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	err := s.Queue.PublishDispatch(ctx, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart})
	if err == nil || keyed {
		return err
	}
	s.Log.WarnContext(ctx, "the mailing is recorded, but its start was not published; tick does it", "mailing", m.ID, "error", err)
	return nil
}

// startsSoon reports whether a scheduled mailing starts before tick's next round
// is sure to have seen it. Dispatch asks tick to start it in time: its lifetime may
// be as short as a minute.
func (s *service) startsSoon(m *push.Mailing) bool {
	return m.State == push.Scheduled && m.StartAt.Sub(s.Now()) < 2*time.Minute
}

// accepted is the answer to a mailing when it was taken in, whatever has become
// of it since.
func accepted(m *push.Mailing, replayed bool) *createOutput {
	out := &createOutput{Location: "/v1/mailings/" + m.ID}
	if replayed {
		out.Replayed = "true"
	}
	out.Body.ID, out.Body.State = m.ID, push.Accepted
	if m.StartAt.After(m.CreatedAt) {
		out.Body.State = push.Scheduled
	}
	return out
}

// newID names a mailing by its caller and key, so that one key is one document.
func newID(caller push.Caller, key string) string {
	if key == "" {
		return "m" + strings.ToLower(rand.Text())
	}
	return push.MailingID(caller, key)
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
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

	switch a := s.Proof.Prove(ctx, msg); {
	case a.Outcome == fcm.Accepted:
		m.Proven = true
	case a.Outcome == fcm.Waiting, a.Outcome == fcm.Misconfigured, a.Provisional:
		s.Log.WarnContext(ctx, "a payload is not proven yet", "mailing", m.ID, "outcome", a.Outcome.String(), "text", a.Text)
	case a.HTTP == 0: // it was not even asked
		return push.Faults{{Location: "body.message", Message: a.Text}}
	default:
		return push.Faults{{Location: "body.message", Message: "FCM refuses it: " + a.Text}}
	}

	return nil
}
