package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"carillon.example/emulators/snapshot/snapshottest"
	"carillon.example/emulators/testcloud/check"
)

// everyValue has a value of each type, and the values of each type that are easy to lose.
func everyValue() map[string]*pb.Value {
	vector := mapValue(map[string]*pb.Value{
		"__type__": {ValueType: &pb.Value_StringValue{StringValue: "__vector__"}},
		"value":    arrayValue([]*pb.Value{doubleValue(1.5), doubleValue(-2)}),
	})
	return map[string]*pb.Value{
		"null": nullValue, "true": {ValueType: &pb.Value_BooleanValue{BooleanValue: true}}, "false": {ValueType: &pb.Value_BooleanValue{}},
		"zero": intValue(0), "largest": intValue(math.MaxInt64), "smallest": intValue(math.MinInt64),
		"double": doubleValue(0.1), "whole double": doubleValue(3), "negative zero": doubleValue(math.Copysign(0, -1)),
		"NaN": doubleValue(math.NaN()), "infinite": doubleValue(math.Inf(1)), "negative infinite": doubleValue(math.Inf(-1)),
		"tiny": doubleValue(math.SmallestNonzeroFloat64), "huge": doubleValue(math.MaxFloat64),
		"time":         {ValueType: &pb.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: 1_800_000_000, Nanos: 123_456_000}}},
		"first time":   {ValueType: &pb.Value_TimestampValue{TimestampValue: timestamppb.New(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))}},
		"last time":    {ValueType: &pb.Value_TimestampValue{TimestampValue: timestamppb.New(time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC))}},
		"string":       {ValueType: &pb.Value_StringValue{StringValue: "a\n\"b\"\u2028<\x00>é🙂\\"}},
		"empty string": {ValueType: &pb.Value_StringValue{}},
		"bytes":        {ValueType: &pb.Value_BytesValue{BytesValue: []byte{0, 255, '\n', '"'}}},
		"empty bytes":  {ValueType: &pb.Value_BytesValue{BytesValue: []byte{}}},
		"reference":    referenceValue(testDB + "/documents/a/b"),
		"place":        {ValueType: &pb.Value_GeoPointValue{GeoPointValue: &latlng.LatLng{Latitude: -90, Longitude: 0.1}}},
		"no place":     {ValueType: &pb.Value_GeoPointValue{GeoPointValue: &latlng.LatLng{}}},
		"list":         arrayValue([]*pb.Value{intValue(1), nullValue, mapValue(map[string]*pb.Value{"x": arrayValue(nil)})}),
		"empty list":   arrayValue(nil), "empty map": mapValue(nil), "vector": vector,
		"map": mapValue(map[string]*pb.Value{"inner": mapValue(map[string]*pb.Value{"a.b`c": intValue(1)}), "é": nullValue}),
	}
}

func commitTo(t testing.TB, e *Engine, database string, ws ...*pb.Write) {
	t.Helper()
	db, err := e.Database(database)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Commit(context.Background(), nil, ws); err != nil {
		t.Fatal(err)
	}
}

func setIn(database, path string, fields map[string]*pb.Value) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: database + "/documents/" + path, Fields: fields}}}
}

func deleteIn(database, path string) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Delete{Delete: database + "/documents/" + path}}
}

func saveEngine(t testing.TB, e *Engine) (string, Contents) {
	t.Helper()
	var b bytes.Buffer
	c, err := e.Save(&b)
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), c
}

