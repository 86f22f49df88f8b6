package fcm

import (
	"context"
	"strings"

	"carillon.example/shared/push"
)

// ProvePayload asks FCM to check the payload of m in Config.Project. See ProvePayloadIn.
func (s *Sender) ProvePayload(ctx context.Context, m *Message) Answer {
	return s.ProvePayloadIn(ctx, "", m)
}

// ProvePayloadIn asks FCM to check the payload of m without any token: it is sent to a topic
// of the project with validate_only, with the longest customer id that fits into the
// limit. "" is Config.Project.
// Accepted: if FCM refuses this message for a token later, the payload is not at fault.
// Refused: Text is the reason of FCM, unless Provisional is set. Waiting: FCM is out
// of reach or has no quota left, or ctx has ended. It is sent
// again only if the server did not process it, if the access token was replaced, or once, a
// second or two later, if the answer did not come from FCM. For anything else that asks to
// wait the answer is Waiting.
func (s *Sender) ProvePayloadIn(ctx context.Context, project string, m *Message) Answer {
	room := MaxSize - m.Size("")
	if room < 1 {
		return tooLarge(m.Size("x"))
	}

	// The channel has room for the answer, so that the sender's goroutine never waits for
	// this one.
	answered := make(chan Answer, 1)
	s.sendJob(&job{
		Item:       Item{Message: m, Customer: strings.Repeat("x", min(room, push.MaxCustomerID)), Target: s.cfg.ProofTopic, Project: project, DryRun: true},
		ctx:        ctx,
		giveAnswer: func(a Answer) { answered <- a },
		toTopic:    true, doesNotWait: true, retryIndex: -1,
	})
	a := <-answered
	if a.Class == Doubtful || a.Class == Invalid {
		a.Class = Refused // there is no token to blame
	}

	a.Provisional = a.Class == Refused && saysTooLarge(a.Text)
	return a
}
