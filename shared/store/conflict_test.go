package store_test

import (
	"testing"
	"time"

	"carillon.example/emulators/official"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestAConflictIsKnownInAnyProject: an answer of Firestore names the project
// and the document; no name makes a lost write an error of another kind.
func TestAConflictIsKnownInAnyProject(t *testing.T) {
	t.Parallel()
	w := &harness{Cloud: testcloud.Named(t, "an-index-of-shops"), clock: testcloud.Noon()}
	w.Store = store.New(w.DB(), store.Options{Now: w.clock.Now})
	w.mailing(t, "index", push.Audience{Everyone: true})
	sh := w.begin(t, "index")
	b := batch("index", 0, "a")
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); err != nil {
		t.Fatal(err)
	}

	sh, err := w.ReadShard(t.Context(), "index", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.CreateBatches(t.Context(), sh, []*push.Batch{b}); !store.IsRevisionConflict(err) {
		t.Errorf("a batch that exists was created again: %v, want a conflict", err)
	}

	second := *sh
	if err := w.LeaseShard(t.Context(), sh, w.clock.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := w.LeaseShard(t.Context(), &second, w.clock.Now().Add(2*time.Minute)); !store.IsRevisionConflict(err) {
		t.Errorf("a shard that changed was taken: %v, want a conflict", err)
	}
}

// TestAMissingIndexIsNoConflict: if a missing index counted as a conflict, a message
// would be acknowledged although no call has worked on it.
func TestAMissingIndexIsNoConflict(t *testing.T) {
	t.Parallel()
	official.Skip(t)
	w := newHarness(t)
	_, err := w.DB().Collection("mailings").Where("state", "==", "sending").Where("digest", ">", "x").Documents(t.Context()).GetAll()
	if err == nil {
		t.Fatal("the query needs no index; this test does")
	}
	if store.IsRevisionConflict(store.Classify(err)) {
		t.Errorf("%v is taken for a conflict", err)
	}
}
