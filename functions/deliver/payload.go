package deliver

import (
	"bytes"
	"encoding/json"
	"strings"

	"carillon.example/shared/fcm"
	"carillon.example/shared/personal"
	"carillon.example/shared/push"
)

// A payloadSet has the payload of a mailing, or that of each of its variants.
type payloadSet []*payload

// payloadFor returns the payload that a target gets.
func (s payloadSet) payloadFor(t push.Target) *payload { return s[min(t.Variant, len(s)-1)] }

// newPayloadSet compiles the payloads of a mailing. Errors are push.Faults. The mailing
// was checked when it was created, so a fault means that another version checked it.
func newPayloadSet(m *push.Mailing) (payloadSet, error) {
	var set payloadSet
	for _, v := range m.ListPayloads() {
		t, faults := personal.Compile(v.Message, v.Link)
		if err := faults.Err(); err != nil {
			return nil, err
		}
		p, err := newPayload(m, v, t)
		if err != nil {
			return nil, err
		}
		set = append(set, p)
	}

	return set, nil
}

// A payload is a mailing's message: the same for every customer, or a template that
// is rendered for each.
type payload struct {
	sample   rendering          // what is proven; without a template it is sent to every customer
	template *personal.Template // nil: the messages of customers differ only in their ids
	label    string             // FCM's analytics label, "" for none
	mailing  string             // its id, or that of the message to one customer
	variant  string             // its name, "" in a mailing without variants
	values   map[string]any     // of a message to one customer
}

// A rendering is a payload with every template rendered.
type rendering struct {
	message *fcm.Message
	object  json.RawMessage // as it came, without what Carillon adds
	extra   fcm.Extra
}

// newPayload makes a payload of a mailing, whose template is t.
func newPayload(m *push.Mailing, v push.Variant, t *personal.Template) (*payload, error) {
	p := &payload{mailing: m.ID, label: m.Label, variant: v.Name, values: m.Values}
	var err error
	if !t.Personal() {
		p.sample, err = compileRendering(v.Message, fcm.Extra{MailingID: m.ID, Link: v.Link, Label: m.Label})
		return p, err
	}
	p.template = t
	p.sample, err = p.renderFor("customer", nil)
	return p, err
}

// withVariantName adds the variant that a text is about, if there are several.
func (p *payload) withVariantName(text string) string {
	if p.variant == "" {
		return text
	}
	return "variant " + p.variant + ": " + text
}

// lacksAttribute reports whether the customer of a target does not have an attribute that
// the templates name.
func (p *payload) lacksAttribute(t push.Target) bool {
	return p.isPersonal() && len(personal.Missing(p.template.Names(), t.Attributes)) > 0
}

// isPersonal reports whether customers get messages that differ in more than their ids.
func (p *payload) isPersonal() bool { return p.template != nil }

// renderFor renders the message for a customer. The error is that of a template, or
// push.Faults of the result.
func (p *payload) renderFor(customer string, attributes map[string]any) (rendering, error) {
	object, link, err := p.template.RenderMessage(customer, attributes, p.values)
	if err != nil {
		return rendering{}, err
	}
	return compileRendering(object, fcm.Extra{MailingID: p.mailing, Link: link, Label: p.label})
}

// compileRendering makes the FCM message of an object that has no templates any more.
func compileRendering(object json.RawMessage, extra fcm.Extra) (rendering, error) {
	m, err := fcm.Compile(object, extra)
	return rendering{m, object, extra}, err
}

const (
	// topicSize is how many bytes of payload FCM allows for topics, by its
	// documentation.
	topicSize = 2048
	// shortText is how many bytes of a text a shortened payload keeps: more than any
	// field needs that has a syntax. Values of data have no syntax.
	shortText  = 64
	shortValue = 8
)

// shortenedMessage returns the same message with shorter texts, for a proof by topic, or nil
// if it is still too large.
func (r *rendering) shortenedMessage() *fcm.Message {
	d := json.NewDecoder(bytes.NewReader(r.object))
	d.UseNumber()
	var object any
	if d.Decode(&object) != nil {
		return nil
	}
	raw, err := json.Marshal(cutTexts(object, shortText))
	if err != nil {
		return nil
	}

	m, err := fcm.Compile(raw, r.extra)
	if err != nil || m.Size("") >= r.message.Size("") || m.Size("")+push.MaxCustomerID > topicSize {
		return nil
	}
	return m
}

// cutTexts shortens every text of a JSON value to so many bytes, and the texts of
// data to fewer.
func cutTexts(v any, limit int) any {
	switch v := v.(type) {
	case string:
		if len(v) > limit {
			return strings.ToValidUTF8(v[:limit], "")
		}
	case []any:
		for i := range v {
			v[i] = cutTexts(v[i], limit)
		}
	case map[string]any:
		for k := range v {
			if k == "data" {
				v[k] = cutTexts(v[k], shortValue)
			} else {
				v[k] = cutTexts(v[k], limit)
			}
		}
	}

	return v
}

// A renderer renders messages and keeps the last one, because the targets of a
// customer follow each other.
type renderer struct {
	payloads payloadSet
	customer string
	last     *fcm.Message
	err      error
}

// messageFor returns the message for a target.
func (r *renderer) messageFor(t push.Target) (*fcm.Message, error) {
	p := r.payloads.payloadFor(t)
	if !p.isPersonal() {
		return p.sample.message, nil
	}
	if r.customer != t.Customer || r.last == nil && r.err == nil { // all tokens of a customer get the same variant
		x, err := p.renderFor(t.Customer, t.Attributes)
		r.customer, r.last, r.err = t.Customer, x.message, err
	}
	return r.last, r.err
}
