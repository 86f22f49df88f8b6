package chaos

import (
	"sync"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/instances"
	"carillon.example/shared/push"
)

// mostRings is how often a phone may ring for one mailing, whatever happens.
const mostRings = 5

// A poison is a token of a mailing whose sending ends the instance that sent it.
// It stands for whatever crashes a process again and again: memory that runs
// out, a fault of the runtime.
type poison struct {
	ledger *ledger
	fleet  *instances.Fleet
	mu     sync.Mutex
	tokens map[string]string // by mailing
}

func newPoison(g *ledger, f *instances.Fleet) *poison {
	return &poison{ledger: g, fleet: f, tokens: map[string]string{}}
}

func (p *poison) set(mailing, token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[mailing] = token
}

// sighted is FCM's witness: it ends the instances that work on the batch.
func (p *poison) sighted(s fcm.Sighting) {
	p.mu.Lock()
	token := p.tokens[s.Mailing]
	p.mu.Unlock()
	if token == "" || token != s.Token || s.Validated {
		return
	}
	if ref, ok := p.ledger.refOf(s.Mailing, who{s.Customer, s.Token}); ok {
		p.fleet.Crash(ref)
	}
}

// refOf finds the batch that a token of a customer stands in.
func (l *ledger) refOf(mailing string, k who) (push.BatchRef, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed[mailing] {
		return push.BatchRef{}, false
	}
	for id, c := range l.book(mailing).batches {
		for _, t := range c.targets {
			if t.Token == k.token && t.Customer == k.customer {
				return push.BatchRef{Mailing: mailing, Batch: id}, true
			}
		}
	}
	return push.BatchRef{}, false
}

// openRings holds mailings that did not end to the same.
func (x *exam) openRings(l *ledger) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, b := range l.books {
		o := &one{exam: x, p: &post{id: id, kind: "not ended"}, b: b}
		o.rings()
		x.sum.MostRings = max(x.sum.MostRings, o.count.MostRings)
	}
}

// rings holds how often each phone rang to what is allowed, whatever explains
// it.
func (o *one) rings() {
	for k, s := range o.b.seen {
		o.count.MostRings = max(o.count.MostRings, len(s.delivered))
		if len(s.delivered) > mostRings {
			o.say(brokenRings, "customer %s was rung %d times in mailing %s (%s)", k.customer, len(s.delivered), o.p.id, o.p.kind)
		}
	}
}
