package firestore_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/iterator"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/emulators/official"
)

// The contract tests check the behaviour of the service through the real client.
// They also run on Google's emulator when FIRESTORE_EMULATOR_HOST is set.

func client(t testing.TB) *sdk.Client { return connect(t, address(t)) }

func wantCode(t *testing.T, what string, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func mustSet(t testing.TB, ref *sdk.DocumentRef, d doc) time.Time {
	t.Helper()
	res, err := ref.Set(context.Background(), d)
	if err != nil {
		t.Fatalf("set %s: %v", ref.Path, err)
	}
	return res.UpdateTime
}

func mustGet(t testing.TB, ref *sdk.DocumentRef) *sdk.DocumentSnapshot {
	t.Helper()
	snap, err := ref.Get(context.Background())
	if err != nil {
		t.Fatalf("get %s: %v", ref.Path, err)
	}
	return snap
}

func TestEveryTypeOfValueComesBackAsItWas(t *testing.T) {
	t.Parallel()
	c := client(t)
	ref := c.Doc("a/b")
	in := doc{
		"null": nil, "true": true, "int": int64(math.MinInt64), "double": 1.5, "nan": math.NaN(), "inf": math.Inf(-1),
		"time": time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC), "string": "é\x00", "empty": "", "bytes": []byte{0, 255},
		"ref": c.Doc("x/y"), "geo": &latlng.LatLng{Latitude: -90, Longitude: 180},
		"array": []any{int64(1), "a", doc{"k": nil}}, "map": doc{"a.b": doc{"`": int64(1)}}, "vector": sdk.Vector64{1, 2},
	}
	mustSet(t, ref, in)
	out := mustGet(t, ref).Data()
	if v, ok := out["nan"].(float64); !ok {
		t.Errorf("NaN came back as %v, want a float64", out["nan"])
	} else if !math.IsNaN(v) {
		t.Errorf("NaN came back as %v, want NaN", v)
	}
	if got, want := out["time"], in["time"].(time.Time).Truncate(time.Microsecond); got != want {
		t.Errorf("time %v, want %v: kept to the microsecond, rounded down", got, want)
	}
	if got := out["ref"].(*sdk.DocumentRef).Path; got != c.Doc("x/y").Path {
		t.Errorf("reference %q", got)
	}
	for _, k := range []string{"null", "true", "int", "double", "inf", "string", "empty", "bytes", "geo", "array", "map", "vector"} {
		if fmt.Sprint(out[k]) != fmt.Sprint(in[k]) {
			t.Errorf("%s: %v, want %v", k, out[k], in[k])
		}
	}
}

func TestNegativeZeroIsKept(t *testing.T) {
	t.Parallel()
	ref := client(t).Doc("a/b")
	mustSet(t, ref, doc{"z": math.Copysign(0, -1)})
	if z := mustGet(t, ref).Data()["z"].(float64); !math.Signbit(z) {
		t.Errorf("-0 came back as %v", z)
	}
}

func TestPreconditionsAnswerTheirCodes(t *testing.T) {
	t.Parallel()
	ctx, ref := t.Context(), client(t).Doc("a/b")
	_, err := ref.Update(ctx, []sdk.Update{{Path: "n", Value: 1}})
	wantCode(t, "update of a missing document", err, codes.NotFound)
	_, err = ref.Delete(ctx, sdk.Exists)
	wantCode(t, "delete of a missing document that must exist", err, codes.NotFound)
	_, err = ref.Delete(ctx, sdk.LastUpdateTime(time.Now().Truncate(time.Microsecond)))
	wantCode(t, "delete of a version of a missing document", err, codes.FailedPrecondition)
	_, err = ref.Update(ctx, []sdk.Update{{Path: "n", Value: 1}}, sdk.LastUpdateTime(time.Now().Truncate(time.Microsecond)))
	wantCode(t, "update of a version of a missing document", err, codes.FailedPrecondition)
	if _, err := ref.Delete(ctx); err != nil {
		t.Errorf("delete of a missing document: %v, want none", err)
	}
	first := mustSet(t, ref, doc{"n": 1})
	_, err = ref.Create(ctx, doc{"n": 2})
	wantCode(t, "create of an existing document", err, codes.AlreadyExists)
	second := mustSet(t, ref, doc{"n": 2})
	_, err = ref.Update(ctx, []sdk.Update{{Path: "n", Value: 3}}, sdk.LastUpdateTime(first))
	wantCode(t, "update of another version", err, codes.FailedPrecondition)
	if _, err := ref.Update(ctx, []sdk.Update{{Path: "n", Value: 3}}, sdk.LastUpdateTime(second)); err != nil {
		t.Errorf("update of the right version: %v", err)
	}
}

