package customers

import (
	"context"
	"encoding/json"
	"errors"

	"carillon.example/shared/api"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// customerBody is a customer as shown.
type customerBody struct {
	ID            string          `json:"id"`
	PushAvailable bool            `json:"pushAvailable" doc:"has a valid token"`
	Tokens        []tokenBody     `json:"tokens"`
	Segments      []string        `json:"segments"`
	Attributes    map[string]any  `json:"attributes"`
	OptedOut      bool            `json:"optedOut"`
	Categories    map[string]bool `json:"categories"`
	TimeZone      string          `json:"timeZone"`
}

type customerOutput struct{ Body customerBody }

func (s *service) show(ctx context.Context, in *CustomerPath) (*customerOutput, error) {
	c, err := s.Store.Customer(ctx, in.Customer)
	if err != nil {
		return nil, err
	}
	return &customerOutput{s.shown(c)}, nil
}

func (s *service) shown(c *push.Customer) customerBody {
	b := customerBody{
		ID: c.ID, PushAvailable: c.Reachable(), Tokens: []tokenBody{}, OptedOut: c.OptedOut, TimeZone: c.TimeZone,
		Segments: c.Segments, Attributes: c.Attributes, Categories: c.Categories,
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
	latest, _ := c.Latest()
	for _, t := range c.Tokens {
		b.Tokens = append(b.Tokens, s.token(t, latest.ID))
	}
	return b
}

// patchBody documents a merge patch; push.ParsePatch reads it, because what is
// null differs from what is not there.
type patchBody struct {
	Segments   []string         `json:"segments,omitempty" nullable:"true" maxItems:"100" doc:"takes the place of all segments"`
	Attributes map[string]any   `json:"attributes,omitempty" doc:"merged; null takes one away"`
	OptedOut   *bool            `json:"optedOut,omitempty" nullable:"true" doc:"wants no pushes at all"`
	Categories map[string]*bool `json:"categories,omitempty" doc:"merged; false: unsubscribed, null: not decided"`
	TimeZone   *string          `json:"timeZone,omitempty" nullable:"true" doc:"of the IANA database, as Europe/Riga"`
}

type changeInput struct {
	CustomerPath
	Body json.RawMessage
}

func (s *service) change(ctx context.Context, in *changeInput) (*customerOutput, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(in.Body, &members); err != nil || members == nil {
		return nil, push.Faults{{Location: "body", Message: "is no JSON object"}}
	}
	p, faults := push.ParsePatch(members, "body")
	if len(faults) > 0 {
		return nil, faults
	}
	before, err := s.decisions(ctx, in.Customer, p)
	if err != nil {
		return nil, err
	}
	c, err := s.Store.Patch(ctx, in.Customer, p)
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
	return &customerOutput{s.shown(c)}, nil
}

func (s *service) erase(ctx context.Context, in *CustomerPath) (*struct{}, error) {
	events, err := s.Store.Erase(ctx, in.Customer)
	queue.Tell(ctx, s.Queue, s.Store, s.Log, events)
	if err != nil {
		return nil, err
	}
	api.Audit(ctx, s.Log, api.Change{Operation: "erase-customer", Customer: in.Customer})
	return nil, nil
}
