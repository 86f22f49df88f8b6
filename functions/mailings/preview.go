package mailings

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"carillon.example/shared/api"
	"carillon.example/shared/fcm"
	"carillon.example/shared/personal"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// previewStore has what a preview reads.
type previewStore interface {
	SampleAudience(ctx context.Context, a push.Audience, size int, attributes ...string) (*store.AudienceSample, error)
	ReadSettings(ctx context.Context) (push.Settings, error)
	ReadCustomer(ctx context.Context, id string) (*push.Customer, error)
}

const (
	// previewSample is how many customers of the audience a preview reads.
	previewSample = 200
	// previewID takes the place of the id that the mailing would get.
	previewID = "preview"
)

// previewDraft is the body of POST /v1/mailings/preview.
type previewDraft struct {
	push.Draft
	Customer string `json:"customer,omitempty" maxLength:"512" doc:"the customer whose text is shown; absent: a customer of the audience"`
}

// previewInput is POST /v1/mailings/preview.
type previewInput struct {
	Body json.RawMessage
}

// previewOutput is the answer to POST /v1/mailings/preview.
type previewOutput struct {
	Body previewBody
}

// previewBody says what a mailing would send, and to whom.
type previewBody struct {
	Payloads  []payloadBody `json:"payloads" doc:"the messages that FCM would get"`
	Missing   []missingBody `json:"missing" doc:"attributes that the templates name and customers who would get the mailing do not have"`
	Customers int64         `json:"customers" doc:"about how many customers the audience has"`
	Targeted  int64         `json:"targeted" doc:"about how many of them would get it"`
	Excluded  push.Excluded `json:"excluded" doc:"about how many are left out, by reason"`
	Tokens    int64         `json:"tokens" doc:"about how many messages are sent, unless they expire first"`
	Expired   int64         `json:"expired" doc:"about how many of them are not sent, because no hours of the window begin in their customer's time zone before the lifetime ends"`
	LastOpens *time.Time    `json:"lastOpens,omitempty" doc:"when the hours begin in the last time zone; absent if they have begun in every zone when the mailing starts"`
	Sampled   int64         `json:"sampled" doc:"how many customers these numbers come from"`
	Seconds   int64         `json:"seconds" doc:"about how long it takes to send, at the rate or the quota, with the time until the hours begin in the last time zone"`
	USD       float64       `json:"usd" doc:"about what it costs if every customer is read, at list prices of a multi-region in the United States; a large audience is read from rosters, for about a tenth of it"`
	Proven    bool          `json:"proven" doc:"true: FCM accepts the payload; false: FCM could not be asked now"`
}

// payloadBody is a rendered message.
type payloadBody struct {
	Variant  string          `json:"variant,omitempty" doc:"the name of the variant, in a mailing with variants"`
	Customer string          `json:"customer,omitempty" doc:"the customer whose text it is; absent: a customer without attributes"`
	Message  json.RawMessage `json:"message" doc:"the message without its target; data.mailing_id is not known yet"`
	Bytes    int             `json:"bytes" doc:"the size of the payload in bytes, by FCM's rules"`
	MaxBytes int             `json:"maxBytes" doc:"the largest payload that FCM accepts, in bytes"`
	Missing  []string        `json:"missing" doc:"attributes that the templates name and this customer does not have"`
}

// missingBody is an attribute that customers of the audience do not have.
type missingBody struct {
	Attribute string `json:"attribute"`
	Customers int64  `json:"customers" doc:"about how many of the customers who would get the mailing do not have it"`
}

// previewMailing answers what a mailing would send, and to whom, without storing anything.
func (s *service) previewMailing(ctx context.Context, in *previewInput) (*previewOutput, error) {
	var draft *compiledDraft
	var customer string
	var faults push.Faults
	if err := s.api.Decode(ctx, len(in.Body), func() { draft, customer, faults = s.validatePreview(in.Body) }); err != nil {
		return nil, err
	}
	if len(faults) > 0 {
		return nil, faults
	}

	m := push.NewMailing(previewID, "", *draft.Draft, s.Now().UTC())
	if err := s.provePayloads(ctx, m, draft.templates); err != nil {
		return nil, err
	}
	f, err := s.estimateAudience(ctx, m, namesOf(draft.templates))
	if err != nil {
		return nil, err
	}
	shown := f.example
	if customer != "" {
		if shown, err = s.Store.ReadCustomer(ctx, customer); err != nil {
			return nil, err
		}
	}

	out := &previewOutput{}
	out.Body = f.newPreviewBody()
	if out.Body.Payloads, err = renderPayloads(shown, m, draft.templates); err != nil {
		return nil, err
	}
	out.Body.Proven = m.Proven
	out.Body.Seconds = wholeSeconds(s.durationOf(&m.Draft, out.Body.Tokens-out.Body.Expired))
	if at := out.Body.LastOpens; at != nil {
		out.Body.Seconds += wholeSeconds(at.Sub(m.StartAt))
	}
	read := out.Body.Customers
	if m.Audience.Everyone {
		read -= out.Body.Excluded.NoValidToken // they are counted, not read
	}
	out.Body.USD = usdOf(read, out.Body.Tokens)
	return out, nil
}

