package deliver

import (
	"maps"
	"sync"
	"time"

	"carillon.example/shared/push"
)

// A batchNote is what this instance remembers of a batch that waits. It saves requests and
// reads; another instance works without it.
type batchNote struct {
	due     map[int]time.Time // by target: when it may be sent again
	checked map[int]time.Time // by target: when its customer was last read
}

// maxNotes is how many batches are remembered. A note has some ten kilobytes at most.
const maxNotes = 500

// noteStore are the notes of an instance. They are safe for concurrent use.
type noteStore struct {
	mu      sync.Mutex // guards byBatch; calls work on copies of the notes
	byBatch map[push.BatchRef]batchNote
}

func newNoteStore() *noteStore { return &noteStore{byBatch: map[push.BatchRef]batchNote{}} }

// getNote returns a copy of the note of a batch. Its maps are never nil.
func (n *noteStore) getNote(ref push.BatchRef) batchNote {
	n.mu.Lock()
	defer n.mu.Unlock()

	x := batchNote{due: map[int]time.Time{}, checked: map[int]time.Time{}}
	maps.Copy(x.due, n.byBatch[ref].due)
	maps.Copy(x.checked, n.byBatch[ref].checked)
	return x
}

// putNote stores the note of a batch until the batch is settled.
func (n *noteStore) putNote(b *push.Batch, x batchNote) {
	n.mu.Lock()
	defer n.mu.Unlock()

	if b.Settled || len(x.due)+len(x.checked) == 0 {
		delete(n.byBatch, b.BatchRef)
		return
	}
	if len(n.byBatch) >= maxNotes {
		clear(n.byBatch)
	}
	n.byBatch[b.BatchRef] = x
}
