package deliver

import "sync"

// callsByMailing counts the calls of this instance that are under way, by mailing.
// After a batch is settled, one call has to check whether it was the last batch of its
// mailing, which costs reads. The batches of calls that are still under way are open, so
// only the last call to end checks.
type callsByMailing struct {
	mu        sync.Mutex // guards byMailing and what it points to: of two calls that end at the same time one is the last
	byMailing map[string]*mailingCalls
}

// mailingCalls counts the calls of one mailing.
type mailingCalls struct {
	calls   int
	settled bool // a batch was settled since the last check
}

func newCallsByMailing() *callsByMailing {
	return &callsByMailing{byMailing: map[string]*mailingCalls{}}
}

// beginCall counts a call that begins. The caller has to call endCall.
func (c *callsByMailing) beginCall(mailing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byMailing[mailing] == nil {
		c.byMailing[mailing] = &mailingCalls{}
	}
	c.byMailing[mailing].calls++
}

// endCall counts a call that ends; settled says whether its batch is settled. It reports
// whether the caller has to check if the mailing has ended.
func (c *callsByMailing) endCall(mailing string, settled bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.byMailing[mailing]
	g.settled = g.settled || settled
	if g.calls--; g.calls > 0 {
		return false
	}
	delete(c.byMailing, mailing)
	return g.settled
}
