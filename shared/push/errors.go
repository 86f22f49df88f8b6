package push

import (
	"errors"
	"fmt"
	"time"
)

// The type of an error is its outcome: shared/api answers by it, functions
// settle messages by it. Faults is one more of them.
type (
	// NotFound: there is no such thing.
	NotFound struct{ What, ID string }
	// Conflict: what is there stands against what was asked.
	Conflict struct{ Why string }
	// Outdated: what is to be changed does not stand as the caller has read it.
	PreconditionFailed struct{ What string }
	// Unavailable: something we depend on cannot be reached; trying again after
	// RetryAfter (0: no idea when) may help.
	Unavailable struct {
		RetryAfter time.Duration
		Err        error
	}
)

func (e *NotFound) Error() string { return fmt.Sprintf("there is no %s %q", e.What, e.ID) }
func (e *Conflict) Error() string { return e.Why }
func (e *PreconditionFailed) Error() string {
	return "the " + e.What + " has changed since it was read"
}
func (e *Unavailable) Error() string {
	return "out of reach: " + e.Err.Error()
}
func (e *Unavailable) Unwrap() error { return e.Err }

// IsNotFound reports whether err says that something does not exist.
func IsNotFound(err error) bool { _, ok := errors.AsType[*NotFound](err); return ok }

// IsConflict reports whether err says that what is there stands against it.
func IsConflict(err error) bool { _, ok := errors.AsType[*Conflict](err); return ok }