func TestCommitIsAllOrNothing(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), client(t)
	mustSet(t, c.Doc("a/there"), doc{})
	err := c.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
		if err := tx.Set(c.Doc("a/new"), doc{"n": 1}); err != nil {
			return err
		}
		return tx.Create(c.Doc("a/there"), doc{})
	})
	wantCode(t, "commit with a failing create", err, codes.AlreadyExists)
	_, err = c.Doc("a/new").Get(ctx)
	wantCode(t, "get after it", err, codes.NotFound)
}

func TestUpdateTimeGrowsAndStandsStillWhenNothingChanges(t *testing.T) {
	t.Parallel()
	ref := client(t).Doc("a/b")
	var last time.Time
	for i := range 50 {
		at := mustSet(t, ref, doc{"n": i})
		if !at.After(last) {
			t.Fatalf("update time %v after %v", at, last)
		}
		last = at
	}
	if again := mustSet(t, ref, doc{"n": 49}); !again.Equal(last) {
		t.Errorf("a write that changes nothing answers %v, want %v", again, last)
	}
	if snap := mustGet(t, ref); !snap.UpdateTime.Equal(last) {
		t.Errorf("update time is %v after a write that changes nothing, want %v", snap.UpdateTime, last)
	} else if !snap.CreateTime.Before(last) {
		t.Errorf("create time is %v, want before %v", snap.CreateTime, last)
	}
}

