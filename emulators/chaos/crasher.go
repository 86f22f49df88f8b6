package chaos

import (
	"sync"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/instances"
	"carillon.example/shared/push"
)

// maxSendsPerToken is how often a mailing may be sent to a token, whatever happens.
const maxSendsPerToken = 5

// A crasher crashes the instance that sends to a chosen token of a mailing. It stands
// for every cause that crashes a process again and again: for example, no memory or a
// fault of the runtime.
type crasher struct {
	sendLog *sendLog
	fleet   *instances.Fleet
	mu      sync.Mutex        // guards tokens
	tokens  map[string]string // by mailing
}

func newCrasher(g *sendLog, f *instances.Fleet) *crasher {
	return &crasher{sendLog: g, fleet: f, tokens: map[string]string{}}
}

// addMailing chooses the token of a mailing.
func (p *crasher) addMailing(mailing, token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens[mailing] = token
}

// crashOnRequest crashes the instances that work on the batch of the chosen token
// when FCM gets the request for it.
func (p *crasher) crashOnRequest(s fcm.RequestRecord) {
	p.mu.Lock()
	token := p.tokens[s.Mailing]
	p.mu.Unlock()
	if token == "" || token != s.Token || s.Validated {
		return
	}
	if ref, ok := p.sendLog.findBatch(s.Mailing, tokenKey{s.Customer, s.Token}); ok {
		p.fleet.Crash(ref)
	}
}

// findBatch finds the batch that has a token of a customer.
func (l *sendLog) findBatch(mailing string, k tokenKey) (push.BatchRef, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed[mailing] {
		return push.BatchRef{}, false
	}

	for id, c := range l.mailingOf(mailing).batches {
		for _, t := range c.targets {
			if t.Token == k.token && t.Customer == k.customer {
				return push.BatchRef{Mailing: mailing, Batch: id}, true
			}
		}
	}
	return push.BatchRef{}, false
}

// checkOpenMailings checks the number of sends of the mailings that have not ended.
func (x *checker) checkOpenMailings(l *sendLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, b := range l.mailings {
		o := &mailingCheck{checker: x, mailing: &testMailing{id: id, kind: "not ended"}, log: b}
		o.checkSendCounts()
		x.totals.MostSends = max(x.totals.MostSends, o.figures.MostSends)
	}
}

// checkSendCounts compares how often the mailing was sent to each token with the
// limit. No cause excuses more.
func (o *mailingCheck) checkSendCounts() {
	for k, s := range o.log.tokens {
		o.figures.MostSends = max(o.figures.MostSends, len(s.accepted))
		if len(s.accepted) > maxSendsPerToken {
			o.addFinding(brokenSendCount, "mailing %[3]s (%[4]s) was sent %[2]d times to a token of customer %[1]s", k.customer, len(s.accepted), o.mailing.id, o.mailing.kind)
		}
	}
}
