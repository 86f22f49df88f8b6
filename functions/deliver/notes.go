package deliver

import (
	"maps"
	"sync"
	"time"

	"carillon.example/shared/push"
)

// A note is what this instance remembers of a batch that waits, by target. It
// spares answers and reads; another instance does without it.
type note struct {
	due     map[int]time.Time // when a target may be sent again
	checked map[int]time.Time // when its customer was last read
}

// maxNotes is how many batches are remembered; a note has at most a few ten
// kilobytes.
const maxNotes = 500

// notes are those of an instance; safe for concurrent use.
type notes struct {
	mu sync.Mutex // guards of
	of map[push.BatchRef]note
}

func newNotes() *notes { return &notes{of: map[push.BatchRef]note{}} }

// get is the note of a batch, as a copy: the maps are never nil.
func (n *notes) get(ref push.BatchRef) note {
	n.mu.Lock()
	defer n.mu.Unlock()

	x := note{due: map[int]time.Time{}, checked: map[int]time.Time{}}
	maps.Copy(x.due, n.of[ref].due)
	maps.Copy(x.checked, n.of[ref].checked)
	return x
}

// put remembers a batch until it is settled.
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