func TestMasksReplaceOnlyWhatTheyName(t *testing.T) {
	t.Parallel()
	ctx, ref := t.Context(), client(t).Doc("a/b")
	mustSet(t, ref, doc{"keep": 1, "m": doc{"x": 1, "y": 2}, "a.b": 1})
	if _, err := ref.Set(ctx, doc{"m": doc{"x": 5}}, sdk.MergeAll); err != nil {
		t.Fatal(err)
	}
	up := []sdk.Update{{Path: "m.y", Value: sdk.Delete}, {FieldPath: sdk.FieldPath{"a.b"}, Value: 7}, {Path: "new.deep", Value: true}}
	if _, err := ref.Update(ctx, up); err != nil {
		t.Fatal(err)
	}
	want := doc{"keep": int64(1), "m": doc{"x": int64(5)}, "a.b": int64(7), "new": doc{"deep": true}}
	if got := mustGet(t, ref).Data(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	mustSet(t, ref, doc{"only": 1})
	if got := mustGet(t, ref).Data(); len(got) != 1 {
		t.Errorf("a set without a mask leaves %v", got)
	}
}

func TestTransforms(t *testing.T) {
	t.Parallel()
	ctx, ref := t.Context(), client(t).Doc("a/b")
	mustSet(t, ref, doc{"int": 1, "big": int64(math.MaxInt64), "text": "x", "list": []any{1, 2, 2}, "max": 5, "min": 5.0, "same": 3})
	for path, by := range map[string]any{
		"int": sdk.Increment(1.5), "big": sdk.Increment(10), "text": sdk.Increment(4), "new": sdk.Increment(2),
		"list": sdk.ArrayUnion(2.0, 3, "a"), "fresh": sdk.ArrayUnion(1, 1), "gone": sdk.ArrayRemove(1),
		"max": sdk.FieldTransformMaximum(7), "min": sdk.FieldTransformMinimum(7), "same": sdk.FieldTransformMaximum(3.0),
	} {
		if _, err := ref.Update(ctx, []sdk.Update{{Path: path, Value: by}}); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	want := doc{
		"int": 2.5, "big": int64(math.MaxInt64), "text": int64(4), "new": int64(2), // saturates; replaces a value that is not a number
		"list": []any{int64(1), int64(2), int64(2), int64(3), "a"}, "fresh": []any{int64(1)}, "gone": []any{}, // 2.0 equals the stored 2
		"max": int64(7), "min": 5.0, "same": int64(3), // an equal operand keeps the stored value
	}
	if got := mustGet(t, ref).Data(); fmt.Sprintf("%#v", sorted(got)) != fmt.Sprintf("%#v", sorted(want)) {
		t.Errorf("%#v\nwant %#v", sorted(got), sorted(want))
	}
}

func sorted(d doc) []string {
	var out []string
	for k, v := range d {
		out = append(out, fmt.Sprintf("%s=%#v", k, v))
	}
	slices.Sort(out)
	return out
}

func TestServerTimeIsOneInstantOfTheCommitInMilliseconds(t *testing.T) {
	t.Parallel()
	c := client(t)
	x, y := c.Doc("a/x"), c.Doc("a/y")
	together(t, c, func(tx *sdk.Transaction) error {
		if err := tx.Set(x, doc{"t": sdk.ServerTimestamp, "u": sdk.ServerTimestamp}); err != nil {
			return err
		}
		return tx.Set(y, doc{"t": sdk.ServerTimestamp})
	})
	committed := mustGet(t, x).UpdateTime
	at := mustGet(t, x).Data()["t"].(time.Time)
	if got := mustGet(t, x).Data()["u"]; got != at {
		t.Errorf("u of x, written in one commit, is %v, want %v", got, at)
	}
	if got := mustGet(t, y).Data()["t"]; got != at {
		t.Errorf("t of y, written in one commit, is %v, want %v", got, at)
	}
	if at.Truncate(time.Millisecond) != at {
		t.Errorf("server time %v, want whole milliseconds", at)
	}
	if at.After(committed) {
		t.Errorf("server time %v is after the commit time %v", at, committed)
	}
	t.Run("close to the commit time", func(t *testing.T) {
		official.Skip(t)
		if committed.Sub(at) >= time.Millisecond {
			t.Errorf("server time %v, commit time %v", at, committed)
		}
	})
}

func TestLimitsAreRefusedWithInvalidArgument(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), client(t)
	deep := any("leaf")
	for range 21 {
		deep = doc{"d": deep}
	}
	many := doc{}
	for i := range 501 {
		many[fmt.Sprintf("f%d", i)] = sdk.Increment(1)
	}
	for name, set := range map[string]struct {
		id string
		d  doc
	}{
		"document over 1 MiB":   {"a", doc{"s": strings.Repeat("x", 1<<20)}},
		"reserved field":        {"a", doc{"__x__": 1}},
		"depth over 20":         {"a", doc{"m": deep}},
		"array in an array":     {"a", doc{"a": []any{[]any{1}}}},
		"geo point off the map": {"a", doc{"g": &latlng.LatLng{Latitude: 91}}},
		"reserved id":           {"__a__", doc{}},
		"id .":                  {".", doc{}},
		"id over 1,500 bytes":   {strings.Repeat("i", 1501), doc{}},
		"field over 1,500":      {"a", doc{strings.Repeat("f", 1501): 1}},
	} {
		_, err := c.Collection("limits").Doc(set.id).Set(ctx, set.d)
		wantCode(t, name, err, codes.InvalidArgument)
	}
	t.Run("over 500 transforms", func(t *testing.T) {
		official.Skip(t)
		_, err := c.Doc("limits/a").Set(ctx, many)
		wantCode(t, "over 500 transforms", err, codes.InvalidArgument)
	})
	mustSet(t, c.Doc("limits/big"), doc{"s": strings.Repeat("x", 1<<20-200)})
	mustSet(t, c.Collection("limits").Doc(strings.Repeat("i", 1500)), doc{"é'\"/ .": 1})
}

func TestGetAllAnswersMissingDocumentsAndDoubles(t *testing.T) {
	t.Parallel()
	c := client(t)
	mustSet(t, c.Doc("a/x"), doc{"n": 1})
	snaps, err := c.GetAll(t.Context(), []*sdk.DocumentRef{c.Doc("a/none"), c.Doc("a/x"), c.Doc("a/x")})
	if err != nil {
		t.Fatal(err)
	}
	if snaps[0].Exists() {
		t.Errorf("the first document exists, want missing")
	}
	if !snaps[1].Exists() {
		t.Errorf("the second document is missing, want it to exist")
	}
	if !snaps[2].Exists() {
		t.Errorf("the third document is missing, want it to exist")
	}
	if snaps[0].ReadTime.IsZero() {
		t.Errorf("the missing document has no read time, want one")
	}
}

func TestCollectionsAndMissingParentsAreListed(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), client(t)
	mustSet(t, c.Doc("a/ghost/b/x"), doc{})
	mustSet(t, c.Doc("a/real"), doc{})
	mustSet(t, c.Doc("c/gone"), doc{})
	if _, err := c.Doc("c/gone").Delete(ctx); err != nil {
		t.Fatal(err)
	}
	cols, err := c.Collections(ctx).GetAll()
	if err != nil {
		t.Errorf("list the collections: %v", err)
	} else if len(cols) != 1 {
		t.Errorf("%d collections, want 1", len(cols))
	} else if got := cols[0].ID; got != "a" {
		t.Errorf("the collection is %v, want %v", got, "a")
	}
	refs, err := c.Collection("a").DocumentRefs(ctx).GetAll()
	if err != nil {
		t.Errorf("list the document refs: %v", err)
	} else if len(refs) != 2 {
		t.Errorf("%d document refs, want 2", len(refs))
	} else if got := refs[0].ID; got != "ghost" {
		t.Errorf("the first document ref is %v, want %v", got, "ghost")
	} else if got := refs[1].ID; got != "real" {
		t.Errorf("the second document ref is %v, want %v", got, "real")
	}
	snaps, err := c.Collection("a").Documents(ctx).GetAll()
	if err != nil {
		t.Errorf("query the collection: %v", err)
	} else if len(snaps) != 1 {
		t.Errorf("a query finds %d documents, want 1 (the real one)", len(snaps))
	}
}

