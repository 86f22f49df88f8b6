package push

import (
	"errors"
	"fmt"
	"time"
)

// The type of an error is its outcome: shared/api chooses the status by it, and
// functions answer Pub/Sub by it. Faults is another one.
type (
	// NotFound: there is no such thing.
	NotFound struct{ What, ID string }
	// Conflict: the current state does not allow the request.
	Conflict struct{ Why string }
	// PreconditionFailed: the thing has changed since the caller has read it.
	PreconditionFailed struct{ What string }
	// Unavailable: something that Carillon depends on cannot be reached. Another try
	// after RetryAfter (0: unknown) may succeed.
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

// IsNotFound reports whether err is a *NotFound.
func IsNotFound(err error) bool { _, ok := errors.AsType[*NotFound](err); return ok }

// IsStateConflict reports whether err is a *Conflict: the current state does not allow the
// request.
func IsStateConflict(err error) bool { _, ok := errors.AsType[*Conflict](err); return ok }
