package deliver

import (
	"context"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/fcm"
	"carillon.example/shared/personal"
	"carillon.example/shared/push"
)

// A letter is a mailing's message: the same for everybody, or a template that
// is rendered for each customer.
type letter struct {
	common   *fcm.Message       // everybody's; of a template a sample, which is what is proven
	template *personal.Template // nil: common is everybody's
	mailing  string
}

// newLetter compiles a mailing's message. Errors are push.Faults: the mailing
// was checked when it was handed in, so it came from another version.
func newLetter(m *push.Mailing) (*letter, error) {
	t, faults := personal.Compile(m.Message, m.Link)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	l := &letter{mailing: m.ID}
	var err error
	if !t.Personal() {
		l.common, err = fcm.Compile(m.Message, fcm.Extra{MailingID: m.ID, Link: m.Link})
		return l, err
	}
	l.template = t
	l.common, err = l.render("customer", nil)
	return l, err
}

func (l *letter) render(customer string, attributes map[string]any) (*fcm.Message, error) {
	message, link, err := l.template.Render(customer, attributes)
	if err != nil {
		return nil, err
	}
	return fcm.Compile(message, fcm.Extra{MailingID: l.mailing, Link: link})
}

// A rendering is one customer's; their tokens stand next to each other.
type rendering struct {
	customer string
	message  *fcm.Message
	err      error
}

// message is what goes to a target.
func (r *round) message(t push.Target) (*fcm.Message, error) {
	if r.letter.template == nil {
		return r.letter.common, nil
	}
	if r.last.customer != t.Customer || r.last.message == nil && r.last.err == nil {
		m, err := r.letter.render(t.Customer, t.Attributes)
		r.last = rendering{t.Customer, m, err}
	}
	return r.last.message, r.last.err
}

// proofsAtOnce is how many renderings are proven side by side.
const proofsAtOnce = 16

// judgeEach proves the rendering of each suspect by itself: a personal message
// is a payload of its own.
func (r *round) judgeEach(ctx context.Context) {
	proofs := make([]fcm.Answer, len(r.suspects))
	var g errgroup.Group
	g.SetLimit(proofsAtOnce)
	for i, a := range r.suspects {
		m, err := r.message(r.b.Targets[a.target])
		if err != nil { // it was rendered before it was sent
			proofs[i] = fcm.Answer{Outcome: fcm.Refused, Text: err.Error()}
			continue
		}
		g.Go(func() error {
			proofs[i] = r.Sender.Prove(ctx, m)
			return nil
		})
	}
	_ = g.Wait() // none of them fails
	for i, a := range r.suspects {
		r.verdict(a, proofs[i])
	}
	r.suspects = nil
}

// verdict is what a proof of its payload makes of a suspect.
func (r *round) verdict(a answer, proof fcm.Answer) {
	switch proof.Outcome {
	case fcm.Accepted:
		r.dead(a, push.ReceiptInvalidArgument)
	case fcm.Waiting:
		r.wait(proof.NotBefore)
	case fcm.Misconfigured:
		r.troubled(proof)
	default:
		r.because(proof.Text)
		r.receipt(a.target, push.ReceiptRefused)
	}
}
