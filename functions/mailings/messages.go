package mailings

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/api"
	"carillon.example/shared/cloud"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

// messageStore creates and reads messages to one customer.
type messageStore interface {
	CreateMessage(ctx context.Context, m *push.Message) (*push.Message, bool, error)
	ReadMessage(ctx context.Context, id string) (*push.Message, error)
	CountMessageReports(ctx context.Context, m *push.Message) (push.Reported, error)
}

const (
	// maxResultWait is how long a request waits at most for the result of its message.
	maxResultWait = 30 * time.Second
	// firstRead is after how long such a request reads the message first. Each further
	// wait is half as long again, up to maxReadWait: a wait costs few reads.
	firstRead   = 150 * time.Millisecond
	maxReadWait = 2 * time.Second
	// storedAtOnce is how many messages of one request are stored at the same time.
	storedAtOnce = 32
)

// sendInput is POST /v1/messages.
type sendInput struct {
	KeyHeader
	Wait string `query:"wait" maxLength:"20" doc:"how long to wait for the result, as 10s; at most 30s"`
	Body json.RawMessage
}

// parseWait returns how long to wait for the result.
func (in *sendInput) parseWait() (time.Duration, error) {
	if in.Wait == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(in.Wait)
	if err != nil || d < 0 || d > maxResultWait {
		return 0, push.Faults{{Location: "query.wait", Message: fmt.Sprintf("must be a duration between 0s and %s, like 10s", maxResultWait)}}
	}
	return d, nil
}

// sendOutput is the answer to POST /v1/messages: 202 with id and state, or 200 with the result.
type sendOutput struct {
	Status   int
	Location string `header:"Location"`
	Replayed string `header:"Idempotency-Replayed" doc:"true if this key and body were sent before"`
	Body     sentBody
}

// sentBody is a message as the API shows it. Right after it was accepted it has its id
// and its state.
type sentBody struct {
	ID          string          `json:"id"`
	State       push.State      `json:"state" enum:"accepted,completed,expired,refused" doc:"accepted: some token has no result yet; completed: each token has its result, or the customer is left out"`
	Excluded    push.Exclusion  `json:"excluded,omitempty" enum:"unknown,noValidToken,optedOut,category,muted,filtered" doc:"why the customer is left out"`
	Refusal     string          `json:"refusal,omitempty" doc:"why the message is refused"`
	Reason      string          `json:"reason,omitempty" doc:"why it waits, or why a token failed"`
	Customer    string          `json:"customer,omitempty"`
	Title       string          `json:"title,omitempty" doc:"the title of its notification before templates are rendered, at most 300 bytes"`
	CreatedAt   *time.Time      `json:"createdAt,omitempty"`
	CreatedBy   push.Caller     `json:"createdBy,omitempty" doc:"who created it"`
	CompletedAt *time.Time      `json:"completedAt,omitempty"`
	ExpiresAt   *time.Time      `json:"expiresAt,omitempty"`
	Tokens      []recipientBody `json:"tokens,omitempty" doc:"the tokens that it is sent to; absent until deliver has read the message"`
	Reported    *push.Reported  `json:"reported,omitempty" doc:"what its phones reported; only GET /v1/messages/{id} shows it"`
}

// recipientBody is what became of one token.
type recipientBody struct {
	ID       string        `json:"id" doc:"the token's id"`
	Kind     push.Kind     `json:"kind"`
	Platform push.Platform `json:"platform"`
	App      string        `json:"app"`
	Result   string        `json:"result" enum:"pending,accepted,invalid,refused,failed,expired,cancelled" doc:"accepted by FCM, which does not say whether it was delivered; pending: not answered yet"`
	Code     string        `json:"code,omitempty" doc:"only with the result invalid: UNREGISTERED, INVALID_ARGUMENT or SENDER_ID_MISMATCH"`
	Opened   *time.Time    `json:"opened,omitempty" doc:"when it was opened on this phone, as the app reported it"`
}

// newSentBody returns a message as the API shows it.
func newSentBody(m *push.Message) sentBody {
	b := sentBody{
		ID: m.ID, State: m.State, Excluded: m.Excluded, Refusal: m.Refusal, Reason: m.Batch.Reason, Customer: m.Customer, Title: m.Title,
		CreatedAt: timeOrNil(m.CreatedAt), CreatedBy: m.CreatedBy, CompletedAt: timeOrNil(m.CompletedAt), ExpiresAt: timeOrNil(m.ExpiresAt),
	}
	for _, r := range m.Recipients {
		b.Tokens = append(b.Tokens, recipientBody{ID: r.TokenID, Kind: r.Kind, Platform: r.Platform, App: r.App, Result: r.Result.String(), Code: r.Result.FlagCode(), Opened: timeOrNil(r.Opened.UTC())})
	}
	return b
}

