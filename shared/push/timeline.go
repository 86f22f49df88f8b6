package push

import (
	"slices"
	"time"
)

// maxPauses is how many pauses of a mailing are kept.
const maxPauses = 20

// A Pause is a time in which a mailing was not sent.
type Pause struct {
	From   time.Time   `json:"from"`
	To     *time.Time  `json:"to,omitempty" doc:"when the pause ended; absent while the mailing is paused"`
	Reason PauseReason `json:"reason" enum:"by_hand,credentials,wrong_sender,implausible_invalid,audience_too_large"`
}

// NotePause records that a pause began or ended at a time, if the mailing was in another
// state before. Beyond maxPauses a new pause is not recorded.
func (m *Mailing) NotePause(was State, at time.Time) {
	if was == m.State {
		return
	}

	last := len(m.Pauses) - 1
	if was == Paused && last >= 0 && m.Pauses[last].To == nil {
		m.Pauses[last].To = &at
	}
	if m.State == Paused && len(m.Pauses) < maxPauses {
		m.Pauses = append(m.Pauses, Pause{From: at, Reason: m.PausedReason})
	}
}

// A SettledBatch says when a batch was settled, and what FCM answered.
type SettledBatch struct {
	At      time.Time
	Tally   Tally
	Limited int64 // see Batch
}

// A Timeline says how a mailing was sent over time.
type Timeline struct {
	StepSeconds int64           `json:"stepSeconds" doc:"how much time each point stands for; 0 without points"`
	Points      []TimelinePoint `json:"points" doc:"in order of time; there is no point for a time in which no batch ended"`
	Pauses      []Pause         `json:"pauses" doc:"the first 20"`
}

// A TimelinePoint has the sums of the batches that ended within one step.
type TimelinePoint struct {
	At       time.Time `json:"at" doc:"when the step begins"`
	Answered int64     `json:"answered" doc:"tokens for which FCM's answer was final"`
	Accepted int64     `json:"accepted"`
	Limited  int64     `json:"limited" doc:"how often FCM answered 429 for these tokens, and they were sent again later"`
}

// maxTimelinePoints is how many steps a timeline has at most.
const maxTimelinePoints = 300

// timelineSteps are the lengths of a step.
var timelineSteps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour,
}

// NewTimeline sums batches, in any order, by the shortest step with which there are at most
// maxTimelinePoints. pauses are those of the mailing.
func NewTimeline(batches []SettledBatch, pauses []Pause) Timeline {
	t := Timeline{Points: []TimelinePoint{}, Pauses: append([]Pause{}, pauses...)}
	if len(batches) == 0 {
		return t
	}

	batches = slices.Clone(batches)
	slices.SortFunc(batches, func(a, b SettledBatch) int { return a.At.Compare(b.At) })
	step := timelineStep(batches[len(batches)-1].At.Sub(batches[0].At))
	t.StepSeconds = int64(step / time.Second)

	for _, b := range batches {
		at := b.At.UTC().Truncate(step)
		if n := len(t.Points); n == 0 || !t.Points[n-1].At.Equal(at) {
			t.Points = append(t.Points, TimelinePoint{At: at})
		}
		p := &t.Points[len(t.Points)-1]
		p.Answered += b.Tally.Sum() - b.Tally[ResultExpired] - b.Tally[ResultCancelled]
		p.Accepted += b.Tally[ResultAccepted]
		p.Limited += b.Limited
	}

	return t
}

// timelineStep returns the shortest step for a time.
func timelineStep(whole time.Duration) time.Duration {
	for _, step := range timelineSteps {
		if whole < step*(maxTimelinePoints-1) { // the first step may begin before the first batch ended
			return step
		}
	}
	return timelineSteps[len(timelineSteps)-1]
}
