package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"
)

const testDB = "projects/p/databases/(default)"

// A model holds the database as plain maps, one per commit, for comparison.
type model struct {
	at     []instant
	states []map[string]map[string]*pb.Value
}

// TestQueriesAnswerAsAModelDoes runs random queries over random histories, at
// the present and at past times. It compares the results of the indexes with the
// results of checking every document.
func TestQueriesAnswerAsAModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		clock := time.UnixMicro(1e15)
		tick := func() time.Time { clock = clock.Add(time.Millisecond); return clock }
		e := New(Options{Now: tick, LookFirst: rapid.SampledFrom([]int{0, -1, 3}).Draw(t, "look first")})
		db, err := e.Database(testDB)
		if err != nil {
			t.Fatal(err)
		}
		m := &model{at: []instant{db.latestReadTime()}, states: []map[string]map[string]*pb.Value{{}}}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			m.commit(t, db)
			for range rapid.IntRange(5, 40).Draw(t, "queries") {
				m.compare(t, db, clock)
			}
		}
	})
}

func (m *model) commit(t *rapid.T, db *Database) {
	next := maps.Clone(m.states[len(m.states)-1])
	var ws []*pb.Write
	for range rapid.IntRange(1, 6).Draw(t, "writes") {
		path := rapid.SampledFrom([]string{"c/a", "c/b", "c/__id7__", "c/d", "c/e", "c/f", "c/a/c/x", "c/b/c/x", "c/b/c/y", "o/a", "o/a/c/z"}).Draw(t, "path")
		name := db.documentsPrefix() + path
		if rapid.IntRange(0, 4).Draw(t, "delete") == 0 {
			delete(next, path)
			ws = append(ws, &pb.Write{Operation: &pb.Write_Delete{Delete: name}})
			continue
		}
		fields := map[string]*pb.Value{}
		for _, f := range []string{"x", "y", "z"} {
			if rapid.IntRange(0, 5).Draw(t, "has") > 0 {
				fields[f] = drawValue(t, 0)
			}
		}
		next[path] = fields
		ws = append(ws, &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: name, Fields: fields}}})
	}
	c, err := db.Commit(context.Background(), nil, ws)
	if err != nil {
		t.Fatal(err)
	}
	m.at, m.states = append(m.at, c.at), append(m.states, next)
}

func drawValue(t *rapid.T, depth int) *pb.Value {
	kinds := 8
	if depth > 0 {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nullValue
	case 1:
		return doubleValue(rapid.SampledFrom([]float64{nan, -1, 0, 1, 1.5, 1 << 60}).Draw(t, "double"))
	case 2:
		return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: rapid.SampledFrom([]string{"", "a", "a\x00", "b"}).Draw(t, "string")}}
	case 3:
		return &pb.Value{ValueType: &pb.Value_BooleanValue{BooleanValue: rapid.Bool().Draw(t, "bool")}}
	case 6:
		var vs []*pb.Value
		for range rapid.IntRange(0, 3).Draw(t, "elements") {
			vs = append(vs, drawValue(t, 1))
		}
		return arrayValue(vs)
	case 7:
		return mapValue(map[string]*pb.Value{"k": drawValue(t, 1)})
	}
	return intValue(rapid.SampledFrom([]int64{-1, 0, 1, 2, 1 << 60, 1<<60 + 1}).Draw(t, "int"))
}

func drawQuery(t *rapid.T) *pb.StructuredQuery {
	sq := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c", AllDescendants: rapid.Bool().Draw(t, "group")}}}
	if rapid.IntRange(0, 3).Draw(t, "filtered") > 0 {
		sq.Where = drawFilter(t, 2)
	}
	for range rapid.IntRange(0, 2).Draw(t, "orders") {
		sq.OrderBy = append(sq.OrderBy, &pb.StructuredQuery_Order{
			Field:     &pb.StructuredQuery_FieldReference{FieldPath: rapid.SampledFrom([]string{"x", "y", "x.k", "__name__"}).Draw(t, "order")},
			Direction: rapid.SampledFrom([]pb.StructuredQuery_Direction{1, 2}).Draw(t, "direction"),
		})
	}
	sq.Offset = int32(rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "offset"))
	if n := rapid.IntRange(0, 4).Draw(t, "limit"); n > 0 {
		sq.Limit = wrapperspb.Int32(int32(n))
	}
	for _, c := range []**pb.Cursor{&sq.StartAt, &sq.EndAt} {
		if len(sq.OrderBy) > 0 && rapid.IntRange(0, 3).Draw(t, "cursor") == 0 {
			v := drawValue(t, 0)
			if sq.OrderBy[0].Field.FieldPath == nameField {
				v = drawReference(t)
			}
			*c = &pb.Cursor{Values: []*pb.Value{v}, Before: rapid.Bool().Draw(t, "before")}
		}
	}
	return sq
}

