package probe

import (
	"context"
	"errors"
	"fmt"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// cleanupRounds is how often the removal is tried.
const cleanupRounds = 3

// limits are the times of a run.
type limits struct {
	operation time.Duration // of one operation on one side
	cleanup   time.Duration // of the removal of the collection, also after Ctrl-C
	lateWrite time.Duration // in which a write that was given up may still arrive
}

var defaultLimits = limits{operation: time.Minute, cleanup: 2 * time.Minute, lateWrite: 5 * time.Second}

// A scratch is the collection of one run in one database.
type scratch struct {
	client     *sdk.Client
	collection *sdk.CollectionRef
	hidden     *redactor
	limits     limits
	hasMixed   bool // whether writeMixed has written
	gaveUp     bool // whether an operation was given up
}

// do makes one operation, and returns what came of it. The error says why there is nothing
// that can be compared. Ctrl-C does not end an operation that has begun: its writes could
// then arrive after the collection is removed.
func (s *scratch) do(ctx context.Context, o operation) (answer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.operation)
	defer cancel()
	result, refusal, err := o.run(ctx, s)
	if err == nil && isOutage(refusal) {
		err = refusal
	}
	if err != nil {
		if isOutage(err) {
			s.gaveUp = true
		}
		return answer{}, err
	}

	text := ""
	if refusal != nil {
		text = s.hidden.hide(status.Convert(refusal).Message())
	}
	return answer{Text: text, Facts: []fact{{"code", status.Code(refusal).String()}, {"result", result}}}, nil
}

// isOutage reports whether an error is about the caller or the connection, not about what was
// asked for.
func isOutage(err error) bool {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.Unauthenticated, codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.ResourceExhausted:
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// remove deletes the documents of the collection, which then does not exist any more, also
// after Ctrl-C. It looks again until it finds none.
func (s *scratch) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.cleanup)
	defer cancel()
	if s.gaveUp {
		time.Sleep(s.limits.lateWrite)
	}

	var problems []error
	for round := 0; ; round++ {
		found, err := s.collection.DocumentRefs(ctx).GetAll()
		if err == nil && len(found) == 0 {
			return nil
		}
		problems = append(problems, err)
		if round == cleanupRounds {
			break
		}
		for _, document := range found {
			_, err := document.Delete(ctx)
			problems = append(problems, err)
		}
	}
	return fmt.Errorf("the collection %s is not removed completely: %w\n      Delete it by hand: npx firebase-tools firestore:delete -r %s",
		s.collection.ID, errors.Join(append(problems, errors.New("documents are left"))...), s.collection.ID)
}
