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
	KeyHeader
	Body json.RawMessage
}

// KeyHeader is the header by which a repeated request is recognised. It is exported because
// huma does not fill in fields of an unexported struct that inputs embed.
type KeyHeader struct {
	Key string `header:"Idempotency-Key" maxLength:"255" doc:"with the same key and body the answer is the same again, and nothing is sent twice"`
}

// Resolve refuses wrong keys: with an empty key every request would send again, and the second
// of two keys would be ignored.
func (in *KeyHeader) Resolve(ctx huma.Context) []error {
	var keys []string
	ctx.EachHeader(func(name, value string) {
		if strings.EqualFold(name, "Idempotency-Key") {
			keys = append(keys, value)
		}
	})

	why := ""
	switch {
	case len(keys) > 1:
		why = "is given twice"
	case len(keys) == 1 && strings.TrimSpace(unquoteKey(keys[0])) == "":
		why = "is empty; leave it out where a second try may send a second time"
	default:
		in.Key = unquoteKey(in.Key)
		return nil
	}

	return []error{&huma.ErrorDetail{Location: "header.Idempotency-Key", Message: why}}
}

// unquoteKey returns a key without the quotes of the IETF draft: "q-1" and q-1 are the
// same key.
func unquoteKey(key string) string {
	inner, ok := strings.CutPrefix(strings.TrimSpace(key), `"`)
	if inner, closed := strings.CutSuffix(inner, `"`); ok && closed {
		return strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(inner)
	}
	return key
}

// createOutput is the answer to POST /v1/mailings.
type createOutput struct {
	Location string `header:"Location"`
	Replayed string `header:"Idempotency-Replayed" doc:"true if this key and body were sent before"`
	Body     struct {
		ID    string     `json:"id"`
		State push.State `json:"state" enum:"accepted,scheduled"`
	}
}

// missingKey is the fault of a request without a key where one is required.
var missingKey = push.Faults{{Location: "header.Idempotency-Key", Message: "is missing; without it a second try would send a second time"}}

// createMailing answers POST /v1/mailings: it checks the draft, has the payload proven,
// stores the mailing and publishes its start.
func (s *service) createMailing(ctx context.Context, in *createInput) (*createOutput, error) {
	if in.Key == "" && s.RequireKey {
		return nil, api.BadRequest(missingKey)
	}
	id, digest := newMailingID(api.Caller(ctx), in.Key), digestOf(in.Body)
	if in.Key != "" {
		// Before any check, because a request that was accepted stays accepted: a repeated one
		// gets the same answer even if its draft would be refused now.
		if was, err := s.Store.ReadMailingHeader(ctx, id); err == nil && was.Digest == digest {
			return newCreateOutput(was, true), s.publishStart(ctx, was, true)
		} else if err != nil && !push.IsNotFound(err) {
			return nil, err
		}
	}

	now := s.Now().UTC()
	var draft *compiledDraft
	var faults push.Faults
	if err := s.api.Decode(ctx, len(in.Body), func() { draft, faults = s.validateDraft(in.Body, now) }); err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		return nil, faults
	}

	m := push.NewMailing(id, digest, *draft.Draft, now)
	m.CreatedBy = api.Caller(ctx)
	err := s.provePayloads(ctx, m, draft.templates)
	if err != nil {
		return nil, err
	}

	if m.Label, err = s.labelFor(ctx, m); err != nil {
		return nil, err
	}
	stored, created, err := s.Store.CreateMailing(ctx, m)
	if err != nil {
		return nil, err
	}
	if created {
		s.auditChange(ctx, "create-mailing", stored.ID, nil, newAuditedDraft(stored))
	}
	// Not created: of two equal requests at the same time the store takes one.
	return newCreateOutput(stored, !created), s.publishStart(ctx, stored, in.Key != "")
}

// A compiledDraft is a checked draft with its templates, one for each payload.
type compiledDraft struct {
	*push.Draft
	templates []*personal.Template
}

// validateDraft reads a draft and returns every fault of it.
func (s *service) validateDraft(body []byte, now time.Time) (*compiledDraft, push.Faults) {
	draft, faults := s.drafts.Read(body)
	return s.compileDraft(draft, faults, now)
}

// compileDraft compiles the templates of a draft, and adds its faults to those that its
// schema has found: by the rules of drafts, the templates, and the additions of
// Carillon to data.
func (s *service) compileDraft(draft *push.Draft, faults push.Faults, now time.Time) (*compiledDraft, push.Faults) {
	faults = api.Join(faults, draft.Check(now)...)
	out := &compiledDraft{Draft: draft}
	for i, p := range draft.ListPayloads() {
		if i == push.MaxVariants || len(p.Message) > push.MaxMessage || len(p.Link) > push.MaxLink {
			break // Check has reported it; there is no need to compile it
		}
		template, wrong := compilePayload(p)
		faults = api.Join(faults, wrong.WithLocation(draft.PayloadAt(i))...)
		out.templates = append(out.templates, template)
	}
	return out, faults
}

