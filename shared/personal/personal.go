// Package personal renders messages that differ from customer to customer:
// Liquid templates over the customer's id and attributes in titles, bodies,
// images, links and data values.
//
// The Liquid is osteele/liquid's, behind a fence, because whoever writes a
// mailing need not be trusted with the process that sends it. What is in a
// template is checked before it reaches the library: output, if and unless with
// elsif and else, a listed set of filters, and nothing but customer.id and
// customer.<attribute>. There are no loops, no assignments and no includes;
// everything rendered is bounded; values in links are percent-encoded; a value
// is never rendered a second time.
package personal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"carillon.example/shared/push"
)

// Limits.
const (
	MaxTemplate = 4 << 10 // bytes of one template
	MaxRendered = 8 << 10 // bytes of one rendered text, and of what a filter makes; FCM takes 4,096 of a whole message
	MaxNesting  = 8       // of if and unless
)

// ErrTooLarge is the error of a text or value that grows beyond MaxRendered.
var ErrTooLarge = errors.New("it is larger than 8192 bytes when rendered")

// A Template is the message and link of a mailing, ready to be rendered. It
// does not change and may be used by many goroutines at once.
type Template struct {
	message json.RawMessage
	link    string
	// The message is parts[0] + slots[0] + parts[1] + … + parts[n].
	parts [][]byte
	slots []*text
	to    *text // the link's template, nil without
	names []string
}

// Compile checks and compiles the templates of a mailing's message, FCM's v1
// object without a target, and of its link. Each fault has its place, as in
// "body.message.notification.title". A message that is no JSON object is said
// to have no templates: that is another's to refuse.
func Compile(message json.RawMessage, link string) (*Template, push.Faults) {
	t := &Template{message: message, link: link}
	c := compiler{engine: newEngine(), names: map[string]bool{}}
	if hasTemplate(string(message)) {
		c.message(t)
	}
	if hasTemplate(link) {
		t.to = c.text("body.link", link, asLink)
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}
	for n := range c.names {
		t.names = append(t.names, n)
	}
	slices.Sort(t.names)
	return t, nil
}

// Personal reports whether there is any template; without, message and link
// are everybody's as they are.
func (t *Template) Personal() bool { return len(t.slots) > 0 || t.to != nil }

// Names are the attributes the templates use, in order; id is none.
func (t *Template) Names() []string { return t.names }

// Render makes the message and the link of one customer. Attributes are
// strings, numbers and booleans; what is missing renders as nothing. Errors
// concern this customer only; ErrTooLarge is one.
func (t *Template) Render(customer string, attributes map[string]any) (message json.RawMessage, link string, err error) {
	if !t.Personal() {
		return t.message, t.link, nil
	}
	vars := bindings(customer, attributes)
	message, link = t.message, t.link
	if len(t.slots) > 0 {
		if message, err = t.fill(vars); err != nil {
			return nil, "", err
		}
	}
	if t.to != nil {
		if link, err = t.to.render(vars); err != nil {
			return nil, "", err
		}
	}
	return message, link, nil
}

func (t *Template) fill(vars map[string]any) (json.RawMessage, error) {
	out := make([]byte, 0, len(t.message)+256)
	for i, slot := range t.slots {
		out = append(out, t.parts[i]...)
		s, err := slot.render(vars)
		if err != nil {
			return nil, err
		}
		quoted, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", slot.at, err)
		}
		out = append(out, quoted...)
	}
	return append(out, t.parts[len(t.slots)]...), nil
}

// bindings are what templates see.
func bindings(customer string, attributes map[string]any) map[string]any {
	c := make(map[string]any, len(attributes)+1)
	for k, v := range attributes {
		c[k] = plain(v)
	}
	c["id"] = customer
	return map[string]any{"customer": c}
}

// plain writes numbers as people do: 12, not 12.0 or 1.2e+01. What is no
// string, number or boolean is left out.
func plain(v any) any {
	switch v := v.(type) {
	case string, bool, int, int64:
		return v
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, err := v.Float64()
		if err != nil {
			return nil
		}
		return f
	case float64:
		if n := int64(v); float64(n) == v && n < 1<<53 && n > -1<<53 {
			return n
		}
		return v
	}
	return nil
}