func loadEngine(t testing.TB, o Options, text string) (*Engine, Contents) {
	t.Helper()
	e := New(o)
	c, err := e.Load(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return e, c
}

// getDocument returns a document, or nil if it does not exist.
func getDocument(t testing.TB, e *Engine, name string) *pb.Document {
	t.Helper()
	db, err := e.Database(name)
	if err != nil {
		t.Fatal(err)
	}
	docs, _, err := db.GetAll(context.Background(), Read{}, []string{name}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !docs[0].Exists() {
		return nil
	}
	return docs[0].Proto()
}

// TestASnapshotHasEveryDocumentAsItWas checks values of every type, times, nested collections,
// ids that are hard to write, deleted documents, and several databases.
func TestASnapshotHasEveryDocumentAsItWas(t *testing.T) {
	t.Parallel()
	const other = "projects/q/databases/second"
	clock := time.Date(2026, 3, 1, 0, 0, 0, 1000, time.UTC)
	e := New(Options{Now: func() time.Time { clock = clock.Add(time.Second); return clock }})
	commitTo(t, e, testDB, setIn(testDB, "values/every", everyValue()), setIn(testDB, "values/none", nil))
	commitTo(t, e, testDB, setIn(testDB, "a/b/c/d", everyValue()), setIn(testDB, "a/gone", nil), setIn(testDB, "a/é<\"> `.", nil),
		setIn(testDB, "a/__id7__", nil), setIn(testDB, "a/__id10__", nil))
	commitTo(t, e, testDB, setIn(testDB, "values/none", map[string]*pb.Value{"n": intValue(2)}), deleteIn(testDB, "a/gone"))
	commitTo(t, e, other, setIn(other, "a/b", map[string]*pb.Value{"of": referenceValue(other + "/documents/a/c")}))
	readsBefore, _, _ := e.Usage()
	text, saved := saveEngine(t, e)
	readsAfter, _, _ := e.Usage()
	check.Equal(t, readsAfter, readsBefore, "the number of billed reads after a snapshot")
	check.Equal(t, saved, Contents{Databases: 2, Documents: 7}, "what was saved")

	again, loaded := loadEngine(t, Options{}, text)
	check.Equal(t, loaded, saved, "what was loaded")
	for _, name := range []string{testDB + "/documents/values/every", testDB + "/documents/values/none", testDB + "/documents/a/b/c/d",
		testDB + "/documents/a/gone", testDB + "/documents/a/é<\"> `.", testDB + "/documents/a/__id7__", other + "/documents/a/b"} {
		t.Run(name, func(t *testing.T) {
			if got, want := getDocument(t, again, name), getDocument(t, e, name); !proto.Equal(got, want) {
				t.Errorf("after a restart it is %v, want %v", got, want)
			}
		})
	}
	resaved, _ := saveEngine(t, again)
	check.Equal(t, snapshottest.WithoutTime([]byte(resaved)), snapshottest.WithoutTime([]byte(text)), "a snapshot of what was loaded")
}

// A hooked writer calls do before its first write.
type hooked struct {
	bytes.Buffer
	do func()
}

func (h *hooked) Write(b []byte) (int, error) {
	if h.do != nil {
		h.do()
		h.do = nil
	}
	return h.Buffer.Write(b)
}

// TestASnapshotIsOfOneMoment changes everything while a snapshot is written, and keeps less
// history than the changes take. The snapshot has to be that of its beginning.
func TestASnapshotIsOfOneMoment(t *testing.T) {
	t.Parallel()
	const other = "projects/q/databases/second"
	large := &pb.Value{ValueType: &pb.Value_StringValue{StringValue: strings.Repeat("x", 1000)}}
	fill := func(t *testing.T, e *Engine, n int64) {
		for i := range 300 {
			path := fmt.Sprintf("c%d/%d", i%3, i)
			commitTo(t, e, testDB, setIn(testDB, path, map[string]*pb.Value{"n": intValue(n), "large": large}))
		}
		commitTo(t, e, other, setIn(other, "a/b", map[string]*pb.Value{"n": intValue(n)}))
	}
	for name, change := range map[string]func(t *testing.T, e *Engine){
		"documents change": func(t *testing.T, e *Engine) { fill(t, e, 2); fill(t, e, 3) },
		"documents are deleted": func(t *testing.T, e *Engine) {
			for i := range 300 {
				commitTo(t, e, testDB, deleteIn(testDB, fmt.Sprintf("c%d/%d", i%3, i)))
			}
			commitTo(t, e, other, deleteIn(other, "a/b"))
		},
		"everything is cleared": func(t *testing.T, e *Engine) { e.Clear(""); fill(t, e, 2) },
		"documents are added": func(t *testing.T, e *Engine) {
			commitTo(t, e, testDB, setIn(testDB, "c0/new", nil), setIn(testDB, "new/x", nil))
		},
		"a database is added":    func(t *testing.T, e *Engine) { commitTo(t, e, testDB+"2", setIn(testDB+"2", "c/x", nil)) },
		"all of it is cleared":   func(t *testing.T, e *Engine) { e.Clear(testDB) },
		"history is pruned late": func(t *testing.T, e *Engine) { fill(t, e, 2); e.Clear(other); fill(t, e, 3) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := New(Options{Superseded: 1})
			fill(t, e, 1)
			want, _ := saveEngine(t, e)
			w := &hooked{do: func() { change(t, e) }}
			c, err := e.Save(w)
			if err != nil {
				t.Fatal(err)
			}
			check.Equal(t, c.Documents, 301, "the number of documents")
			if got := snapshottest.WithoutTime(w.Bytes()); got != snapshottest.WithoutTime([]byte(want)) {
				t.Errorf("a snapshot during which %s differs from one before", name)
			}

			fill(t, e, 4) // lets go of the history that the snapshot needed
			db, err := e.Database(testDB)
			if err != nil {
				t.Fatal(err)
			}
			check.Between(t, len(db.history.changes), 0, 1, "the number of changes kept after the snapshot")
		})
	}
}

// TestDatabasesHaveOneTimeInASnapshot makes many commits in one database while the clock stands.
// A commit in the other database, after the snapshot began, is not in the snapshot.
func TestDatabasesHaveOneTimeInASnapshot(t *testing.T) {
	t.Parallel()
	const other = "projects/q/databases/second"
	e := New(Options{Now: func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }})
	commitTo(t, e, other, setIn(other, "a/b", map[string]*pb.Value{"n": intValue(1)}))
	for i := range 100 {
		commitTo(t, e, testDB, setIn(testDB, fmt.Sprint("c/", i), map[string]*pb.Value{"large": {ValueType: &pb.Value_StringValue{StringValue: strings.Repeat("x", 1000)}}}))
	}
	want, _ := saveEngine(t, e)

	w := &hooked{do: func() { commitTo(t, e, other, setIn(other, "a/b", map[string]*pb.Value{"n": intValue(2)})) }}
	if _, err := e.Save(w); err != nil {
		t.Fatal(err)
	}
	if got := snapshottest.WithoutTime(w.Bytes()); got != snapshottest.WithoutTime([]byte(want)) {
		t.Error("a commit that was made while the snapshot was written is in it")
	}
}

