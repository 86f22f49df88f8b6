package tick

import (
	"errors"
	"fmt"
	"sync"
)

// faultsNamed is how many faults an error names: a log line has a length.
const faultsNamed = 3

// faults are what went wrong in things done side by side; safe for concurrent
// use. The zero value is ready.
type faults struct {
	mu    sync.Mutex
	named []error
	more  int
}

func (f *faults) add(err error) {
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

// err names the first faults and counts the others; nil: there is none.
func (f *faults) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more == 0 {
		return errors.Join(f.named...)
	}
	return errors.Join(append(f.named, fmt.Errorf("and %d faults more", f.more))...)
}