// sendMessage accepts a message to one customer. It costs one write.
func (s *service) sendMessage(ctx context.Context, in *sendInput) (*sendOutput, error) {
	if in.Key == "" && s.RequireKey {
		return nil, api.BadRequest(missingKey)
	}
	wait, err := in.parseWait()
	if err != nil {
		return nil, err
	}

	var m *push.Message
	var faults push.Faults
	if err := s.api.Decode(ctx, len(in.Body), func() { m, faults = s.newMessage(ctx, in.Body, in.Key) }); err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		return nil, faults
	}
	stored, created, err := s.storeMessage(ctx, m, in.Key != "")
	if err != nil {
		return nil, err
	}

	out := &sendOutput{Status: http.StatusAccepted, Location: "/v1/messages/" + stored.ID}
	if !created {
		out.Replayed = "true"
	}
	out.Body = sentBody{ID: stored.ID, State: push.Accepted}
	if done := s.awaitMessage(ctx, stored, wait); done != nil {
		out.Status, out.Body = http.StatusOK, newSentBody(done)
	}
	return out, nil
}

// newMessage makes a message of a body, or names its faults.
func (s *service) newMessage(ctx context.Context, body []byte, key string) (*push.Message, push.Faults) {
	draft, faults := s.messages.Read(body)
	faults = api.Join(faults, draft.Check()...)
	if len(draft.Message) <= push.MaxMessage && len(draft.Link) <= push.MaxLink {
		faults = api.Join(faults, s.checkPayload(draft)...)
	}
	if len(faults) > 0 {
		return nil, faults
	}

	id := "s" + strings.ToLower(rand.Text())
	if key != "" {
		id = push.MessageID(api.Caller(ctx), key)
	}
	m := push.NewMessage(id, digestOf(body), *draft, s.Now().UTC())
	m.CreatedBy = api.Caller(ctx)
	return m, nil
}

// checkPayload returns the faults of the templates and of the payload. It renders the
// message for a customer without attributes.
func (s *service) checkPayload(d *push.MessageDraft) push.Faults {
	t, faults := s.templates.CompileMessage(d.Message, d.Link)
	if len(faults) > 0 {
		return faults
	}
	message, link, err := t.RenderMessage(d.Customer, nil, d.Values)
	if err != nil {
		return push.Faults{{Location: "body.message", Message: err.Error()}}
	}

	compiled, err := fcm.Compile(message, fcm.Extra{MailingID: push.MessageID("", ""), Link: link})
	if faults, ok := errors.AsType[push.Faults](err); ok {
		return faults
	}
	if n := compiled.Size(d.Customer); n > fcm.MaxSize {
		return push.Faults{{Location: "body.message", Message: fmt.Sprintf("has %d bytes of payload; FCM accepts %d", n, fcm.MaxSize)}}
	}
	return nil
}

// storeMessage stores a message and publishes it, also one that was stored before: the
// first request may have failed to publish it. If publishing fails, the caller is asked
// to try again if there is a key. Without a key that would send a second message; tick
// publishes this one.
func (s *service) storeMessage(ctx context.Context, m *push.Message, keyed bool) (*push.Message, bool, error) {
	stored, created, err := s.Store.CreateMessage(ctx, m)
	if err != nil {
		return nil, false, err
	}
	if created {
		api.Audit(ctx, s.Log, api.Change{Operation: "send-message", Message: stored.ID, Customer: stored.Customer})
	}
	if stored.State != push.Accepted {
		return stored, created, nil
	}

	publishing, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := s.Queue.PublishMessages(publishing, stored.PublishedRef()); err != nil {
		if keyed {
			return nil, false, err
		}
		s.Log.WarnContext(ctx, "the message is stored, but was not published; tick publishes it", "message_id", stored.ID, "error", err)
	}
	return stored, created, nil
}

