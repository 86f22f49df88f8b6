// Package storetest has a store whose calls a test can let fail, answer or watch.
// It is for tests only. Unlike the servers of the test kit it knows shared/store.
package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"sync"

	"carillon.example/shared/store"
)

// A Hook runs before or after a call of the store. Calls run at the same time if the
// code under test makes them so; a hook that shares data locks it.
type Hook func(c *Call) error

// A FailingStore is a store with hooks. A method without hooks, and a method that is no
// Method of this package, goes to the embedded store unchanged.
type FailingStore struct {
	*store.Store

	mu     sync.RWMutex // guards the maps: a test may add hooks while calls run
	before map[Method][]Hook
	after  map[Method][]Hook
}

// New makes a store over s. s may be nil if hooks answer, or fail, every call.
func New(s *store.Store) *FailingStore {
	return &FailingStore{Store: s, before: map[Method][]Hook{}, after: map[Method][]Hook{}}
}

// Before adds a hook that runs before each call of these methods. Its error is the error
// of the call, which does not reach the store then.
func (s *FailingStore) Before(h Hook, methods ...Method) *FailingStore {
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, m := range methods {
		s.before[m] = append(s.before[m], h)
	}
	return s
}

// After adds a hook that runs after each call of these methods, also after one that
// failed (Call.Err). If the hook returns an error, the call has happened, but its answer
// is lost: the results are zero, and the error is the hook's, joined to the call's own.
func (s *FailingStore) After(h Hook, methods ...Method) *FailingStore {
	s.mu.Lock()
	defer s.mu.Unlock()

	for _, m := range methods {
		s.after[m] = append(s.after[m], h)
	}
	return s
}

// A Call is one call of a method of the store.
type Call struct {
	Method Method
	Err    error // what the store returned; nil before the call

	args     []any // without the context
	results  []any // pointers to the results, without the error
	answered bool
}

// Failed reports whether the store returned an error.
func (c *Call) Failed() bool { return c.Err != nil }

// Answer sets the results, and keeps the call from the store. It is for hooks before a
// call. It panics if the number or a type is not that of the results.
func (c *Call) Answer(results ...any) {
	if len(results) != len(c.results) {
		panic(fmt.Sprintf("%s has %d results, and was answered with %d", c.Method, len(c.results), len(results)))
	}
	for i, r := range results {
		reflect.ValueOf(c.results[i]).Elem().Set(reflect.ValueOf(r))
	}
	c.answered = true
}

// loseAnswer sets the results to zero.
func (c *Call) loseAnswer() {
	for _, r := range c.results {
		reflect.ValueOf(r).Elem().SetZero()
	}
}

// Arg returns the argument i of a call; 0 is the one after the context. It panics if the
// argument has another type.
func Arg[T any](c *Call, i int) T { return c.args[i].(T) }

// Result points to the result i of a call, which a hook after the call may change. It
// panics if the result has another type.
func Result[T any](c *Call, i int) *T { return c.results[i].(*T) }

// around runs the hooks of a method, and between them the call itself.
func (s *FailingStore) around(m Method, args, results []any, call func() error) error {
	s.mu.RLock()
	before, after := s.before[m], s.after[m]
	s.mu.RUnlock()

	c := &Call{Method: m, args: args, results: results}
	for _, h := range before {
		if err := h(c); err != nil {
			return err
		}
	}

	if !c.answered {
		c.Err = call()
	}

	for _, h := range after {
		if err := h(c); err != nil {
			c.loseAnswer()
			return errors.Join(c.Err, err)
		}
	}
	return c.Err
}
