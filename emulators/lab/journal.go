package lab

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
)

// A Journal keeps what was logged; safe for concurrent use.
type Journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Logger writes to the journal, whatever the level.
func (j *Journal) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (j *Journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

// String is all that was logged so far.
func (j *Journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// A Board keeps the events that a function publishes; safe for concurrent use.
// E is the functions' own type of an event.
type Board[E any] struct {
	mu   sync.Mutex
	told []E
	err  error
}

// PublishEvents takes events, unless it is to fail.
func (b *Board[E]) PublishEvents(_ context.Context, events ...E) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && len(events) > 0 {
		return b.err
	}
	b.told = append(b.told, events...)
	return nil
}

// Fail makes Events fail with that error from now on; nil: no more.
func (b *Board[E]) Fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// Published are the events so far, oldest first.
func (b *Board[E]) Published() []E {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told)
}
