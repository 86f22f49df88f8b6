package deliver

import (
	"maps"
	"sync"
	"time"

	"carillon.example/shared/push"
)

// A note is what this instance remembers of a batch that waits. It saves requests and
// reads; another instance works without it.
type note struct {
	due     map[int]time.Time // by target: when it may be sent again
	checked map[int]time.Time // by target: when its customer was last read
}

// maxNotes is how many batches are remembered. A note has a few ten kilobytes at
// most.
const maxNotes = 500

// notes are the notes of an instance. They are safe for concurrent use.
type notes struct {
	mu sync.Mutex // guards of
	of map[push.BatchRef]note
}

func newNotes() *notes { return &notes{of: map[push.BatchRef]note{}} }

// get returns a copy of the note of a batch. Its maps are never nil.
func (n *notes) get(ref push.BatchRef) note {
	n.mu.Lock()
	defer n.mu.Unlock()

	x := note{due: map[int]time.Time{}, checked: map[int]time.Time{}}
	maps.Copy(x.due, n.of[ref].due)
	maps.Copy(x.checked, n.of[ref].checked)
	return x
}

// put stores the note of a batch until the batch is settled.
func (n *notes) put(b *push.Batch, x note) {
	n.mu.Lock()
	defer n.mu.Unlock()

	if b.Settled || len(x.due)+len(x.checked) == 0 {
		delete(n.of, b.BatchRef)
		return
	}
	if len(n.of) >= maxNotes {
		clear(n.of)
	}
	n.of[b.BatchRef] = x
}
