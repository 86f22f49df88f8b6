package deliver

import (
	"carillon.example/shared/fcm"
	"carillon.example/shared/personal"
	"carillon.example/shared/push"
)

// A payload is a mailing's message: the same for everybody, or a template that
// is rendered for each customer.
type payload struct {
	common   *fcm.Message       // everybody's; of a template a sample, which is what is proven
	template *personal.Template // nil: common is everybody's
	mailing  string             // its id
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
		p.common, err = fcm.Compile(m.Message, fcm.Extra{MailingID: m.ID, Link: m.Link})
		return p, err
	}
	p.template = t
	p.common, err = p.render("customer", nil)
	return p, err
}

// personal reports whether customers get messages that differ in more than
// their ids.
func (p *payload) personal() bool { return p.template != nil }

func (p *payload) render(customer string, attributes map[string]any) (*fcm.Message, error) {
	message, link, err := p.template.Render(customer, attributes)
	if err != nil {
		return nil, err
	}
	return fcm.Compile(message, fcm.Extra{MailingID: p.mailing, Link: link})
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
		return r.common, nil
	}
	if r.customer != t.Customer || r.last == nil && r.err == nil {
		r.last, r.err = r.render(t.Customer, t.Attributes)
		r.customer = t.Customer
	}
	return r.last, r.err
}
