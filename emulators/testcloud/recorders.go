package testcloud

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
)

// A LogBuffer keeps what was logged. It is safe for concurrent use.
type LogBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Logger returns a logger of all levels into the buffer.
func (j *LogBuffer) Logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(j, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (j *LogBuffer) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

// String returns everything that was logged.
func (j *LogBuffer) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// An EventRecorder keeps the events that a function publishes. It is safe for
// concurrent use. E is the type of an event.
type EventRecorder[E any] struct {
	mu   sync.Mutex
	told []E
	err  error
}

// PublishEvents keeps events, unless it has to fail.
func (b *EventRecorder[E]) PublishEvents(_ context.Context, events ...E) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && len(events) > 0 {
		return b.err
	}
	b.told = append(b.told, events...)
	return nil
}

// Fail makes PublishEvents fail with that error from now on; nil: not any more.
func (b *EventRecorder[E]) Fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// Published returns the events so far, oldest first.
func (b *EventRecorder[E]) Published() []E {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.told)
}