// renderPayloads renders each payload of a mailing for a customer. Errors are push.Faults
// within the payload.
func renderPayloads(c *push.Customer, m *push.Mailing, templates []*personal.Template) (out []payloadBody, err error) {
	for i, v := range m.ListPayloads() {
		payload, err := renderFor(c, m, templates[i])
		if faults, wrong := errors.AsType[push.Faults](err); wrong {
			return nil, faults.WithLocation(m.PayloadAt(i))
		}
		if err != nil {
			return nil, err
		}
		payload.Variant = v.Name
		out = append(out, payload)
	}
	return out, nil
}

// validatePreview is like validateDraft for the body of a preview, which may name a customer.
func (s *service) validatePreview(body []byte) (*compiledDraft, string, push.Faults) {
	in, faults := s.previews.Read(body)
	draft, faults := s.compileDraft(&in.Draft, faults, s.Now().UTC())
	if in.Customer != "" {
		if why := push.CheckCustomerID(in.Customer); why != "" {
			faults = api.Join(faults, push.Fault{Location: "body.customer", Message: why})
		}
	}
	return draft, in.Customer, faults
}

// namesOf returns the attributes that templates use, sorted.
func namesOf(templates []*personal.Template) []string {
	names := map[string]bool{}
	for _, t := range templates {
		for _, name := range t.Names() {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// renderFor renders the message for a customer, nil for one without attributes.
func renderFor(c *push.Customer, m *push.Mailing, t *personal.Template) (payloadBody, error) {
	if c == nil {
		c = &push.Customer{}
	}
	message, link, err := t.Render(c.ID, c.Attributes)
	if err != nil {
		return payloadBody{}, push.Faults{{Location: "body.message", Message: err.Error()}}
	}
	compiled, err := fcm.Compile(message, fcm.Extra{MailingID: m.ID, Link: link})
	if err != nil {
		return payloadBody{}, err
	}
	return payloadBody{
		Customer: c.ID, Message: compiled.Object(c.ID), Bytes: compiled.Size(c.ID), MaxBytes: fcm.MaxSize,
		Missing: missingOf(c, t.Names()),
	}, nil
}

// missingOf returns those of the attributes that the customer does not have: an empty list
// in JSON if there is none, not null.
func missingOf(c *push.Customer, attributes []string) []string {
	return append([]string{}, personal.Missing(attributes, c.Attributes)...)
}

// An audienceEstimate is what a sample of an audience says about the whole.
type audienceEstimate struct {
	estimated int64 // customers
	sampled   int64
	targeted  int64 // customers of the sample
	tokens    int64 // of them
	excluded  push.Excluded
	expired   int64            // tokens of the sample that find no hours of the window
	lastOpens time.Time        // when the last hours begin that the sample finds; zero: all have begun
	missing   map[string]int64 // customers of the sample by attribute
	example   *push.Customer   // one who would get the mailing; nil: no customer of the sample would
}

// estimateAudience reads a sample of the audience and picks the tokens of each of its
// customers, as dispatch does.
func (s *service) estimateAudience(ctx context.Context, m *push.Mailing, attributes []string) (*audienceEstimate, error) {
	set, err := s.Store.ReadSettings(ctx)
	if err != nil {
		return nil, err
	}
	sample, err := s.Store.SampleAudience(ctx, m.Audience, previewSample, attributes...)
	if err != nil {
		return nil, err
	}

	m.Hours = m.HoursIn(set)
	by := push.TargetingOf(m, set)
	f := &audienceEstimate{estimated: int64(sample.Estimated), sampled: sample.CountCustomers(), excluded: sample.Excluded, missing: map[string]int64{}}
	for _, member := range sample.Members {
		tokens, why := by.SelectTokens(member.Customer, member.Only)
		if why != push.NotExcluded {
			f.excluded.Add(why, 1)
			continue
		}
		f.targeted++
		f.tokens += int64(len(tokens))
		f.findHours(m, member.Customer.TimeZone, int64(len(tokens)))
		for _, name := range missingOf(member.Customer, attributes) {
			f.missing[name]++
		}
		if f.example == nil {
			f.example = member.Customer
		}
	}

	return f, nil
}

// findHours looks for the hours of the mailing in the time zone of a customer.
func (f *audienceEstimate) findHours(m *push.Mailing, zone string, tokens int64) {
	switch p := m.NextPeriodFor(zone, m.StartAt); {
	case p.Opens.IsZero():
		f.expired += tokens
	case p.Opens.After(m.StartAt) && p.Opens.After(f.lastOpens):
		f.lastOpens = p.Opens
	}
}

// newPreviewBody scales the sample to the whole audience.
func (f *audienceEstimate) newPreviewBody() previewBody {
	whole := func(n int64) int64 {
		if f.sampled == 0 {
			return 0
		}
		return (n*f.estimated + f.sampled/2) / f.sampled
	}
	b := previewBody{
		Missing: []missingBody{}, Customers: f.estimated, Targeted: whole(f.targeted), Tokens: whole(f.tokens), Expired: whole(f.expired), LastOpens: timeOrNil(f.lastOpens), Sampled: f.sampled,
		Excluded: push.Excluded{
			NoValidToken: whole(f.excluded.NoValidToken), OptedOut: whole(f.excluded.OptedOut), Category: whole(f.excluded.Category),
			Unknown: whole(f.excluded.Unknown), Muted: whole(f.excluded.Muted), Filtered: whole(f.excluded.Filtered), Control: whole(f.excluded.Control),
		},
	}

	for _, name := range slices.Sorted(maps.Keys(f.missing)) {
		b.Missing = append(b.Missing, missingBody{name, whole(f.missing[name])})
	}

	return b
}
