package push

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNewTimeline(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	settled := func(after time.Duration, accepted, invalid, expired, cancelled, limited int64) SettledBatch {
		return SettledBatch{At: noon.Add(after), Limited: limited,
			Tally: Tally{ResultAccepted: accepted, ResultUnregistered: invalid, ResultExpired: expired, ResultCancelled: cancelled}}
	}
	tests := []struct {
		name    string
		batches []SettledBatch
		step    int64
		want    []TimelinePoint
	}{
		{"no batch", nil, 0, []TimelinePoint{}},
		{"one batch", []SettledBatch{settled(1500*time.Millisecond, 7, 2, 0, 0, 3)}, 1, []TimelinePoint{{noon.Add(time.Second), 9, 7, 3}}},
		{"what was not sent is no answer", []SettledBatch{settled(0, 1, 0, 5, 6, 0)}, 1, []TimelinePoint{{noon, 1, 1, 0}}},
		{"batches of one step, and one without any between, in no order", []SettledBatch{settled(9*time.Second, 1, 0, 0, 0, 0), settled(time.Second, 2, 0, 0, 0, 1), settled(1900*time.Millisecond, 3, 1, 0, 0, 1)},
			1, []TimelinePoint{{noon.Add(time.Second), 6, 5, 2}, {noon.Add(9 * time.Second), 1, 1, 0}}},
		{"the longest time with steps of a second", []SettledBatch{settled(0, 1, 0, 0, 0, 0), settled(299*time.Second-1, 1, 0, 0, 0, 0)},
			1, []TimelinePoint{{noon, 1, 1, 0}, {noon.Add(298 * time.Second), 1, 1, 0}}},
		{"a longer time has longer steps", []SettledBatch{settled(0, 1, 0, 0, 0, 0), settled(299*time.Second, 1, 0, 0, 0, 0)},
			2, []TimelinePoint{{noon, 1, 1, 0}, {noon.Add(298 * time.Second), 1, 1, 0}}},
		{"the longest life of a mailing", []SettledBatch{settled(0, 1, 0, 0, 0, 0), settled(MaxLifetime, 1, 0, 0, 0, 0)},
			6 * 3600, []TimelinePoint{{noon, 1, 1, 0}, {noon.Add(MaxLifetime), 1, 1, 0}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := NewTimeline(test.batches, nil)
			if diff := cmp.Diff(Timeline{StepSeconds: test.step, Points: test.want, Pauses: []Pause{}}, got); diff != "" {
				t.Errorf("the timeline differs (-want +got):\n%s", diff)
			}
			if len(got.Points) > maxTimelinePoints {
				t.Errorf("%d points, want at most %d", len(got.Points), maxTimelinePoints)
			}
		})
	}
}

// TestTimelineHasAtMostItsPoints checks that the first and the last step, which may be
// partly outside of the time of the mailing, count as points, too.
func TestTimelineHasAtMostItsPoints(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 28, 12, 0, 0, 999_000_000, time.UTC)
	for _, step := range timelineSteps[:len(timelineSteps)-1] {
		var batches []SettledBatch
		for at := time.Duration(0); at < step*(maxTimelinePoints-1); at += step / 2 {
			batches = append(batches, SettledBatch{At: begin.Add(at)})
		}
		got := NewTimeline(batches, nil)
		if got.StepSeconds != int64(step/time.Second) {
			t.Errorf("steps of %d s, want %s", got.StepSeconds, step)
		}
		if n := len(got.Points); n < maxTimelinePoints-2 || n > maxTimelinePoints {
			t.Errorf("%d points with steps of %s, want about %d and not more", n, step, maxTimelinePoints)
		}
	}
}

func TestNotePause(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	m := &Mailing{State: Accepted}
	change := func(to State, reason PauseReason, minute int) {
		was := m.State
		m.State, m.PausedReason = to, reason
		m.NotePause(was, noon.Add(time.Duration(minute)*time.Minute))
	}
	at := func(minute int) *time.Time {
		to := noon.Add(time.Duration(minute) * time.Minute)
		return &to
	}

	change(Sending, "", 0)
	change(Paused, PausedByHand, 1)
	change(Paused, PausedByHand, 2) // nothing changes
	change(Sending, "", 3)
	change(Paused, PausedCredentials, 4)
	want := []Pause{{*at(1), at(3), PausedByHand}, {*at(4), nil, PausedCredentials}}
	if diff := cmp.Diff(want, m.Pauses); diff != "" {
		t.Fatalf("the pauses differ (-want +got):\n%s", diff)
	}

	for i := range 3 * maxPauses {
		change(Sending, "", 10+2*i)
		change(Paused, PausedByHand, 11+2*i)
	}
	change(Cancelled, "", 1000)
	if len(m.Pauses) != maxPauses {
		t.Errorf("%d pauses are kept, want %d", len(m.Pauses), maxPauses)
	}
	for i, p := range m.Pauses {
		if p.To == nil || !p.To.After(p.From) {
			t.Errorf("pause %d is from %s to %v, want an end after its beginning", i, p.From, p.To)
		}
	}
}
