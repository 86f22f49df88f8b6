package firestore_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/grpc/codes"

	"carillon.example/emulators/official"
)

// ids runs a query and joins the ids of the documents that it finds.
func ids(t testing.TB, q sdk.Query) string {
	t.Helper()
	snaps, err := q.Documents(t.Context()).GetAll()
	if err != nil {
		t.Errorf("query: %v", err)
		return "error"
	}
	var out []string
	for _, s := range snaps {
		out = append(out, s.Ref.ID)
	}
	return strings.Join(out, " ")
}

func wantIDs(t *testing.T, what string, q sdk.Query, want string) {
	t.Helper()
	if got := ids(t, q); got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// mixed fills a collection with one document for each type of value. The ids
// are in the documented order of types.
func mixed(t *testing.T, c *sdk.Client) *sdk.CollectionRef {
	col := c.Collection("mixed")
	for i, v := range []any{
		nil, false, true, math.NaN(), math.Inf(-1), -1, 0, 1.5, int64(1 << 60), time.Unix(1, 0), time.Unix(2, 0),
		"", "a", "b", []byte{}, []byte{1}, c.Doc("a/a"), c.Doc("a/b"), &latlng.LatLng{Latitude: 1}, &latlng.LatLng{Latitude: 1, Longitude: 1},
		[]any{}, []any{1}, []any{1, 2}, []any{"a"}, sdk.Vector64{5}, sdk.Vector64{1, 2}, doc{}, doc{"a": 1}, doc{"a": 2}, doc{"b": 0},
	} {
		mustSet(t, col.Doc(fmt.Sprintf("%02d", i)), doc{"v": v})
	}
	mustSet(t, col.Doc("none"), doc{"w": 1})
	return col
}

func TestOrderAcrossTypes(t *testing.T) {
	t.Parallel()
	col := mixed(t, client(t))
	var up []string
	for i := range 30 {
		up = append(up, fmt.Sprintf("%02d", i))
	}
	wantIDs(t, "ascending", col.OrderBy("v", sdk.Asc), strings.Join(up, " "))
	slices.Reverse(up)
	wantIDs(t, "descending", col.OrderBy("v", sdk.Desc), strings.Join(up, " "))
}

func TestFiltersMatchOneTypeAndLeaveNullOut(t *testing.T) {
	t.Parallel()
	col := mixed(t, client(t))
	wantIDs(t, "v >= -1", col.Where("v", ">=", -1), "05 06 07 08")
	wantIDs(t, "v < 1", col.Where("v", "<", 1), "04 05 06")
	wantIDs(t, "v > empty string", col.Where("v", ">", ""), "12 13")
	wantIDs(t, "v == 0.0 finds 0", col.Where("v", "==", 0.0), "06")
	wantIDs(t, "v == -0.0 finds 0", col.Where("v", "==", math.Copysign(0, -1)), "06")
	wantIDs(t, "v == null", col.Where("v", "==", nil), "00")
	wantIDs(t, "v is NaN", col.Where("v", "==", math.NaN()), "03")
	wantIDs(t, "v in", col.Where("v", "in", []any{"b", true, int64(0)}), "02 06 13")
	wantIDs(t, "v >= []", col.Where("v", ">=", []any{1}), "21 22 23")
	wantIDs(t, "v > {}", col.Where("v", ">", doc{}), "27 28 29")
	if got := strings.Fields(ids(t, col.Where("v", "!=", 0))); len(got) != 28 {
		t.Errorf("v != 0 finds %d documents, want 28: %v", len(got), got)
	} else if slices.Contains(got, "00") {
		t.Errorf("v != 0 finds %v, want it without null (00)", got)
	} else if slices.Contains(got, "06") {
		t.Errorf("v != 0 finds %v, want it without 0 (06)", got)
	}
	if got := strings.Fields(ids(t, col.Where("v", "not-in", []any{"a", true}))); len(got) != 27 {
		t.Errorf("v not-in [a true] finds %d documents, want 27: %v", len(got), got)
	} else if slices.Contains(got, "00") {
		t.Errorf("v not-in [a true] finds %v, want it without null (00)", got)
	}
	wantIDs(t, "not-in with null", col.Where("v", "not-in", []any{nil, 1}), "")
	if got := strings.Fields(ids(t, col.Where("v", "!=", nil))); len(got) != 29 {
		t.Errorf("v != null finds %d", len(got))
	}
}

func people(t *testing.T, c *sdk.Client) *sdk.CollectionRef {
	col := c.Collection("people")
	for id, d := range map[string]doc{
		"ann": {"age": 30, "city": "riga", "tags": []any{"x", "y"}, "a": doc{"b": 1}},
		"bob": {"age": 25, "city": "riga", "tags": []any{"y"}},
		"cid": {"age": 30, "city": "oslo", "tags": []any{"x", "x"}},
		"dan": {"age": 40, "city": "oslo"},
		"eve": {"city": "riga", "tags": []any{}},
	} {
		mustSet(t, col.Doc(id), d)
	}
	return col
}

func TestArrayAndCompositeFilters(t *testing.T) {
	t.Parallel()
	col := people(t, client(t))
	wantIDs(t, "array-contains", col.Where("tags", "array-contains", "x"), "ann cid")
	wantIDs(t, "array-contains-any", col.Where("tags", "array-contains-any", []any{"x", "y"}), "ann bob cid")
	wantIDs(t, "and", col.Where("city", "==", "riga").Where("tags", "array-contains", "y"), "ann bob")
	or := sdk.OrFilter{Filters: []sdk.EntityFilter{
		sdk.PropertyFilter{Path: "age", Operator: "==", Value: 40},
		sdk.PropertyFilter{Path: "city", Operator: "==", Value: "riga"},
	}}
	wantIDs(t, "or", col.WhereEntity(or), "ann bob dan eve")
	wantIDs(t, "or, limited", col.WhereEntity(or).Limit(2), "ann bob")
	wantIDs(t, "nested field", col.Where("a.b", "==", 1), "ann")
	wantIDs(t, "two fields with inequalities order by both", col.Where("age", ">", 20).Where("city", "<", "r"), "cid dan")
	wantIDs(t, "documents without the ordered field are left out", col.OrderBy("age", sdk.Asc), "bob ann cid dan")
	wantIDs(t, "several orders", col.OrderBy("city", sdk.Desc).OrderBy("age", sdk.Asc), "bob ann cid dan")
	wantIDs(t, "names follow the last direction", col.OrderBy("age", sdk.Desc), "dan cid ann bob")
}

func TestNamesFilterOrderAndCursors(t *testing.T) {
	t.Parallel()
	c := client(t)
	col := people(t, c)
	wantIDs(t, "name ==", col.Where(sdk.DocumentID, "==", col.Doc("bob")), "bob")
	wantIDs(t, "name in", col.Where(sdk.DocumentID, "in", []*sdk.DocumentRef{col.Doc("eve"), col.Doc("ann"), col.Doc("zoe")}), "ann eve")
	wantIDs(t, "name range", col.Where(sdk.DocumentID, ">", col.Doc("bob")).Where(sdk.DocumentID, "<=", col.Doc("dan")), "cid dan")
	wantIDs(t, "equality and a range of names", col.Where("city", "==", "riga").Where(sdk.DocumentID, ">=", col.Doc("b")).OrderBy(sdk.DocumentID, sdk.Asc).Limit(1), "bob")
	wantIDs(t, "start after a name", col.OrderBy(sdk.DocumentID, sdk.Asc).StartAfter("cid"), "dan eve")
	wantIDs(t, "start after a document", col.OrderBy("age", sdk.Asc).StartAfter(mustGet(t, col.Doc("ann"))), "cid dan")
	t.Run("names descending", func(t *testing.T) {
		official.Skip(t)
		wantIDs(t, "names descending", col.OrderBy(sdk.DocumentID, sdk.Desc).Limit(2), "eve dan")
	})
}

func TestCursorsOffsetAndLimits(t *testing.T) {
	t.Parallel()
	col := people(t, client(t))
	q := col.OrderBy("age", sdk.Asc).OrderBy("city", sdk.Asc)
	wantIDs(t, "start at", q.StartAt(30, "oslo"), "cid ann dan")
	wantIDs(t, "start after", q.StartAfter(30, "oslo"), "ann dan")
	wantIDs(t, "start at two values", q.StartAt(30, "p"), "ann dan")
	wantIDs(t, "end at", q.EndAt(30, "riga"), "bob cid ann")
	wantIDs(t, "end before", q.EndBefore(30, "riga"), "bob cid")
	wantIDs(t, "descending", col.OrderBy("age", sdk.Desc).StartAt(30).EndAt(25), "cid ann bob")
	wantIDs(t, "offset and limit", q.Offset(1).Limit(2), "cid ann")
	wantIDs(t, "limit to last", q.LimitToLast(2), "ann dan")
}

func TestProjectionAndKeysOnly(t *testing.T) {
	t.Parallel()
	col := people(t, client(t))
	snaps, err := col.Where("a.b", "==", 1).Select("a.b", "age").Documents(t.Context()).GetAll()
	if err != nil {
		t.Errorf("projection: %v", err)
	} else if got := fmt.Sprint(snaps[0].Data()); got != "map[a:map[b:1] age:30]" {
		t.Errorf("the projection is %v, want %v", got, "map[a:map[b:1] age:30]")
	}
	snaps, err = col.Limit(1).Select().Documents(t.Context()).GetAll()
	if err != nil {
		t.Errorf("keys only: %v", err)
	} else if len(snaps[0].Data()) != 0 {
		t.Errorf("keys only: the fields are %v, want none", snaps[0].Data())
	}
}

func TestCollectionGroups(t *testing.T) {
	t.Parallel()
	c := client(t)
	for _, p := range []string{"b/1", "a/1/b/2", "a/1/b/2/b/3", "a/2/b/4", "a/1/c/5"} {
		mustSet(t, c.Doc(p), doc{"n": 1})
	}
	wantIDs(t, "all", c.CollectionGroup("b").Query, "2 3 4 1")
	wantIDs(t, "name range", c.CollectionGroup("b").Where(sdk.DocumentID, ">", c.Doc("a/1/b/2/b/3")), "4 1")
	wantIDs(t, "collection below a document", c.Collection("a/1/b").Query, "2")
	t.Run("descending by name", func(t *testing.T) {
		official.Skip(t)
		wantIDs(t, "descending by name", c.CollectionGroup("b").OrderBy(sdk.DocumentID, sdk.Desc).Limit(2), "1 4")
	})
}

func TestPartitionsCoverTheGroupOnce(t *testing.T) {
	t.Parallel()
	official.Skip(t)
	c := client(t)
	commitAll(t, c, "parts", 0, 500)
	parts, err := c.CollectionGroup("parts").GetPartitionedQueries(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, q := range parts {
		n += len(strings.Fields(ids(t, q)))
	}
	if n != 500 {
		t.Errorf("%d documents in %d partitions, want 500", n, len(parts))
	}
}

func TestQueriesReadThePast(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), client(t)
	col := c.Collection("past")
	mustSet(t, col.Doc("a"), doc{"v": 1})
	then := mustSet(t, col.Doc("b"), doc{"v": 1})
	mustSet(t, col.Doc("a"), doc{"v": 2})
	if _, err := col.Doc("b").Delete(ctx); err != nil {
		t.Fatal(err)
	}
	wantIDs(t, "now", col.Where("v", "==", 1), "")
	q := col.Where("v", "==", 1)
	wantIDs(t, "then", *q.WithReadOptions(sdk.ReadTime(then)), "a b")
	if snap, err := col.Doc("a").WithReadOptions(sdk.ReadTime(then)).Get(ctx); err != nil {
		t.Errorf("get in the past: %v", err)
	} else if snap.Data()["v"] != int64(1) {
		t.Errorf("v in the past is %v, want 1", snap.Data()["v"])
	}
	t.Run("three hours ago", func(t *testing.T) {
		official.Skip(t)
		_, err := col.Doc("a").WithReadOptions(sdk.ReadTime(time.Now().Add(-3 * time.Hour))).Get(ctx)
		wantCode(t, "read time of three hours ago", err, codes.FailedPrecondition)
	})
}

func TestQueryLimitsAreRefused(t *testing.T) {
	t.Parallel()
	col := client(t).Collection("c")
	many := func(n int) []any { return slices.Repeat([]any{1}, n) }
	wide := col.Query
	for i := range 101 {
		wide = wide.Where(fmt.Sprintf("f%d", i), "==", 1)
	}
	for name, q := range map[string]sdk.Query{
		"in of 31":                        col.Where("v", "in", many(31)),
		"not-in of 11":                    col.Where("v", "not-in", many(11)),
		"!= and not-in":                   col.Where("v", "!=", 1).Where("w", "not-in", many(2)),
		"two array-contains":              col.Where("v", "array-contains", 1).Where("w", "array-contains", 1),
		"101 filters":                     wide,
		"empty in":                        col.Where("v", "in", []any{}),
		"name compared with a number":     col.Where("__name__", "==", 5),
		"cursor longer than the order":    col.OrderBy("v", sdk.Asc).StartAt(1, "a", 3),
		"the same field ordered by twice": col.OrderBy("v", sdk.Asc).OrderBy("v", sdk.Desc),
	} {
		_, err := q.Documents(t.Context()).GetAll()
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	t.Run("36 disjunctions", func(t *testing.T) {
		official.Skip(t)
		if _, err := col.Where("v", "in", many(6)).Where("w", "in", many(6)).Documents(t.Context()).GetAll(); err == nil {
			t.Error("36 disjunctions: no error")
		}
	})
}

func TestAggregations(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), client(t)
	col := c.Collection("agg")
	for i, d := range []doc{{"n": 1, "m": 2}, {"n": 2.5, "m": 3}, {"n": "text", "m": 4}, {"n": 4}, {"m": 9}} {
		mustSet(t, col.Doc(fmt.Sprint(i)), d)
	}
	res, err := col.NewAggregationQuery().WithCount("all").Get(ctx)
	if err != nil {
		t.Errorf("count: %v", err)
	} else if got := number(t, res["all"]); got != 5 {
		t.Errorf("the count is %v, want %v", got, 5)
	}
	res, err = col.NewAggregationQuery().WithCount("n").WithSum("n", "sum").WithAvg("n", "avg").Get(ctx)
	if err != nil {
		t.Errorf("count, sum and average: %v", err)
	} else if got := number(t, res["n"]); got != 4 {
		t.Errorf("the count of documents with n is %v, want %v", got, 4)
	} else if got := number(t, res["sum"]); got != 7.5 {
		t.Errorf("the sum is %v, want %v", got, 7.5)
	} else if got := number(t, res["avg"]); got != 2.5 {
		t.Errorf("the average of the three numbers is %v, want %v", got, 2.5)
	}
	res, err = col.NewAggregationQuery().WithCount("both").WithSum("n", "n").WithSum("m", "m").Get(ctx)
	if err != nil {
		t.Errorf("sums of two fields: %v", err)
	} else if got := number(t, res["both"]); got != 3 {
		t.Errorf("the count of documents with both fields is %v, want %v", got, 3)
	} else if got := number(t, res["n"]); got != 3.5 {
		t.Errorf("the sum of n is %v, want %v", got, 3.5)
	} else if got := number(t, res["m"]); got != 9 {
		t.Errorf("the sum of m is %v, want %v", got, 9)
	}
	none := col.Where("n", "==", 99)
	res, err = none.NewAggregationQuery().WithSum("m", "sum").WithAvg("m", "avg").Get(ctx)
	if err != nil {
		t.Errorf("aggregate no documents: %v", err)
	} else if got := number(t, res["sum"]); got != 0 {
		t.Errorf("the sum of no documents is %v, want %v", got, 0)
	} else if !isNull(res["avg"]) {
		t.Errorf("the average of no documents is %v, want null", res["avg"])
	}
	six := col.NewAggregationQuery()
	for i := range 6 {
		six = six.WithCount(fmt.Sprint("c", i))
	}
	if _, err := six.Get(ctx); err == nil {
		t.Error("six aggregations are answered")
	}
}

func TestSumsDoNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	official.Skip(t)
	ctx, c := t.Context(), client(t)
	col := c.Collection("sum")
	for i, n := range []any{1e100, 1.0, -1e100} {
		mustSet(t, col.Doc(fmt.Sprint(i)), doc{"n": n, "big": int64(math.MaxInt64)})
	}
	res, err := col.NewAggregationQuery().WithSum("n", "n").WithSum("big", "big").Get(ctx)
	if err != nil {
		t.Errorf("sum: %v", err)
	} else if got := number(t, res["n"]); got != 1 {
		t.Errorf("the sum of n is %v, want %v", got, 1)
	}
	if got := number(t, res["big"]); got != 3*float64(math.MaxInt64) {
		t.Errorf("an overflowing sum of integers is %v, want the double", got)
	}
}