func TestACutSnapshotIsRefused(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	commitTo(t, e, testDB, setIn(testDB, "values/every", everyValue()), setIn(testDB, "values/none", nil))
	snapshottest.CheckFaults(t, func(w io.Writer) error { _, err := e.Save(w); return err },
		func(r io.Reader) error { _, err := New(Options{}).Load(r); return err })
}

func TestFaultsOfASnapshotAreNamed(t *testing.T) {
	t.Parallel()
	const head = `{"snapshot":"firestore","version":1,"at":"2026-11-28T00:00:00Z"}` + "\n"
	const end = `{"end":{"lines":1}}` + "\n"
	document := func(path, created, updated, fields string) string {
		return fmt.Sprintf(`{"name":"projects/p/databases/d/documents/%s","createTime":%q,"updateTime":%q,"fields":{%s}}`+"\n", path, created, updated, fields)
	}
	const early, late = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "the file is cut"},
		"no snapshot":         {"{}\n", "not that of a snapshot"},
		"another emulator":    {strings.Replace(head, "firestore", "pubsub", 1), `a snapshot of "pubsub", want one of "firestore"`},
		"another version":     {strings.Replace(head, `"version":1`, `"version":2`, 1), "has version 2 of the form, and this program reads version 1 only"},
		"no time of it":       {`{"snapshot":"firestore","version":1}` + "\n" + end, "the first line has no valid time"},
		"no last line":        {head + document("a/b", early, late, ""), "the file is cut"},
		"a line is missing":   {head + end, "has 0 lines between the first and the last one, and its last line says 1"},
		"more text":           {head + document("a/b", early, late, "") + end + "{}\n", "goes on after its last line"},
		"an invalid end":      {head + `{"end":{}}` + "\n", "the last line is not valid"},
		"no JSON":             {head + "hello\n" + end, "line 2: "},
		"no name":             {head + "{}\n" + end, "line 2: Invalid resource name"},
		"a collection":        {head + document("a", early, late, "") + end, "line 2: Document name"},
		"no time":             {head + `{"name":"projects/p/databases/d/documents/a/b"}` + "\n" + end, "createTime or updateTime"},
		"created later":       {head + document("a/b", late, early, "") + end, "it was created at 2026-02-01 00:00:00 +0000 UTC, after its update"},
		"an invalid value":    {head + document("a/b", early, late, `"x":{}`) + end, "A value has no type"},
		"an unknown value":    {head + document("a/b", early, late, `"x":{"textValue":"y"}`) + end, "textValue"},
		"a document is twice": {head + document("a/b", early, late, "") + document("a/b", early, late, "") + strings.Replace(end, "1", "2", 1), "line 3: projects/p/databases/d/documents/a/b is there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(Options{}).Load(strings.NewReader(c.text))
			check.Error(t, "loading", err, c.want)
		})
	}
}

func TestChangesGrowWithEveryChange(t *testing.T) {
	t.Parallel()
	e := New(Options{})
	last := e.Changes()
	for _, c := range []struct {
		name    string
		do      func()
		changes bool
	}{
		{"a write", func() { commitTo(t, e, testDB, setIn(testDB, "a/b", nil)) }, true},
		{"the same write", func() { commitTo(t, e, testDB, setIn(testDB, "a/b", nil)) }, false},
		{"a read", func() { getDocument(t, e, testDB+"/documents/a/b") }, false},
		{"a delete", func() { commitTo(t, e, testDB, deleteIn(testDB, "a/b")) }, true},
		{"a clear", func() { e.Clear("") }, true},
	} {
		c.do()
		check.Equal(t, e.Changes() > last, c.changes, "whether %s counts as a change", c.name)
		last = e.Changes()
	}
}

// BenchmarkSnapshot saves and loads 100,000 documents of four small fields, and prints the
// seconds of each and the bytes of the file.
//
//	go test -run - -bench Snapshot -benchtime 1x ./emulators/firestore/engine
func BenchmarkSnapshot(b *testing.B) {
	e := New(Options{})
	db, err := e.Database(testDB)
	if err != nil {
		b.Fatal(err)
	}
	fill(b, db, 100_000)
	var saved, loaded time.Duration
	var text string
	for b.Loop() {
		began := time.Now()
		text, _ = saveEngine(b, e)
		saved += time.Since(began)
		began = time.Now()
		loadEngine(b, Options{}, text)
		loaded += time.Since(began)
	}
	b.ReportMetric(saved.Seconds()/float64(b.N), "s/save")
	b.ReportMetric(loaded.Seconds()/float64(b.N), "s/load")
	b.ReportMetric(float64(len(text)), "bytes")
	b.ReportMetric(0, "ns/op")
}