func TestListingPagesThroughACollection(t *testing.T) {
	t.Parallel()
	c := client(t)
	commitAll(t, c, "many", 0, 700)
	it := c.Collection("many").DocumentRefs(t.Context())
	for i := 0; ; i++ {
		ref, err := it.Next()
		if errors.Is(err, iterator.Done) {
			if i != 700 {
				t.Errorf("%d documents, want 700", i)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("d%08d", i); ref.ID != want {
			t.Fatalf("document %d is %s, want %s", i, ref.ID, want)
		}
	}
}

func TestBulkWriterAnswersEachWriteForItself(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), client(t)
	mustSet(t, c.Doc("a/there"), doc{})
	w := c.BulkWriter(ctx)
	good, err := w.Set(c.Doc("a/new"), doc{"n": 1})
	if err != nil {
		t.Fatal(err)
	}
	bad, err := w.Create(c.Doc("a/there"), doc{})
	if err != nil {
		t.Fatal(err)
	}
	w.End()
	if _, err := good.Results(); err != nil {
		t.Errorf("set: %v", err)
	}
	_, err = bad.Results()
	wantCode(t, "create of an existing document", err, codes.AlreadyExists)
	mustGet(t, c.Doc("a/new"))
}

func TestProjectsAndDatabasesAreApart(t *testing.T) {
	t.Parallel()
	addr := address(t)
	a, b := connect(t, addr), connect(t, addr)
	mustSet(t, a.Doc("a/b"), doc{"n": 1})
	_, err := b.Doc("a/b").Get(t.Context())
	wantCode(t, "get in another project", err, codes.NotFound)
}