func drawReference(t *rapid.T) *pb.Value {
	return referenceValue(testDB + "/documents/" + rapid.SampledFrom([]string{"c/a", "c/b", "c/__id7__", "c/b/c/x"}).Draw(t, "reference"))
}

func drawFilter(t *rapid.T, depth int) *pb.StructuredQuery_Filter {
	if depth > 0 && rapid.IntRange(0, 2).Draw(t, "composite") > 0 {
		f := &pb.StructuredQuery_CompositeFilter{Op: rapid.SampledFrom([]pb.StructuredQuery_CompositeFilter_Operator{1, 1, 2}).Draw(t, "and/or")}
		for range rapid.IntRange(1, 3).Draw(t, "filters") {
			f.Filters = append(f.Filters, drawFilter(t, depth-1))
		}
		return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_CompositeFilter{CompositeFilter: f}}
	}
	field := rapid.SampledFrom([]string{"x", "y", "x.k", "z", "__name__"}).Draw(t, "field")
	ops := []pb.StructuredQuery_FieldFilter_Operator{1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10}
	f := &pb.StructuredQuery_FieldFilter{Field: &pb.StructuredQuery_FieldReference{FieldPath: field}, Op: rapid.SampledFrom(ops).Draw(t, "op")}
	one := func() *pb.Value {
		if field == nameField {
			return drawReference(t)
		}
		return drawValue(t, 0)
	}
	f.Value = one()
	if f.Op >= pb.StructuredQuery_FieldFilter_IN && f.Op != pb.StructuredQuery_FieldFilter_NOT_EQUAL {
		f.Value = arrayValue([]*pb.Value{one(), one()})
	}
	return &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: f}}
}

