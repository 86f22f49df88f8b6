package firestore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
)

// next returns the next snapshot of a query as kinds and ids.
func next(t *testing.T, it *sdk.QuerySnapshotIterator) string {
	t.Helper()
	snap, err := it.Next()
	if err != nil {
		t.Fatalf("snapshot: %v", err)
	}
	var out []string
	for _, ch := range snap.Changes {
		out = append(out, fmt.Sprint([]string{"+", "-", "~"}[ch.Kind], ch.Doc.Ref.ID))
	}
	return strings.Join(out, " ")
}

func wantNext(t *testing.T, it *sdk.QuerySnapshotIterator, want string) {
	t.Helper()
	if got := next(t, it); got != want {
		t.Errorf("snapshot %q, want %q", got, want)
	}
}

func TestListenersFollowAQuery(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := client(t)
	col := c.Collection("l")
	mustSet(t, col.Doc("a"), doc{"v": 1})
	it := col.Where("v", "<", 10).OrderBy("v", sdk.Asc).Limit(2).Snapshots(ctx)
	defer it.Stop()
	wantNext(t, it, "+a")
	mustSet(t, col.Doc("b"), doc{"v": 2})
	wantNext(t, it, "+b")
	mustSet(t, col.Doc("x"), doc{"v": 100}) // not in the result: no snapshot
	mustSet(t, col.Doc("a"), doc{"v": 3})
	if got := next(t, it); !strings.Contains(got, "a") {
		t.Errorf("snapshot %q, want a moved", got)
	}
	mustSet(t, col.Doc("0"), doc{"v": 0})
	wantNext(t, it, "-a +0") // the limit removes it
	if _, err := col.Doc("0").Delete(ctx); err != nil {
		t.Fatal(err)
	}
	wantNext(t, it, "-0 +a")
}

func TestListenersFollowADocument(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ref := client(t).Doc("a/b")
	it := ref.Snapshots(ctx)
	defer it.Stop()
	for i, step := range []func(){
		func() {}, func() { mustSet(t, ref, doc{"n": 1}) }, func() { mustSet(t, ref, doc{"n": 2}) },
		func() {
			if _, err := ref.Delete(ctx); err != nil {
				t.Error(err)
			}
		},
	} {
		step()
		snap, err := it.Next()
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Contains([]int{1, 2}, i)
		if got := snap.Exists(); got != want {
			t.Errorf("step %d: exists is %v, want %v", i, got, want)
		}
		if got := snap.Data()["n"]; want && got != int64(i) {
			t.Errorf("step %d: n is %v, want %d", i, got, i)
		}
	}
}
