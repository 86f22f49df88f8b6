package dispatch

import (
	"regexp"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestTheStartOfAMailingSaysHowLateItIs: the objective mailing-in-time counts this
// attribute. A pause by a person is not lateness.
func TestTheStartOfAMailingSaysHowLateItIs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sendAt, paused, wait time.Duration // after the clock of the test; paused: for how long
		want                 string        // milliseconds
	}{
		"at once":       {wait: 0, want: "0"},
		"handed in":     {wait: 1500 * time.Millisecond, want: "1500"},
		"scheduled":     {sendAt: time.Hour, wait: time.Hour + 90*time.Second, want: "90000"},
		"after a pause": {paused: time.Hour, wait: 2 * time.Second, want: "2000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHarness(t, nil)
			journal := &testcloud.LogBuffer{}
			w.d.Log = journal.Logger()
			w.seed(t, 3)
			w.mailing(t, "m", func(d *push.Draft) {
				if c.sendAt > 0 {
					at := w.clock.Now().Add(c.sendAt)
					d.SendAt = &at
				}
			})
			if c.paused > 0 {
				w.pauseAndResume(t, "m", c.paused)
			}

			w.clock.Add(c.wait)
			w.handleUntilDone(t, push.DispatchMessage{Mailing: "m", Shard: push.DispatchStart})

			check.Equal(t, lateMilliseconds(t, journal.String()), c.want, "late_milliseconds")
		})
	}
}

// pauseAndResume pauses a mailing that has not started, and resumes it after a time.
func (w *harness) pauseAndResume(t *testing.T, id string, d time.Duration) {
	t.Helper()
	if _, err := w.PauseMailing(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(d)
	if _, err := w.ResumeMailing(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

var lateAttribute = regexp.MustCompile(` late_milliseconds=(\d+)`)

// lateMilliseconds returns the attribute of the one line that says that a mailing starts.
func lateMilliseconds(t *testing.T, journal string) string {
	t.Helper()
	found := lateAttribute.FindAllStringSubmatch(journal, -1)
	if len(found) != 1 {
		t.Fatalf("%d lines have late_milliseconds, want 1: %s", len(found), journal)
	}
	return found[0][1]
}