func (m *model) compare(t *rapid.T, db *Database, clock time.Time) {
	sq := drawQuery(t)
	q, err := NewQuery(testDB+"/documents", sq)
	if err != nil {
		return // refused: nothing to compare
	}
	i := len(m.states) - 1
	r := Read{}
	if rapid.Bool().Draw(t, "past") {
		i = rapid.IntRange(0, i).Draw(t, "state")
		r.Time = timestamppb.New(time.UnixMicro(m.at[i]))
	}
	res, err := db.Query(context.Background(), q, r)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	if _, err := res.Each(context.Background(), func(d *Document) error { got = append(got, d.Path); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := m.answer(q, i); !slices.Equal(got, want) {
		t.Fatalf("query %v\nof state %d found %v, want %v", sq, i, got, want)
	}
}

// answer checks every document of a state.
func (m *model) answer(q *Query, i int) []string {
	type found struct{ path, key string }
	var fs []found
	for path, fields := range m.states[i] {
		b, err := newBody(fields)
		if err != nil {
			panic(err)
		}
		v := &version{body: b}
		if q.coversPath(path) && q.matchesDocument(path, v) {
			fs = append(fs, found{path, q.orderKey(path, v)})
		}
	}
	slices.SortFunc(fs, func(a, b found) int { return strings.Compare(a.key, b.key) })
	var out []string
	for _, f := range fs {
		if q.start != nil {
			if c := cursorSide(f.key, q.cursorKey(q.start)); c < 0 || c == 0 && !q.start.before {
				continue
			}
		}
		if q.end != nil {
			if c := cursorSide(f.key, q.cursorKey(q.end)); c > 0 || c == 0 && q.end.before {
				continue
			}
		}
		out = append(out, f.path)
	}
	out = out[min(q.offset, len(out)):]
	if q.limit >= 0 {
		out = out[:min(q.limit, len(out))]
	}
	return out
}

// orderKey joins the values that a document is ordered by.
func (q *Query) orderKey(path string, v *version) string {
	get, key := q.fieldGetter(path, v), []byte(nil)
	for _, o := range q.orders {
		x, _ := get(o.path)
		key = part{desc: o.desc}.appendValue(key, x)
	}
	return string(key)
}

func (q *Query) cursorKey(c *cursor) string {
	var key []byte
	for i, v := range c.values {
		key = part{desc: q.orders[i].desc}.appendValue(key, v)
	}
	return string(key)
}

func cursorSide(key, cursor string) int {
	return strings.Compare(key[:min(len(key), len(cursor))], cursor)
}

func TestValuesEncodeInDocumentedOrder(t *testing.T) {
	t.Parallel()
	str := func(s string) *pb.Value { return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}} }
	raw := func(s string) *pb.Value { return &pb.Value{ValueType: &pb.Value_BytesValue{BytesValue: []byte(s)}} }
	vector := func(fs ...float64) *pb.Value {
		var vs []*pb.Value
		for _, f := range fs {
			vs = append(vs, doubleValue(f))
		}
		return mapValue(map[string]*pb.Value{"__type__": str("__vector__"), "value": arrayValue(vs)})
	}
	ordered := []*pb.Value{
		nullValue,
		{ValueType: &pb.Value_BooleanValue{}}, {ValueType: &pb.Value_BooleanValue{BooleanValue: true}},
		doubleValue(nan), doubleValue(-1e300), intValue(-1 << 63), intValue(-1<<63 + 1), intValue(-1<<53 - 1), intValue(-1 << 53), doubleValue(-1.5), intValue(-1),
		intValue(0), doubleValue(5e-324), doubleValue(1.5), intValue(2), intValue(1 << 53), intValue(1<<53 + 1), intValue(1<<60 + 1), intValue(1<<63 - 1), doubleValue(1 << 63), doubleValue(1e300),
		{ValueType: &pb.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: -62135596800}}},
		{ValueType: &pb.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Nanos: 1000}}},
		str(""), str("\x00"), str("\x00a"), str("a"), str("a\x00"), str("aa"), str("é"), str("\U0001F600"),
		raw(""), raw("\x00"), raw("\x00\xff"), raw("\xff"),
		referenceValue("p/c/__id5__"), referenceValue("p/c/__id10__"), referenceValue("p/c/a"), referenceValue("p/c/a/d/b"), referenceValue("p/c-/a"),
		arrayValue(nil), arrayValue([]*pb.Value{intValue(1)}), arrayValue([]*pb.Value{intValue(1), intValue(1)}), arrayValue([]*pb.Value{intValue(2)}),
		vector(9), vector(1, 2), vector(1, 3),
		mapValue(nil), mapValue(map[string]*pb.Value{"a": intValue(1)}), mapValue(map[string]*pb.Value{"a": intValue(1), "b": intValue(0)}), mapValue(map[string]*pb.Value{"a": intValue(2)}), mapValue(map[string]*pb.Value{"b": intValue(0)}),
	}
	for i := range ordered {
		for j := range ordered {
			a, b := string(encodeValue(nil, ordered[i])), string(encodeValue(nil, ordered[j]))
			if got, want := strings.Compare(a, b), strings.Compare(fmt.Sprintf("%03d", i), fmt.Sprintf("%03d", j)); got != want {
				t.Errorf("%v against %v: %d, want %d", ordered[i], ordered[j], got, want)
			}
			if i != j && strings.HasPrefix(a, b) {
				t.Errorf("the encoding of %v begins with that of %v", ordered[i], ordered[j])
			}
		}
	}
	if !equalValues(intValue(1), doubleValue(1)) {
		t.Errorf("1 and 1.0 differ, want equal")
	}
	if !equalValues(intValue(0), doubleValue(-1/inf())) {
		t.Errorf("0 and -0 differ, want equal")
	}
}

func inf() float64 { var zero float64; return 1 / zero }
