// Package personal renders messages that differ from customer to customer:
// Liquid templates over the customer's id and attributes in titles, bodies,
// images, links and data values.
//
// The library is osteele/liquid. The author of a mailing must not be able to harm the
// process that sends it, so this package checks each template before the library reads
// it. These are allowed: output, if and unless with elsif and else, the filters of this
// package, customer.id and customer.<attribute>, and values.<name> in messages to one
// customer. Loops, assignments and includes are refused, and the engine is configured
// without them, too. The memory and the time of a rendering are limited. Values in links
// are percent-encoded. A value is never rendered as a template.
package personal

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"carillon.example/shared/push"
)

// Limits of the cost of one rendering. FCM accepts at most 4,096 bytes of a whole message,
// so a useful message does not reach them.
const (
	MaxTemplate = 4 << 10  // bytes of one template
	MaxRendered = 8 << 10  // bytes of one rendered text, and of a value that goes into most filters
	MaxAdded    = 64 << 10 // bytes that rendering adds to a message
	MaxNesting  = 8        // levels of if and unless
	MaxFilters  = 100      // in all templates of a mailing
	MaxNames    = 50       // attributes that the templates of a mailing use
	maxFaults   = 20       // faults that an answer names
)

// ErrTooLarge is the error for a customer whose values make a text larger than
// MaxRendered, or a message longer by more than MaxAdded.
var ErrTooLarge = errors.New("it is too large when rendered")

// ErrElsewhere is the error for a customer whose values would lead a link out of the path
// of its template.
var ErrElsewhere = errors.New("a value that is . or .. would change the link's path")

// A Template is the message and link of a mailing, ready to be rendered. It is immutable
// and safe for concurrent use.
type Template struct {
	message json.RawMessage
	link    string
	// The message is parts[0] + slots[0] + parts[1] + … + parts[n].
	parts  [][]byte
	slots  []*textTemplate
	to     *textTemplate // the template of the link; nil: it has none
	names  []string      // the attributes that the templates use, sorted, without id
	values []string      // the values of a message that the templates use, sorted
}

// Compile checks and compiles the templates of a mailing's message and link. message is
// the message object of FCM's v1 API without a target. Each fault has its place, as in
// "body.message.notification.title". For a message that is not JSON, Compile returns a
// Template without templates: another check refuses it.
func Compile(message json.RawMessage, link string) (*Template, push.Faults) {
	return compileWith(compiler{}, message, link)
}

// CompileMessage is like Compile for a message to one customer: its templates may also
// use values.<name>, which the request of the message contains.
func CompileMessage(message json.RawMessage, link string) (*Template, push.Faults) {
	return compileWith(compiler{values: map[string]bool{}}, message, link)
}

// compileWith compiles with c, whose values are nil for a mailing.
func compileWith(c compiler, message json.RawMessage, link string) (*Template, push.Faults) {
	t := &Template{message: message, link: link}
	c.engine, c.names = newEngine(), map[string]bool{}
	if mayHaveTemplate(string(message)) && json.Valid(message) {
		c.walkMessage(t)
	}
	if hasTemplate(link) {
		t.to = c.compileText("body.link", link, asLink)
	}
	if len(c.faults) > 0 {
		return nil, c.faults
	}

	t.names, t.values = slices.Sorted(maps.Keys(c.names)), slices.Sorted(maps.Keys(c.values))
	return t, nil
}

// Personal reports whether there is a template. If there is none, every customer gets the
// same message and link.
func (t *Template) Personal() bool { return len(t.slots) > 0 || t.to != nil }

// Names returns the attributes that the templates use, sorted, without id.
func (t *Template) Names() []string { return t.names }

// Values returns the names of the values that the templates of a message use, sorted.
func (t *Template) Values() []string { return t.values }

// Render returns the message and the link for one customer. Attributes are strings,
// numbers and booleans; a missing attribute, and one of another type, renders as nothing.
// The result without any attributes is the sample that FCM validates in a proof. An error
// concerns only this customer and does not repeat values; it may be ErrTooLarge or
// ErrElsewhere.
func (t *Template) Render(customer string, attributes map[string]any) (message json.RawMessage, link string, err error) {
	return t.RenderMessage(customer, attributes, nil)
}

// RenderMessage is like Render with the values of a message to one customer, which are
// strings, numbers and booleans, too.
func (t *Template) RenderMessage(customer string, attributes, values map[string]any) (message json.RawMessage, link string, err error) {
	if !t.Personal() {
		return t.message, t.link, nil
	}

	vars := makeVars(customer, attributes, t.names)
	if len(t.values) > 0 {
		vars["values"] = pickNamed(values, t.values)
	}

	message, link = t.message, t.link
	if len(t.slots) > 0 {
		if message, err = t.fillSlots(vars); err != nil {
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

// fillSlots returns the message with its slots rendered.
func (t *Template) fillSlots(vars map[string]any) (json.RawMessage, error) {
	out := make([]byte, 0, len(t.message)+256)
	for i, slot := range t.slots {
		out = append(out, t.parts[i]...)
		s, err := slot.render(vars)
		if err != nil {
			return nil, err
		}
		if out = appendQuoted(out, s); len(out) > len(t.message)+MaxAdded {
			return nil, fmt.Errorf("rendering %s: %w", slot.at, ErrTooLarge)
		}
	}
	return append(out, t.parts[len(t.slots)]...), nil
}

// makeVars returns the variables of templates: the attributes that they name. A missing
// attribute is set to nil, because the library gives some names, such as size, a meaning of
// their own if they are not set.
func makeVars(customer string, attributes map[string]any, names []string) map[string]any {
	c := pickNamed(attributes, names)
	c["id"] = customer
	return map[string]any{"customer": c}
}

// pickNamed returns the values with these names, nil for a value that is missing.
func pickNamed(values map[string]any, names []string) map[string]any {
	out := make(map[string]any, len(names)+1)
	for _, n := range names {
		out[n] = toPlain(values[n])
	}
	return out
}

const hexDigits = "0123456789abcdef"

// appendQuoted appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD. The line
// separators U+2028 and U+2029 are escaped, because older JavaScript does not allow them in
// strings.
func appendQuoted(out []byte, s string) []byte {
	out = append(out, '"')
	for _, r := range strings.ToValidUTF8(s, "\ufffd") {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r == '\n':
			out = append(out, `\n`...)
		case r < 0x20 || r == 0x7f:
			out = append(out, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		case r == '\u2028':
			out = append(out, `\u2028`...)
		case r == '\u2029':
			out = append(out, `\u2029`...)
		case r < 0x80:
			out = append(out, byte(r))
		default:
			out = append(out, string(r)...)
		}
	}

	return append(out, '"')
}