// compilePayload compiles the templates of a message and its link, and returns their
// faults.
func compilePayload(p push.Variant) (*personal.Template, push.Faults) {
	template, faults := personal.Compile(p.Message, p.Link)
	_, err := fcm.Compile(p.Message, fcm.Extra{Link: p.Link})
	if wrong, ok := errors.AsType[push.Faults](err); ok {
		faults = api.Join(faults, wrong...)
	}
	return template, faults
}

// labelsADay is how many mailings of a day (of UTC) have a label of their own. FCM
// counts at most 100 labels a day.
const labelsADay = 90

// labelFor returns FCM's analytics label of a mailing: its id, by which Firebase's
// reports and its BigQuery export count the messages. When a day has many mailings,
// later ones share one label. A dry run has none, since no phone gets it.
func (s *service) labelFor(ctx context.Context, m *push.Mailing) (string, error) {
	if m.DryRun {
		return "", nil
	}
	day := m.CreatedAt.UTC().Truncate(24 * time.Hour)
	n, err := s.Store.CountMailingsSince(ctx, day)
	if err != nil {
		return "", err
	}
	if n >= labelsADay {
		return "other-" + day.Format("2006-01-02"), nil
	}
	return m.ID, nil
}

// publishTimeout is how long a request waits for Pub/Sub. The mailing is stored, and
// tick publishes the rest.
const publishTimeout = 5 * time.Second

// publishStart publishes the message that starts a mailing that is due, also for a repeated
// request: the first one may have failed to publish. If it fails and there is a key, the
// error asks the caller to try again. Without a key that would make a second mailing, so it
// is only logged, and tick starts this mailing.
func (s *service) publishStart(ctx context.Context, m *push.Mailing, keyed bool) error {
	if m.State != push.Accepted && !s.startsSoon(m) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	err := s.Queue.PublishDispatch(ctx, push.DispatchMessage{Mailing: m.ID, Shard: push.DispatchStart})
	if err == nil || keyed {
		return err
	}
	s.Log.WarnContext(ctx, "the mailing is stored, but its start was not published; tick publishes it", "mailing", m.ID, "error", err)
	return nil
}

// startsSoon reports whether a scheduled mailing starts before the next round of tick
// has certainly seen it. Dispatch wakes tick then: the lifetime may be as short as a
// minute.
func (s *service) startsSoon(m *push.Mailing) bool {
	return m.State == push.Scheduled && m.StartAt.Sub(s.Now()) < 2*time.Minute
}

// newCreateOutput is the answer for a mailing at the time when it was accepted, whatever
// happened to it since.
func newCreateOutput(m *push.Mailing, replayed bool) *createOutput {
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

// newMailingID returns the id of a mailing by its caller and key, so that one key is one
// document.
func newMailingID(caller push.Caller, key string) string {
	if key == "" {
		return "m" + strings.ToLower(rand.Text())
	}
	return push.MailingID(caller, key)
}

// digestOf returns a hash of a body. Two requests with one key are the same request if
// their digests are equal.
func digestOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// provePayloads asks FCM about each payload without any token; about a personal one with the
// text of a customer without data. If FCM is out of reach, the mailing is accepted, and
// proven before its first batch.
func (s *service) provePayloads(ctx context.Context, m *push.Mailing, templates []*personal.Template) error {
	proven := true
	for i, t := range templates {
		ok, err := s.provePayload(ctx, m.ID, t)
		if faults, wrong := errors.AsType[push.Faults](err); wrong {
			return faults.WithLocation(m.PayloadAt(i))
		}
		if err != nil {
			return err
		}
		proven = proven && ok
	}

	m.Proven = proven
	return nil
}

// provePayload reports whether FCM accepts a payload; false: FCM could not be asked. If it
// refuses it, the error is push.Faults.
func (s *service) provePayload(ctx context.Context, id string, t *personal.Template) (bool, error) {
	message, link, err := t.Render("customer", nil)
	if err != nil {
		return false, push.Faults{{Location: "body.message", Message: err.Error()}}
	}
	msg, err := fcm.Compile(message, fcm.Extra{MailingID: id, Link: link})
	if err != nil {
		return false, err
	}

	switch a := s.Proof.ProvePayload(ctx, msg); {
	case a.Class == fcm.Accepted:
		return true, nil
	case a.Class == fcm.Waiting, a.Class == fcm.Misconfigured, a.Provisional:
		s.Log.WarnContext(ctx, "a payload is not proven yet", "mailing", id, "outcome", a.Class.String(), "text", a.Text)
		return false, nil
	case a.HTTP == 0: // FCM was not asked
		return false, push.Faults{{Location: "body.message", Message: a.Text}}
	default:
		return false, push.Faults{{Location: "body.message", Message: "FCM refuses it: " + a.Text}}
	}
}