// awaitMessage waits until no token of the message is pending, and returns it then; nil
// if that takes too long. A read that fails ends the wait, because the message is
// accepted all the same.
func (s *service) awaitMessage(ctx context.Context, m *push.Message, wait time.Duration) *push.Message {
	if wait <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()

	for pause := firstRead; cloud.Sleep(ctx, pause) == nil; pause = min(pause+pause/2, maxReadWait) {
		now, err := s.Store.ReadMessage(ctx, m.ID)
		if err != nil {
			return nil
		}
		if now.State != push.Accepted {
			return now
		}
	}

	return nil
}

// showMessage shows a message, and what phones reported of it.
func (s *service) showMessage(ctx context.Context, in *idInput) (*shownOutput, error) {
	m, err := s.Store.ReadMessage(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	reported, err := s.Store.CountMessageReports(ctx, m)
	if err != nil {
		return nil, err
	}
	out := &shownOutput{newSentBody(m)}
	out.Body.Reported = &reported
	return out, nil
}

// shownOutput is the answer to GET /v1/messages/{id}.
type shownOutput struct{ Body sentBody }

// sendManyInput is POST /v1/messages:batch.
type sendManyInput struct {
	KeyHeader
	Body json.RawMessage
}

// manyDrafts is the body of POST /v1/messages:batch. The drafts are read one by one, so that each has its own
// faults.
type manyDrafts struct {
	Messages []json.RawMessage `json:"messages"`
}

// sendManyOutput is the answer to POST /v1/messages:batch: a result for each message, in their
// order.
type sendManyOutput struct {
	Body struct {
		Messages []sentOrRefused `json:"messages" nullable:"false"`
	}
}

// sentOrRefused is the result of one message of a request: its id and state, or what is
// wrong with it.
type sentOrRefused struct {
	ID       string       `json:"id,omitempty"`
	State    push.State   `json:"state,omitempty" enum:"accepted"`
	Replayed bool         `json:"replayed,omitempty" doc:"true if this key and message were sent before"`
	Problem  *api.Problem `json:"problem,omitempty" doc:"why it was not accepted; the others are not affected"`
}

// sendMessages accepts up to 500 messages, each by itself.
func (s *service) sendMessages(ctx context.Context, in *sendManyInput) (*sendManyOutput, error) {
	if in.Key == "" && s.RequireKey {
		return nil, api.BadRequest(missingKey)
	}
	var drafts manyDrafts
	if err := json.Unmarshal(in.Body, &drafts); err != nil {
		return nil, push.Faults{{Location: "body", Message: `must be a JSON object with "messages"`}}
	}
	if n := len(drafts.Messages); n == 0 || n > push.MaxMessages {
		return nil, push.Faults{{Location: "body.messages", Message: fmt.Sprintf("has %d messages; it must have 1 to %d", n, push.MaxMessages)}}
	}

	out := &sendManyOutput{}
	out.Body.Messages = make([]sentOrRefused, len(drafts.Messages))
	var g errgroup.Group
	g.SetLimit(storedAtOnce)
	for i, body := range drafts.Messages {
		key := ""
		if in.Key != "" {
			key = fmt.Sprintf("%s\x00%d", in.Key, i)
		}
		g.Go(func() error {
			out.Body.Messages[i] = s.acceptMessage(ctx, body, key)
			return nil
		})
	}
	_ = g.Wait() // it is nil: each message has its own result
	if p := allUnavailable(out.Body.Messages); p != nil {
		return nil, p
	}
	return out, nil
}

// allUnavailable returns the problem of the first message if each of them failed because
// something is out of reach: then the whole request is to be tried again.
func allUnavailable(list []sentOrRefused) error {
	for _, x := range list {
		if x.Problem == nil || x.Problem.Status != http.StatusServiceUnavailable {
			return nil
		}
	}
	return list[0].Problem
}

// acceptMessage accepts one message of many.
func (s *service) acceptMessage(ctx context.Context, body []byte, key string) sentOrRefused {
	var m *push.Message
	var faults push.Faults
	err := s.api.Decode(ctx, len(body), func() { m, faults = s.newMessage(ctx, body, key) })
	if err == nil {
		err = faults.Err()
	}
	var created bool
	if err == nil {
		m, created, err = s.storeMessage(ctx, m, key != "")
	}
	if err != nil {
		p, _ := errors.AsType[*api.Problem](api.ToProblem(ctx, s.Log, err)) // it makes nothing else
		return sentOrRefused{Problem: p}
	}
	return sentOrRefused{ID: m.ID, State: push.Accepted, Replayed: !created}
}
