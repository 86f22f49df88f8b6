package mailings_test

import (
	"fmt"
	"testing"
	"time"
)

// A day has at most as many labels as FCM counts; a dry run needs none, and the next
// day begins anew.
func TestLabelsOfADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	labels := map[string]int{}
	label := func(body string) string {
		t.Helper()
		m, err := w.store.ReadMailingHeader(t.Context(), w.hand(body).ID)
		if err != nil {
			t.Fatal(err)
		}
		return m.Label
	}
	for range 95 {
		labels[label(plain)]++
		w.clock.Add(time.Second)
	}

	shared := fmt.Sprintf("other-%s", w.clock.Now().UTC().Format("2006-01-02"))
	if n := labels[shared]; n != 5 {
		t.Errorf("%d of 95 mailings share the label %s, want 5", n, shared)
	}
	if n := len(labels); n != 91 {
		t.Errorf("95 mailings have %d labels, want 91", n)
	}
	if got := label(`{"message":{"data":{"a":"b"}},"audience":{"everyone":true},"dryRun":true}`); got != "" {
		t.Errorf("a dry run has the label %q, want none", got)
	}
	w.clock.Add(24 * time.Hour)
	if got := label(plain); got == "" || got == shared {
		t.Errorf("on the next day a mailing has the label %q, want its own", got)
	}
}
