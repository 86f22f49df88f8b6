package push

import "time"

// An UnflagState is the state of an unflag.
type UnflagState string

// The states of an unflag.
const (
	UnflagRunning   UnflagState = "running"
	UnflagCompleted UnflagState = "completed"
)

// An Unflag removes all flags that a mailing set. From StartedAt on the mailing sets
// no flag any more.
type Unflag struct {
	State       UnflagState `json:"state" enum:"running,completed"`
	Unflagged   int64       `json:"unflagged" doc:"tokens that are valid again so far; those that were registered again or are gone do not count"`
	StartedAt   time.Time   `json:"startedAt"`
	CompletedAt *time.Time  `json:"completedAt" doc:"when it ended; null while it runs"`
}
