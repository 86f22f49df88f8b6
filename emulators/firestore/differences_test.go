package firestore_test

import (
	"strings"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc/codes"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/testcloud/check"
)

// TestANamedDatabaseNeedsNoCreation checks that a database is there when it is named, and has
// its own documents.
func TestANamedDatabaseNeedsNoCreation(t *testing.T) {
	t.Parallel()
	addr := start(t, firestore.Options{}).Addr()
	named, err := sdk.NewClientWithDatabase(t.Context(), "demo-named", "shop", option.WithGRPCConn(dial(t, addr)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { named.Close() })

	mustSet(t, named.Doc("a/b"), doc{"n": 1})

	check.Equal(t, mustGet(t, named.Doc("a/b")).Data()["n"], any(int64(1)), "n in the named database")
	_, err = connectTo(t, addr, "demo-named").Doc("a/b").Get(t.Context())
	wantCode(t, "the document in the default database", err, codes.NotFound)
}

// TestLongValuesAreComparedWhole checks that a query tells values apart that differ only after
// 1,500 bytes.
func TestLongValuesAreComparedWhole(t *testing.T) {
	t.Parallel()
	col := connect(t, start(t, firestore.Options{}).Addr()).Collection("long")
	long := strings.Repeat("x", 2000)
	mustSet(t, col.Doc("1"), doc{"s": long + "b"})
	mustSet(t, col.Doc("2"), doc{"s": long + "a"})

	wantIDs(t, "equality", col.Where("s", "==", long+"a"), "2")
	wantIDs(t, "order", col.OrderBy("s", sdk.Asc), "2 1")
}

// TestACommitGivesUpAfterFiveSeconds checks how long a commit waits for an older transaction
// that has read the document.
func TestACommitGivesUpAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	c, _ := wire(t, firestore.Options{})
	mustCommit(t, c, set("a/x", 1))
	older := begin(t, c, nil)
	if _, err := get(c, "a/x", older); err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	_, err := commit(t, c, nil, set("a/x", 2))

	wantCode(t, "the commit that waited", err, codes.Aborted)
	check.Between(t, time.Since(began), 5*time.Second, 15*time.Second, "the time that it waited")
	if _, err := commit(t, c, older, set("a/x", 3)); err != nil {
		t.Errorf("the older transaction: %v", err)
	}
}
