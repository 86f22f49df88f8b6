package customers

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// customerBody is a customer as the API shows it.
type customerBody struct {
	ID            string            `json:"id"`
	PushAvailable bool              `json:"pushAvailable" doc:"whether the customer has a valid token"`
	Availability  push.Availability `json:"availability" doc:"how far push reaches the customer, since when, and what shows it"`
	Tokens        []tokenBody       `json:"tokens"`
	Segments      []string          `json:"segments"`
	Attributes    map[string]any    `json:"attributes"`
	OptedOut      bool              `json:"optedOut"`
	Categories    map[string]bool   `json:"categories"`
	Consents      []push.Consent    `json:"consents" nullable:"false" doc:"the newest opt-outs and opt-ins, with their time and source"`
	TimeZone      string            `json:"timeZone"`
}

// customerOutput is the answer to GET and PATCH /v1/customers/{customer}.
type customerOutput struct {
	ETag string `header:"ETag"`
	Body customerBody
}

// Condition is the condition of a change: that the thing has not changed since it was
// read. It is exported for the same reason as CustomerPath.
type Condition struct {
	IfMatch string `header:"If-Match" doc:"the ETag of an answer to GET; the change is made only if nobody has changed anything since"`
}

// parseMatch returns the condition, nil for none.
func (c *Condition) parseMatch() (*push.Precondition, error) {
	return push.ParsePrecondition(c.IfMatch)
}

// showCustomer answers GET /v1/customers/{customer}.
func (s *service) showCustomer(ctx context.Context, in *CustomerPath) (*customerOutput, error) {
	c, err := s.Store.ReadCustomer(ctx, in.Customer)
	if err != nil {
		return nil, err
	}
	return s.newCustomerOutput(c), nil
}

// newCustomerOutput returns the answer with a customer, and the revision as its ETag.
func (s *service) newCustomerOutput(c *push.Customer) *customerOutput {
	return &customerOutput{push.ETag(c.Revision), s.newCustomerBody(c)}
}

// newCustomerBody returns a customer as the API shows it. Lists and maps are empty in
// JSON, never null.
func (s *service) newCustomerBody(c *push.Customer) customerBody {
	b := customerBody{
		ID: c.ID, PushAvailable: c.HasValidToken(), Availability: c.AvailabilityAt(s.Now()), Tokens: []tokenBody{}, OptedOut: c.OptedOut, TimeZone: c.TimeZone,
		Segments: c.Segments, Attributes: c.Attributes, Categories: c.Categories,
	}
	if b.Consents = c.Consents; b.Consents == nil {
		b.Consents = []push.Consent{}
	}
	if b.Segments == nil {
		b.Segments = []string{}
	}
	if b.Attributes == nil {
		b.Attributes = map[string]any{}
	}
	if b.Categories == nil {
		b.Categories = map[string]bool{}
	}

	latest, _ := c.LatestToken()
	for _, t := range c.Tokens {
		b.Tokens = append(b.Tokens, s.newTokenBody(t, latest.ID))
	}

	return b
}

// patchBody documents a merge patch. push.ParsePatch reads it, because null differs
// from an absent member.
type patchBody struct {
	Segments   segmentsPatch    `json:"segments,omitempty"`
	Attributes map[string]any   `json:"attributes,omitempty" doc:"merged with the stored attributes; null removes one"`
	OptedOut   *bool            `json:"optedOut,omitempty" nullable:"true" doc:"whether the customer wants no pushes at all"`
	Categories map[string]*bool `json:"categories,omitempty" doc:"merged with the stored categories; false: unsubscribed, null: not decided"`
	TimeZone   *string          `json:"timeZone,omitempty" nullable:"true" doc:"a name of the IANA database, as Europe/Riga"`
}

// segmentsPatch documents the two forms of segments in a patch.
type segmentsPatch struct{}

// Schema is a list, or an object with segments to add and to remove.
func (segmentsPatch) Schema(huma.Registry) *huma.Schema {
	most := push.MaxCustomerSegments
	list := func(doc string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeArray, MaxItems: &most, Description: doc, Items: &huma.Schema{Type: huma.TypeString}}
	}
	return &huma.Schema{OneOf: []*huma.Schema{
		list("takes the place of all segments"),
		{Type: huma.TypeObject, AdditionalProperties: false, Description: "changes some and leaves the others", Properties: map[string]*huma.Schema{
			"add": list("segments to be in"), "remove": list("segments to be in no more"),
		}},
		{Type: "null", Description: "removes all segments"},
	}}
}

// changeInput is PATCH /v1/customers/{customer}.
type changeInput struct {
	CustomerPath
	Condition
	Body json.RawMessage
}

// changeCustomer answers PATCH /v1/customers/{customer}. The store checks If-Match in
// its transaction.
func (s *service) changeCustomer(ctx context.Context, in *changeInput) (*customerOutput, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(in.Body, &members); err != nil || members == nil {
		return nil, push.Faults{{Location: "body", Message: "must be a JSON object"}}
	}

	condition, err := in.parseMatch()
	if err != nil {
		return nil, err
	}

	p, faults := push.ParsePatch(members, "body")
	if len(faults) > 0 {
		return nil, faults
	}

	p.Precondition, p.By = condition, callerOf(ctx)
	before, err := s.readDecisions(ctx, in.Customer, p)
	if err != nil {
		return nil, err
	}

	c, err := s.Store.PatchCustomer(ctx, in.Customer, p)
	if beyond, ok := errors.AsType[push.Faults](err); ok {
		for i := range beyond { // a limit of the customer, reached by this body
			beyond[i].Location = "body." + beyond[i].Location
		}
		return nil, beyond
	}
	if err != nil {
		return nil, err
	}

	s.auditDecisions(ctx, in.Customer, before, c)
	return s.newCustomerOutput(c), nil
}

// eraseCustomer answers DELETE /v1/customers/{customer}.
func (s *service) eraseCustomer(ctx context.Context, in *CustomerPath) (*struct{}, error) {
	events, err := s.Store.EraseCustomer(ctx, in.Customer)
	queue.PublishEvents(ctx, s.Queue, s.Store, s.Log, events)
	if err != nil {
		return nil, err
	}
	api.Audit(ctx, s.Log, api.Change{Operation: "erase-customer", Customer: in.Customer})
	return nil, nil
}
