package probe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An operation is one thing that is asked of both databases.
type operation struct {
	name string
	note string // why a difference would be no surprise
	// run returns the result, and the refusal that is compared. The result has only what the
	// operation has written, and never a name of the project. err is a fault of what had to be
	// done before.
	run func(ctx context.Context, s *scratch) (result string, refusal, err error)
}

// operations returns all of them. The first one shows whether the database lets us write.
func operations() []operation {
	return slices.Concat(writeOperations(), limitOperations(), queryOperations(), aggregations(), transactions())
}

// doc is a document.
type doc = map[string]any

// set writes a document, and returns its update time.
func (s *scratch) set(ctx context.Context, id string, d doc) (time.Time, error) {
	written, err := s.collection.Doc(id).Set(ctx, d)
	if err != nil {
		return time.Time{}, fmt.Errorf("writing %s: %w", id, err)
	}
	return written.UpdateTime, nil
}

// setAll writes documents in one commit.
func (s *scratch) setAll(ctx context.Context, all map[string]doc) error {
	err := s.client.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
		for id, d := range all {
			if err := tx.Set(s.collection.Doc(id), d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("writing %d documents: %w", len(all), err)
	}
	return nil
}

// describe returns the fields of a document with their types, sorted by name.
func (s *scratch) describe(ctx context.Context, id string) (string, error) {
	snap, err := s.collection.Doc(id).Get(ctx)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", id, err)
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(snap.Data())) {
		parts = append(parts, name+"="+describeValue(snap.Data()[name]))
	}
	return strings.Join(parts, " "), nil
}

// describeValue returns a value. Those that are not integers have their type.
func describeValue(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v)
	case float64:
		return fmt.Sprintf("double %g", v)
	case []any:
		parts := make([]string, len(v))
		for i, one := range v {
			parts[i] = describeValue(one)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprint(value)
}

// writeOperations ask for preconditions, commits, transforms and the time of the server.
func writeOperations() []operation {
	return []operation{
		{name: "write and read", run: func(ctx context.Context, s *scratch) (string, error, error) {
			if _, err := s.set(ctx, "first", doc{"text": "é", "number": 1, "list": []any{true, nil}}); err != nil {
				return "", nil, err
			}
			result, err := s.describe(ctx, "first")
			return result, nil, err
		}},
		{name: "update of a missing document", run: func(ctx context.Context, s *scratch) (string, error, error) {
			_, refusal := s.collection.Doc("missing").Update(ctx, []sdk.Update{{Path: "n", Value: 1}})
			return "", refusal, nil
		}},
		{name: "delete of a missing document", run: func(ctx context.Context, s *scratch) (string, error, error) {
			_, refusal := s.collection.Doc("missing").Delete(ctx)
			return "", refusal, nil
		}},
		{name: "delete of a missing document that must exist", run: func(ctx context.Context, s *scratch) (string, error, error) {
			_, refusal := s.collection.Doc("missing").Delete(ctx, sdk.Exists)
			return "", refusal, nil
		}},
		{name: "delete of a missing document with an update time", note: "the code is assumed; Google's emulator answers FailedPrecondition", run: func(ctx context.Context, s *scratch) (string, error, error) {
			_, refusal := s.collection.Doc("missing").Delete(ctx, sdk.LastUpdateTime(time.Unix(1_700_000_000, 0)))
			return "", refusal, nil
		}},
		{name: "create of a document that exists", run: func(ctx context.Context, s *scratch) (string, error, error) {
			if _, err := s.set(ctx, "there", doc{"n": 1}); err != nil {
				return "", nil, err
			}
			_, refusal := s.collection.Doc("there").Create(ctx, doc{"n": 2})
			return "", refusal, nil
		}},
		{name: "update of an older version", run: updateOlderVersion},
		{name: "commit of which one write fails", run: commitWithOneFault},
		{name: "a write that changes nothing", run: writeNothingNew},
		{name: "transforms", run: transform},
		{name: "time of the server", note: "that it is the time of the commit is assumed", run: readServerTime},
	}
}

func updateOlderVersion(ctx context.Context, s *scratch) (string, error, error) {
	older, err := s.set(ctx, "versions", doc{"n": 1})
	if err != nil {
		return "", nil, err
	}
	if _, err := s.set(ctx, "versions", doc{"n": 2}); err != nil {
		return "", nil, err
	}
	_, refusal := s.collection.Doc("versions").Update(ctx, []sdk.Update{{Path: "n", Value: 3}}, sdk.LastUpdateTime(older))
	return "", refusal, nil
}

