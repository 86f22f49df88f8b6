package deliver

import "sync"

// callsByMailing counts the calls of this instance that are under way, by mailing.
// After a batch is settled, somebody has to check whether it was the last one of its
// mailing, which costs reads. The batches of calls that are still under way are open,
// so only the last call to end checks.
type callsByMailing struct {
	mu sync.Mutex
	of map[string]*workload
}

type workload struct {
	calls   int
	settled bool // a batch was settled since the last check
}

func newCalls() *callsByMailing { return &callsByMailing{of: map[string]*workload{}} }

func (c *callsByMailing) begin(mailing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[mailing] == nil {
		c.of[mailing] = &workload{}
	}
	c.of[mailing].calls++
}

// end reports whether the caller has to check if the mailing has ended.
func (c *callsByMailing) end(mailing string, settled bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.of[mailing]
	g.settled = g.settled || settled
	if g.calls--; g.calls > 0 {
		return false
	}
	delete(c.of, mailing)
	return g.settled
}
