package push

import "time"

// An UnflagState says how far taking a mailing's flags back has come.
type UnflagState string

// The states of an unflag.
const (
	UnflagRunning   UnflagState = "running"
	UnflagCompleted UnflagState = "completed"
)

// An Unflag is the taking back of every flag that a mailing set and that still
// stands. From StartedAt on the mailing flags no token any more.
type Unflag struct {
	State       UnflagState `json:"state" enum:"running,completed"`
	Unflagged   int64       `json:"unflagged" doc:"tokens that are valid again so far; those that were registered again or are gone do not count"`
	StartedAt   time.Time   `json:"startedAt"`
	CompletedAt *time.Time  `json:"completedAt" doc:"null while it runs"`
}