// commitWithOneFault returns whether the write without a fault is there.
func commitWithOneFault(ctx context.Context, s *scratch) (string, error, error) {
	if _, err := s.set(ctx, "whole", doc{"n": 1}); err != nil {
		return "", nil, err
	}
	refusal := s.client.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
		if err := tx.Set(s.collection.Doc("half"), doc{"n": 1}); err != nil {
			return err
		}
		return tx.Create(s.collection.Doc("whole"), doc{"n": 2})
	})
	_, err := s.collection.Doc("half").Get(ctx)
	if status.Code(err) == codes.NotFound {
		return "the other write is absent", refusal, nil
	}
	return "the other write is there", refusal, err
}

func writeNothingNew(ctx context.Context, s *scratch) (string, error, error) {
	first, err := s.set(ctx, "equal", doc{"n": 1})
	if err != nil {
		return "", nil, err
	}
	again, err := s.set(ctx, "equal", doc{"n": 1})
	return fmt.Sprintf("the update time stays: %t", again.Equal(first)), nil, err
}

// transform makes each kind of transform on values that fit and on values that do not.
func transform(ctx context.Context, s *scratch) (string, error, error) {
	start := doc{"int": 1, "big": int64(1<<63 - 1), "text": "x", "list": []any{1, 2, 2}, "max": 5, "min": 5.0, "same": 3}
	if _, err := s.set(ctx, "transforms", start); err != nil {
		return "", nil, err
	}
	_, refusal := s.collection.Doc("transforms").Update(ctx, []sdk.Update{
		{Path: "int", Value: sdk.Increment(1.5)}, {Path: "big", Value: sdk.Increment(10)}, {Path: "text", Value: sdk.Increment(4)},
		{Path: "new", Value: sdk.Increment(2)}, {Path: "list", Value: sdk.ArrayUnion(2.0, 3, "a")}, {Path: "fresh", Value: sdk.ArrayUnion(1, 1)},
		{Path: "gone", Value: sdk.ArrayRemove(1)}, {Path: "max", Value: sdk.FieldTransformMaximum(7)},
		{Path: "min", Value: sdk.FieldTransformMinimum(7)}, {Path: "same", Value: sdk.FieldTransformMaximum(3.0)},
	})
	result, err := s.describe(ctx, "transforms")
	return result, refusal, err
}

func readServerTime(ctx context.Context, s *scratch) (string, error, error) {
	all := map[string]doc{"clock-a": {"t": sdk.ServerTimestamp}, "clock-b": {"t": sdk.ServerTimestamp}}
	if err := s.setAll(ctx, all); err != nil {
		return "", nil, err
	}
	var times []time.Time
	var committed time.Time
	for id := range all {
		snap, err := s.collection.Doc(id).Get(ctx)
		if err != nil {
			return "", nil, fmt.Errorf("reading %s: %w", id, err)
		}
		at, ok := snap.Data()["t"].(time.Time)
		if !ok {
			return fmt.Sprintf("the time is a %T", snap.Data()["t"]), nil, nil
		}
		times, committed = append(times, at), snap.UpdateTime
	}
	apart := committed.Sub(times[0])
	return fmt.Sprintf("one time in a commit: %t; whole milliseconds: %t; not after the commit: %t; within a millisecond of it: %t",
		times[0].Equal(times[1]), times[0].Equal(times[0].Truncate(time.Millisecond)), apart >= 0, apart.Abs() < time.Millisecond), nil, nil
}

// limitOperations ask for writes beyond a limit.
func limitOperations() []operation {
	deep := any("leaf")
	for range 21 {
		deep = doc{"d": deep}
	}
	many := doc{}
	for i := range 501 {
		many[fmt.Sprintf("f%d", i)] = sdk.Increment(1)
	}

	refuse := func(name, id string, d doc) operation {
		return operation{name: name, run: func(ctx context.Context, s *scratch) (string, error, error) {
			_, refusal := s.collection.Doc(id).Set(ctx, d)
			return "", refusal, nil
		}}
	}
	return []operation{
		refuse("document over 1 MiB", "limits", doc{"s": strings.Repeat("x", 1<<20)}),
		refuse("depth over 20", "limits", doc{"m": deep}),
		refuse("list in a list", "limits", doc{"a": []any{[]any{1}}}),
		refuse("reserved field", "limits", doc{"__x__": 1}),
		refuse("name of a field over 1,500 bytes", "limits", doc{strings.Repeat("f", 1501): 1}),
		refuse("reserved id", "__a__", doc{"n": 1}),
		refuse("id of one dot", ".", doc{"n": 1}),
		refuse("id over 1,500 bytes", strings.Repeat("i", 1501), doc{"n": 1}),
		refuse("id of 1,500 bytes", strings.Repeat("i", 1500), doc{"n": 1}),
		refuse("501 transforms of a document", "limits", many),
	}
}
