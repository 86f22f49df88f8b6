package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

func TestASortedListKeepsItsOrderThroughAddsAndRemoves(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	c := &collection{path: "c"}
	var s sorted
	var want []entry
	for i := range 20_000 {
		e := entry{fmt.Sprint(r.IntN(500)), &document{path: fmt.Sprintf("c/%d", r.IntN(1000)), in: c}}
		at, _ := slices.BinarySearchFunc(want, e, entry.compareTo)
		if i%3 == 2 && at < len(want) {
			s.remove(want[at])
			want = slices.Delete(want, at, at+1)
			continue
		}
		s.insert(e)
		want = slices.Insert(want, at, e)
	}
	if s.len != len(want) {
		t.Fatalf("length %d, want %d", s.len, len(want))
	}
	p := s.findFirst(func(entry) bool { return true })
	for i, w := range want {
		if e, ok := s.entryAt(p); !ok {
			t.Fatalf("there is no entry %d, want %v", i, w)
		} else if e.compareTo(w) != 0 {
			t.Fatalf("entry %d is %v, want %v", i, e, w)
		}
		p = s.next(p)
	}
	for i := len(want) - 1; i >= 0; i-- {
		p = s.previous(p)
		if e, ok := s.entryAt(p); !ok {
			t.Fatalf("backwards, there is no entry %d, want %v", i, want[i])
		} else if e.compareTo(want[i]) != 0 {
			t.Fatalf("backwards, entry %d is %v, want %v", i, e, want[i])
		}
	}
	if _, ok := s.entryAt(s.previous(p)); ok {
		t.Error("there is an entry before the first")
	}
	for _, b := range s.blocks {
		if len(b) == 0 {
			t.Errorf("a block is empty, want at least one entry")
		}
		if len(b) > blockSize {
			t.Errorf("a block holds %d entries, want at most %d", len(b), blockSize)
		}
	}
}

// A long query returns the documents of its start, although documents are
// added, removed and changed while it runs.
func TestALongQueryReadsOneMoment(t *testing.T) {
	t.Parallel()
	db, err := New(Options{}).Database(testDB)
	if err != nil {
		t.Fatal(err)
	}
	const n = 5000
	put := func(id int, v int64) *pb.Write {
		return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{
			Name: fmt.Sprintf("%sc/%05d", db.documentsPrefix(), id), Fields: map[string]*pb.Value{"v": intValue(v), "even": intValue(int64(id % 2))},
		}}}
	}
	var ws []*pb.Write
	for i := range n {
		ws = append(ws, put(i, int64(n-i)))
	}
	commit := func(ws ...*pb.Write) {
		if _, err := db.Commit(context.Background(), nil, ws); err != nil {
			t.Fatal(err)
		}
	}
	commit(ws...)
	for _, direction := range []pb.StructuredQuery_Direction{pb.StructuredQuery_ASCENDING, pb.StructuredQuery_DESCENDING} {
		q, err := NewQuery(testDB+"/documents", &pb.StructuredQuery{
			From:    []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}},
			OrderBy: []*pb.StructuredQuery_Order{{Field: &pb.StructuredQuery_FieldReference{FieldPath: "v"}, Direction: direction}},
		})
		if err != nil {
			t.Fatal(err)
		}
		read := func(during func(seen int)) []string {
			res, err := db.Query(context.Background(), q, Read{})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			if _, err := res.Each(context.Background(), func(d *Document) error {
				got = append(got, d.Path)
				during(len(got))
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			return got
		}
		want := read(func(int) {})
		got := read(func(seen int) {
			if seen%500 != 1 {
				return
			}
			del := &pb.Write{Operation: &pb.Write_Delete{Delete: fmt.Sprintf("%sc/%05d", db.documentsPrefix(), seen+1000)}}
			commit(put(seen, 0), put(seen+2500, int64(2*n)), put(n+seen, int64(seen)), del)
		})
		if !slices.Equal(got, want) {
			t.Errorf("%v: %d documents while others wrote, %d before", direction, len(got), len(want))
		}
		commit(ws...)
	}
}
