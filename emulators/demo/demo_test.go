package demo

import (
	"testing"
	"time"
)

// TestTheDemoSaysWhatItWaitsFor: it explains the wait once, and only without progress.
func TestTheDemoSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	zero := time.Now()
	w := waiting{since: zero}
	for i, c := range []struct {
		after   time.Duration
		pending int64
		want    bool
	}{
		{0, 20, false}, {2 * time.Second, 17, false}, {2500 * time.Millisecond, 17, false}, {3 * time.Second, 17, true}, {9 * time.Second, 17, false}, {10 * time.Second, 0, false},
	} {
		if text := w.noteProgress(c.pending, zero.Add(c.after)); (text != "") != c.want {
			t.Errorf("step %d prints %q, want a text: %t", i, text, c.want)
		}
	}
}
