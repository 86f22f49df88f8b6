package probe

import (
	"context"
	"fmt"
	"sync"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/grpc/status"
)

const (
	// secondCommitAfter is how much later the second of two transactions commits.
	secondCommitAfter = time.Second
	// lockSeenAfter is how long a write has to wait until it counts as waiting for a lock.
	lockSeenAfter = time.Second
)

// transactions ask what transactions see, and how two of them get along.
func transactions() []operation {
	const mode = "a database whose concurrency mode is optimistic takes no locks"
	return []operation{
		{name: "read-only transaction beside a write", run: readOneMoment},
		{name: "two transactions that change what both have read", note: "which one is aborted is not documented; " + mode, run: contend},
		{name: "write to what a transaction has read", note: mode, run: writeBesideLock},
	}
}

// readOneMoment returns whether a read-only transaction sees a write that came after its
// beginning.
func readOneMoment(ctx context.Context, s *scratch) (string, error, error) {
	a, b := s.collection.Doc("moment-a"), s.collection.Doc("moment-b")
	if err := s.setAll(ctx, map[string]doc{"moment-a": {"n": 1}, "moment-b": {"n": 1}}); err != nil {
		return "", nil, err
	}
	result := ""
	refusal := s.client.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
		if _, err := tx.Get(a); err != nil {
			return err
		}
		if _, err := s.set(ctx, "moment-b", doc{"n": 2}); err != nil {
			return err
		}
		snap, err := tx.Get(b)
		if err == nil {
			result = fmt.Sprintf("reads n=%v, and 2 was written since", snap.Data()["n"])
		}
		return err
	}, sdk.ReadOnly)
	return result, refusal, nil
}

// contend lets two transactions read the same document and then change it, each to another
// value. It returns the code of each.
func contend(ctx context.Context, s *scratch) (string, error, error) {
	ref := s.collection.Doc("contention")
	if _, err := s.set(ctx, ref.ID, doc{"n": 1}); err != nil {
		return "", nil, err
	}

	// Each channel is closed when that transaction has read, or has ended without a read.
	olderRead, youngerRead := make(chan struct{}), make(chan struct{})
	change := func(n int, read chan struct{}, before func()) error {
		var once sync.Once
		signal := func() { once.Do(func() { close(read) }) }
		defer signal()
		return s.client.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
			if _, err := tx.Get(ref); err != nil {
				return err
			}
			signal()
			before()
			return tx.Set(ref, doc{"n": n})
		}, sdk.MaxAttempts(1))
	}

	var older, younger error
	var wg sync.WaitGroup
	wg.Go(func() { older = change(2, olderRead, func() { <-youngerRead }) })
	<-olderRead
	wg.Go(func() { younger = change(3, youngerRead, func() { time.Sleep(secondCommitAfter) }) })
	wg.Wait()

	for _, err := range []error{older, younger} {
		if isOutage(err) {
			return "", nil, err
		}
	}
	return fmt.Sprintf("older: %v, younger: %v", status.Code(older), status.Code(younger)), nil, nil
}

// writeBesideLock returns whether a write waits for a transaction that has read the document.
func writeBesideLock(ctx context.Context, s *scratch) (string, error, error) {
	ref := s.collection.Doc("lock")
	if _, err := s.set(ctx, ref.ID, doc{"n": 1}); err != nil {
		return "", nil, err
	}

	var written error
	waits := false
	done := make(chan struct{})
	began := false
	refusal := s.client.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
		if _, err := tx.Get(ref); err != nil {
			return err
		}
		began = true
		go func() {
			defer close(done)
			_, written = s.set(ctx, ref.ID, doc{"n": 2})
		}()
		select {
		case <-done:
		case <-time.After(lockSeenAfter):
			waits = true
		}
		return tx.Set(s.collection.Doc("lock-other"), doc{"n": 1})
	}, sdk.MaxAttempts(1))
	if began {
		<-done // so that the write is not under way when the collection is removed
	}
	return fmt.Sprintf("the write waits: %t", waits), refusal, written
}
