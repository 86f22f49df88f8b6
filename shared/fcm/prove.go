package fcm

import (
	"context"
	"strings"

	"carillon.example/shared/push"
)

// Prove asks FCM to judge the payload of m with no token involved: it is sent
// to a topic, only to be validated, with the longest customer id that keeps it
// within the limit. Accepted: whatever FCM refuses of this message from then on
// is not the payload's fault. Refused: Text is FCM's reason, unless Provisional
// is set. Waiting: FCM is out of reach or has no quota left, or ctx has ended;
// there is one attempt only.
func (s *Sender) Prove(ctx context.Context, m *Message) Answer {
	room := MaxSize - m.Size("")
	if room < 1 {
		return tooLarge(m.Size("x"))
	}

	answered := make(chan Answer, 1)
	s.sendJob(&job{
		Item:     Item{Message: m, Customer: strings.Repeat("x", min(room, push.MaxCustomerID)), Target: s.cfg.ProofTopic, DryRun: true},
		ctx:      ctx,
		answered: func(a Answer) { answered <- a },
		topic:    true, once: true, index: -1,
	})
	a := <-answered
	if a.Outcome == Doubtful || a.Outcome == Invalid {
		a.Outcome = Refused // there is no token to blame
	}

	a.Provisional = a.Outcome == Refused && saysTooLarge(a.Text)
	return a
}
