package engine

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// BenchmarkMemory fills a collection with small documents: 1,000,000, or the number in
// FIRESTORE_BENCH_DOCUMENTS. It prints the bytes of memory for each stored byte, as the
// service counts stored bytes, without indexes and with the two indexes that two queries
// need. It also prints the time of a page of 500 that half of the documents match, and the
// time of a page that needs an index, for the first and for a later read.
//
//	go test -run - -bench Memory -benchtime 1x ./emulators/firestore/engine
func BenchmarkMemory(b *testing.B) {
	n := 1_000_000
	if s := os.Getenv("FIRESTORE_BENCH_DOCUMENTS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		before := heapBytes()
		db, err := New(Options{}).Database(testDB)
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		stored := fill(b, db, n)
		b.ReportMetric(float64(n)/time.Since(began).Seconds(), "writes/s")
		b.ReportMetric(float64(heapBytes()-before)/float64(stored), "x-stored")
		half := condition{path: fieldPath{"reachable"}, value: &pb.Value{ValueType: &pb.Value_BooleanValue{BooleanValue: true}}}
		few := condition{path: fieldPath{"segment"}, value: &pb.Value{ValueType: &pb.Value_StringValue{StringValue: "s3"}}}
		b.ReportMetric(pageTime(b, db, half, nameField), "ms/page-of-half")
		b.ReportMetric(pageTime(b, db, few, nameField), "ms/first-page")
		b.ReportMetric(pageTime(b, db, few, "n"), "ms/first-ordered")
		var named, ordered float64
		for range 20 {
			named += pageTime(b, db, few, nameField)
			ordered += pageTime(b, db, few, "n")
		}
		b.ReportMetric(named/20, "ms/page")
		b.ReportMetric(ordered/20, "ms/ordered-page")
		b.ReportMetric(float64(heapBytes()-before)/float64(stored), "x-stored-2-indexes")
		runtime.KeepAlive(db)
	}
	b.ReportMetric(0, "ns/op")
}

func heapBytes() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func fill(b *testing.B, db *Database, n int) (stored int) {
	for i := 0; i < n; i += 500 {
		var ws []*pb.Write
		for k := i; k < i+500; k++ {
			path := fmt.Sprintf("customers/%016x", uint64(k)*0x9e3779b97f4a7c15)
			fields := map[string]*pb.Value{
				"id": {ValueType: &pb.Value_StringValue{StringValue: fmt.Sprintf("customer-%d", k)}},
				"n":  intValue(int64(k)), "reachable": {ValueType: &pb.Value_BooleanValue{BooleanValue: k%2 == 0}},
				"segment": {ValueType: &pb.Value_StringValue{StringValue: fmt.Sprintf("s%d", k%10)}},
			}
			stored += documentSize(path, fields)
			ws = append(ws, &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: db.documentsPrefix() + path, Fields: fields}}})
		}
		if _, err := db.Commit(context.Background(), nil, ws); err != nil {
			b.Fatal(err)
		}
	}
	return stored
}

// pageTime reads 500 documents that have a value and returns milliseconds.
func pageTime(b *testing.B, db *Database, c condition, orderBy string) float64 {
	q, err := NewQuery(testDB+"/documents", &pb.StructuredQuery{
		From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "customers"}},
		Where: &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
			Field: &pb.StructuredQuery_FieldReference{FieldPath: c.path.String()}, Op: pb.StructuredQuery_FieldFilter_EQUAL, Value: c.value,
		}}},
		OrderBy: []*pb.StructuredQuery_Order{{Field: &pb.StructuredQuery_FieldReference{FieldPath: orderBy}, Direction: pb.StructuredQuery_ASCENDING}},
		Limit:   wrapperspb.Int32(500),
	})
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	res, err := db.Query(context.Background(), q, Read{})
	if err != nil {
		b.Fatal(err)
	}
	found := 0
	if _, err := res.Each(context.Background(), func(*Document) error { found++; return nil }); err != nil {
		b.Fatalf("run the query: %v", err)
	} else if found != 500 {
		b.Fatalf("%d documents found, want 500", found)
	}
	return float64(time.Since(began).Microseconds()) / 1000
}
