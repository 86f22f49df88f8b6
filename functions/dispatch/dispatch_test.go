package dispatch

import (
	"errors"
	"sync"
	"testing"

	"carillon.example/shared/push"
)

func TestEveryoneIsInOneBatch(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	tokens := w.seed(t, 40)
	w.mailing(t, "m", nil)
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
	w.checkOnce(t, "m", tokens)
	if open, _ := w.ListOpenBatches(t.Context(), "m"); len(open) != len(w.refs) {
		t.Errorf("%d batches were created, %d published", len(open), len(w.refs))
	}
}

// TestDyingAtEachStep kills dispatch once before and once after every commit
// and publish; whoever comes next skips nobody and takes nobody twice.
func TestDyingAtEachStep(t *testing.T) {
	t.Parallel()
	for _, step := range []string{
		"before StartMailing", "after StartMailing", "PublishDispatch",
		"before CreateBatches", "after CreateBatches", "PublishBatches",
		"before MarkMailingDispatched", "after MarkMailingDispatched",
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			var once sync.Once
			hit := false
			w := newHarness(t, func(s string) (err error) {
				if s == step {
					once.Do(func() { err, hit = errors.New("killed"), true })
				}
				return err
			})
			tokens := w.seed(t, 12)
			w.mailing(t, "m", nil)
			w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
			if !hit {
				t.Fatal("the step never came")
			}
			w.checkOnce(t, "m", tokens)
		})
	}
}

func TestRepeatedAndLateMessages(t *testing.T) {
	t.Parallel()
	w := newHarness(t, nil)
	tokens := w.seed(t, 20)
	w.mailing(t, "m", nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			_ = w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
		})
	}
	wg.Wait()
	for range 4 {
		wg.Go(func() { _ = w.d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m", Shard: 0}) })
	}
	wg.Wait()
	w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})
	w.checkOnce(t, "m", tokens)
}
