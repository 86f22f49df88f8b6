package deliver

import (
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud/check"
)

// The quota of the pharmacy's project is used up, and there FCM does not answer at all:
// its tokens come first in the batch, and the shop's are sent all the same.
func TestAProjectThatWaitsDoesNotDelayTheOther(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{"QUOTA_PROJECT", phones.HANG} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			w := newRetailer(t, func(d *Deps) { d.CallTimeout = 6 * time.Second })
			w.rule("*", outcome)
			ref, _, _ := w.ofApps("m", true, 600, 400)
			w.deliver(ref)
			_, totals := w.totals("m")
			if totals.Accepted != 400 {
				t.Errorf("%d tokens of the shop are accepted in the first call, want all 400", totals.Accepted)
			}
			if totals.Pending != 600 {
				t.Errorf("%d tokens wait, want the 600 of the pharmacy", totals.Pending)
			}
		})
	}
}

func TestTurnsOfProjects(t *testing.T) {
	t.Parallel()
	p := newProjectTurns()
	if !p.startTarget("a", 0) {
		t.Fatal("the first target of the only project has to wait")
	}
	if !p.startTarget("a", 1) {
		t.Fatal("the second target of the only project has to wait")
	}
	p = newProjectTurns()
	p.shareWindow(2)
	for i := range maxUnsaved / 2 {
		if !p.startTarget("a", i) {
			t.Fatalf("target %d has to wait, want half of the window for one of two projects", i)
		}
	}
	check.Equal(t, p.startTarget("a", 500), false, "that target 500 starts, beyond the part of its project")
	check.Equal(t, p.startTarget("a", 501), false, "that target 501 starts, beyond the part of its project")
	if !p.startTarget("b", 600) {
		t.Error("the other project has to wait")
	}

	queue := []int{700}
	p.endTarget("a", &queue)
	p.queueNext("a", &queue)
	p.endTarget("b", &queue)
	if len(queue) != 3 {
		t.Fatalf("number of targets in the queue is %v, want 3: %+v", len(queue), queue)
	}
	check.Equal(t, queue[0], 501, "first target in the queue")
	check.Equal(t, queue[1], 500, "second target in the queue")
	check.Equal(t, p.startTarget("a", 500), true, "that target 500 starts in the place that is free")
	check.Equal(t, p.startTarget("a", 501), false, "that target 501 starts, beyond the part of its project")
}
