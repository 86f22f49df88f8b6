package deliver

import "sync"

// calls are those under way in this instance, by mailing. A batch that settles
// may be the mailing's last, and looking whether it is costs reads; the batches
// beside it are open as long as their calls go on, so that the last call to
// leave looks for all of them.
type calls struct {
	mu sync.Mutex
	of map[string]*workload
}

type workload struct {
	calls   int
	settled bool // a batch has, since anybody looked
}

func newCalls() *calls { return &calls{of: map[string]*workload{}} }

func (c *calls) enter(mailing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[mailing] == nil {
		c.of[mailing] = &workload{}
	}
	c.of[mailing].calls++
}

// leave reports whether the caller is to look if the mailing has ended.
func (c *calls) leave(mailing string, settled bool) bool {
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
