package tick

import (
	"errors"
	"fmt"
	"sync"
)

// faultsNamed is how many faults an error names, because a log line must not be too
// long.
const faultsNamed = 3

// errorList collects the errors of things that are done at the same time. It is safe for
// concurrent use. The zero value is ready.
type errorList struct {
	mu    sync.Mutex // guards named and more
	named []error
	more  int
}

// addError adds an error; nil is ignored.
func (f *errorList) addError(err error) {
	if err == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.named) == faultsNamed {
		f.more++
		return
	}
	f.named = append(f.named, err)
}

// joinErrors returns an error that names the first faults and counts the others; nil if
// there is none.
func (f *errorList) joinErrors() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more == 0 {
		return errors.Join(f.named...)
	}
	return errors.Join(append(f.named, fmt.Errorf("and %d faults more", f.more))...)
}

// An unreadableError says that a round could not read what is due. Then it did nothing for
// any mailing, or for any message to one customer, and is not logged as done.
type unreadableError struct{ error }

func (e *unreadableError) Unwrap() error { return e.error }

func isUnreadable(err error) bool {
	_, ok := errors.AsType[*unreadableError](err)
	return ok
}
