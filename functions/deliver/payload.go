package deliver

import (
	"bytes"
	"encoding/json"
	"strings"

	"carillon.example/shared/fcm"
	"carillon.example/shared/personal"
	"carillon.example/shared/push"
)

// A payload is a mailing's message: the same for everybody, or a template that
// is rendered for each customer.
type payload struct {
	sample   rendering          // what is proven; without a template everybody gets it
	template *personal.Template // nil: customers' messages differ in their ids alone
	mailing  string             // its id
}

// A rendering is a payload with every template rendered.
type rendering struct {
	message *fcm.Message
	object  json.RawMessage // as it came, without what Carillon adds
	extra   fcm.Extra
}

// newPayload compiles a mailing's message. Errors are push.Faults: the mailing
// was checked when it was handed in, so it came from another version.
func newPayload(m *push.Mailing) (*payload, error) {
	t, faults := personal.Compile(m.Message, m.Link)
	if err := faults.Err(); err != nil {
		return nil, err
	}

	p := &payload{mailing: m.ID}
	var err error
	if !t.Personal() {
		p.sample, err = compile(m.Message, fcm.Extra{MailingID: m.ID, Link: m.Link})
		return p, err
	}
	p.template = t
	p.sample, err = p.render("customer", nil)
	return p, err
}

// personal reports whether customers get messages that differ in more than
// their ids.
func (p *payload) personal() bool { return p.template != nil }

func (p *payload) render(customer string, attributes map[string]any) (rendering, error) {
	object, link, err := p.template.Render(customer, attributes)
	if err != nil {
		return rendering{}, err
	}
	return compile(object, fcm.Extra{MailingID: p.mailing, Link: link})
}

func compile(object json.RawMessage, extra fcm.Extra) (rendering, error) {
	m, err := fcm.Compile(object, extra)
	return rendering{m, object, extra}, err
}

const (
	// topicSize is how many bytes of payload FCM documents for topics.
	topicSize = 2048
	// shortText is how many bytes of a text a shortened payload keeps: more than
	// any field with a syntax of its own needs. Values of data have none.
	shortText  = 64
	shortValue = 8
)

// shortened is the same message with its texts cut, for a proof by topic; nil if
// it is still too large for one.
func (r *rendering) shortened() *fcm.Message {
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

// cutTexts cuts every text of a JSON value to so many bytes, and those of data
// to fewer.
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

// A renderer renders messages and keeps the last one: the targets of a customer
// stand next to each other.
type renderer struct {
	*payload
	customer string
	last     *fcm.Message
	err      error
}

// message is what goes to a target.
func (r *renderer) message(t push.Target) (*fcm.Message, error) {
	if !r.personal() {
		return r.sample.message, nil
	}
	if r.customer != t.Customer || r.last == nil && r.err == nil {
		x, err := r.render(t.Customer, t.Attributes)
		r.customer, r.last, r.err = t.Customer, x.message, err
	}
	return r.last, r.err
}
