package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
)

// setNumber commits documents of the collection c with the field n. A negative number
// deletes the document.
func setNumber(t *testing.T, db *Database, id string, n int64) {
	t.Helper()
	name := db.documentsPrefix() + "c/" + id
	w := &pb.Write{Operation: &pb.Write_Delete{Delete: name}}
	if n >= 0 {
		fields := map[string]*pb.Value{"n": intValue(n), "a": {ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: []*pb.Value{intValue(n), intValue(n % 3)}}}}}
		w = &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: name, Fields: fields}}}
	}
	if _, err := db.Commit(context.Background(), nil, []*pb.Write{w}); err != nil {
		t.Errorf("committing %s: %v", id, err)
	}
}

// dumpEntries returns the entries of a list as texts.
func dumpEntries(s *sorted) (out []string) {
	for _, b := range s.blocks {
		for _, e := range b {
			out = append(out, fmt.Sprintf("%x %s", e.key, e.doc.id()))
		}
	}
	return out
}

// An index that is built while documents are written, deleted and created again, and while
// their history is dropped, is the same as one that is built when all is quiet.
func TestAnIndexIsBuiltBesideCommits(t *testing.T) {
	t.Parallel()
	const documents = 20 * buildChunk
	db, err := New(Options{Superseded: 200_000}).Database(testDB)
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	for i := range documents {
		setNumber(t, db, fmt.Sprintf("%05d", i), int64(i%1000))
	}
	c := db.collections["c"]

	kinds := [][]part{{{path: fieldPath{"n"}}}, {{path: fieldPath{"n"}, desc: true}}, {{path: fieldPath{"a"}, contains: true}}, {{path: fieldPath{"a"}, contains: true}, {path: fieldPath{"n"}}}}
	stop := make(chan struct{})
	var writers, builders sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				// Some documents are new, and one in four writes is a deletion.
				setNumber(t, db, fmt.Sprintf("%05d", random.IntN(documents*11/10)), random.Int64N(1300)-300)
			}
		})
	}
	for _, parts := range kinds {
		builders.Go(func() { db.findOrBuildIndex(c, parts) })
		builders.Go(func() { db.findOrBuildIndex(c, parts) }) // waits for the other
	}
	builders.Wait()
	close(stop)
	writers.Wait()

	for _, parts := range kinds {
		id := indexID(parts)
		t.Run(id, func(t *testing.T) {
			got := c.indexes[id]
			delete(c.indexes, id)
			want := db.findOrBuildIndex(c, parts)
			if got == want {
				t.Fatal("the index was not built again, so nothing is compared")
			}
			if diff := cmp.Diff(dumpEntries(&want.live), dumpEntries(&got.live)); diff != "" {
				t.Errorf("the entries of current versions differ (-quiet +beside commits):\n%s", diff)
			}
			gotPast, wantPast := dumpEntries(&got.past), dumpEntries(&want.past)
			slices.Sort(gotPast)
			slices.Sort(wantPast)
			if diff := cmp.Diff(wantPast, gotPast); diff != "" {
				t.Errorf("the entries of older versions differ (-quiet +beside commits):\n%s", diff)
			}
		})
	}
	if n := len(c.builds); n > 0 {
		t.Errorf("%d builds are still registered", n)
	}
}

// While an index of a large collection is built, commits go on.
func TestCommitsDoNotWaitForAnIndex(t *testing.T) {
	t.Parallel()
	const documents = 100 * buildChunk
	db, err := New(Options{}).Database(testDB)
	if err != nil {
		t.Fatalf("opening the database: %v", err)
	}
	for i := range documents {
		setNumber(t, db, fmt.Sprint(i), int64(i))
	}

	built := make(chan struct{})
	go func() {
		defer close(built)
		db.findOrBuildIndex(db.collections["c"], []part{{path: fieldPath{"n"}}})
	}()
	for !hasBegun(db.collections["c"], db) {
		time.Sleep(time.Millisecond)
	}
	commits := 0
	for {
		setNumber(t, db, "0", int64(commits))
		select {
		case <-built:
			if commits < 5 {
				t.Errorf("%d commits ended while an index of %d documents was built, want at least 5", commits, documents)
			}
			return
		default:
			commits++
		}
	}
}

// hasBegun reports whether an index of the collection is being built, or is there.
func hasBegun(c *collection, db *Database) bool {
	db.mu.RLock()
	defer db.mu.RUnlock()
	return len(c.builds)+len(c.indexes) > 0
}
