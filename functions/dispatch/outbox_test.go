package dispatch

import (
	"context"
	"errors"
	"testing"
	"time"

	"carillon.example/shared/push"
)

// strict is a queue that looks each batch up before it takes it.
type strict struct {
	*board
	w *harness
	t *testing.T
}

func (s strict) PublishBatches(ctx context.Context, lane push.Lane, refs ...push.BatchRef) error {
	for _, r := range refs {
		if _, err := s.w.ReadBatch(ctx, r); err != nil {
			s.t.Errorf("batch %s was published before it was stored: %v", r.Batch, err)
		}
	}
	return s.board.PublishBatches(ctx, lane, refs...)
}

// The outbox: what is published is stored, and what is not stored is not
// published.
func TestNothingIsPublishedBeforeItIsStored(t *testing.T) {
	t.Parallel()
	down := true
	w := newHarness(t, func(step string) error {
		if step == "before CreateBatches" && down {
			return errors.New("Firestore is out of reach")
		}
		return nil
	})
	w.d.Queue = strict{w.board, w, t}
	tokens := w.seed(t, 30)
	w.mailing(t, "m", nil)
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart}); err != nil {
		t.Fatal(err)
	}
	if err := w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m", Shard: 0}); err == nil {
		t.Error("the commit failed, and handleMessage returned no error")
	}
	if len(w.refs) > 0 {
		t.Errorf("%d batches were published, and none is stored", len(w.refs))
	}
	down = false
	w.clock.Add(2 * time.Minute) // the lease of the call that crashed
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
	w.checkOnce(t, "m", tokens)
}
