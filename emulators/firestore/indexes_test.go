package firestore_test

import (
	"strings"
	"testing"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"

	"carillon.example/emulators/firestore"
)

const declared = `{
  "indexes": [
    {"collectionGroup": "c", "queryScope": "COLLECTION", "fields": [
      {"fieldPath": "a", "order": "ASCENDING"}, {"fieldPath": "t", "order": "DESCENDING"}]},
    {"collectionGroup": "c", "queryScope": "COLLECTION", "fields": [
      {"fieldPath": "b", "order": "ASCENDING"}, {"fieldPath": "t", "order": "DESCENDING"}]},
    {"collectionGroup": "c", "queryScope": "COLLECTION", "fields": [
      {"fieldPath": "tags", "arrayConfig": "CONTAINS"}, {"fieldPath": "t", "order": "ASCENDING"}]},
    {"collectionGroup": "c", "queryScope": "COLLECTION", "fields": [
      {"fieldPath": "x", "order": "ASCENDING"}, {"fieldPath": "y", "order": "ASCENDING"}]},
    {"collectionGroup": "c", "queryScope": "COLLECTION_GROUP", "fields": [
      {"fieldPath": "a", "order": "ASCENDING"}, {"fieldPath": "b", "order": "ASCENDING"}]}
  ],
  "fieldOverrides": [
    {"collectionGroup": "c", "fieldPath": "exempt", "ttl": false, "indexes": []},
    {"collectionGroup": "c", "fieldPath": "g", "indexes": [
      {"order": "ASCENDING", "queryScope": "COLLECTION"}, {"order": "ASCENDING", "queryScope": "COLLECTION_GROUP"}]}
  ]
}`

// errOf returns the error of a query.
func errOf(t *testing.T, q sdk.Query) error {
	_, err := q.Documents(t.Context()).GetAll()
	return err
}

func TestQueriesThatTheServiceServesWithoutADeclaredIndex(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, firestore.Options{RequireIndexes: []byte(declared)}).Addr())
	col, group := c.Collection("c"), c.CollectionGroup("c")
	for name, q := range map[string]sdk.Query{
		"one equality":                      col.Where("q", "==", 1),
		"several equalities":                col.Where("q", "==", 1).Where("r", "==", 1).Where("s", "==", nil),
		"equality and array-contains":       col.Where("q", "==", 1).Where("tags", "array-contains", 1),
		"equality and a range of names":     col.Where("q", "==", 1).Where(sdk.DocumentID, ">", col.Doc("k")).OrderBy(sdk.DocumentID, sdk.Asc),
		"one range":                         col.Where("q", ">", 1).Where("q", "<", 5),
		"one order":                         col.OrderBy("q", sdk.Desc),
		"in":                                col.Where("q", "in", []int{1, 2}).Where("r", "==", 3),
		"order by the field that is equal":  col.Where("q", "==", 1).OrderBy("q", sdk.Asc),
		"nested field":                      col.Where("m.k", "==", 1),
		"a whole group":                     group.Query,
		"declared: equality and order":      col.Where("a", "==", 1).OrderBy("t", sdk.Desc),
		"declared, merged":                  col.Where("a", "==", 1).Where("b", "==", 2).OrderBy("t", sdk.Desc),
		"declared: array and order":         col.Where("tags", "array-contains", 1).OrderBy("t", sdk.Asc),
		"declared: two ranges":              col.Where("x", ">", 1).Where("y", "<", 1),
		"declared: group":                   group.Where("a", "==", 1).Where("b", "==", 1),
		"a group's field with its override": group.Where("g", "==", 1),
	} {
		if err := errOf(t, q); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestQueriesThatWantAnIndexAreRefused(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, firestore.Options{RequireIndexes: []byte(declared)}).Addr())
	col, group := c.Collection("c"), c.CollectionGroup("c")
	for name, q := range map[string]sdk.Query{
		"equality and order":                  col.Where("q", "==", 1).OrderBy("t", sdk.Asc),
		"the other direction":                 col.Where("a", "==", 1).OrderBy("t", sdk.Asc),
		"equality and a range":                col.Where("q", "==", 1).Where("r", ">", 1),
		"array-contains and order":            col.Where("tags", "array-contains", 1).OrderBy("t", sdk.Desc),
		"two orders":                          col.OrderBy("q", sdk.Asc).OrderBy("r", sdk.Asc),
		"two ranges":                          col.Where("q", ">", 1).Where("r", ">", 1),
		"one equality more than is declared":  col.Where("a", "==", 1).Where("z", "==", 2).OrderBy("t", sdk.Desc),
		"name against the last direction":     col.OrderBy("q", sdk.Asc).OrderBy(sdk.DocumentID, sdk.Desc),
		"an exempt field":                     col.Where("exempt", "==", 1),
		"an exempt field, ordered":            col.OrderBy("exempt", sdk.Asc),
		"a field below an exempt one":         col.Where("exempt.k", "==", 1),
		"a field of a group":                  group.Where("q", "==", 1),
		"a group's field the other direction": group.OrderBy("g", sdk.Desc),
		"what another group declares":         c.Collection("d").Where("a", "==", 1).OrderBy("t", sdk.Desc),
	} {
		wantCode(t, name, errOf(t, q), codes.FailedPrecondition)
	}
	err := errOf(t, col.Where("q", "==", 1).OrderBy("t", sdk.Asc))
	if !strings.Contains(err.Error(), `"fieldPath":"q","order":"ASCENDING"},{"fieldPath":"t"`) {
		t.Errorf("%v does not show the index to declare", err)
	}
}

func TestSumsNeedTheirFieldsInTheIndex(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := connect(t, start(t, firestore.Options{RequireIndexes: []byte(declared)}).Addr())
	col := c.Collection("c")
	if _, err := col.NewAggregationQuery().WithSum("q", "s").WithAvg("q", "a").Get(ctx); err != nil {
		t.Errorf("sum of one field: %v", err)
	}
	if _, err := col.NewAggregationQuery().WithSum("x", "s").WithSum("y", "t").Get(ctx); err != nil {
		t.Errorf("declared sums of two fields: %v", err)
	}
	_, err := col.NewAggregationQuery().WithSum("q", "s").WithSum("r", "t").Get(ctx)
	wantCode(t, "sums of two fields", err, codes.FailedPrecondition)
	q := col.Where("p", "==", 1)
	_, err = q.NewAggregationQuery().WithSum("q", "s").Get(ctx)
	wantCode(t, "equality and sum of another field", err, codes.FailedPrecondition)
	if _, err := q.NewAggregationQuery().WithCount("n").Get(ctx); err != nil {
		t.Errorf("equality and count: %v", err)
	}
}

func TestListenersNeedIndexesToo(t *testing.T) {
	t.Parallel()
	c := connect(t, start(t, firestore.Options{RequireIndexes: []byte(declared)}).Addr())
	it := c.Collection("c").Where("q", "==", 1).OrderBy("t", sdk.Asc).Snapshots(t.Context())
	defer it.Stop()
	_, err := it.Next()
	wantCode(t, "listener", err, codes.FailedPrecondition)
}

func TestABadIndexFileIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "[]", `{"indexes":[{}]}`, `{"indexes":[{"collectionGroup":"c","fields":[{"fieldPath":"a b"}]}]}`} {
		s, err := firestore.Start("127.0.0.1:0", firestore.Options{RequireIndexes: []byte(content)})
		if err == nil {
			s.Close()
			t.Errorf("%q is taken", content)
		}
		if err != nil && !strings.Contains(err.Error(), "firestore.indexes.json") {
			t.Errorf("%q: %v does not name the file", content, err)
		}
	}
}
