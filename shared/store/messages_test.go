package store_test

import (
	"fmt"
	"testing"

	"google.golang.org/grpc"

	"carillon.example/shared/push"
)

// TestWhatAPageOfMessagesCosts: a query for the mailings, one for the messages to the
// customer alone, and one for each mailing that was started, whatever its size.
func TestWhatAPageOfMessagesCosts(t *testing.T) {
	t.Parallel()
	r := &reads{}
	w := newHarness(t, grpc.WithStreamInterceptor(r.intercept))
	w.register(t, "anna", "t")
	const mailings = 20
	for i := range mailings {
		id := fmt.Sprint("m", i)
		w.mailing(t, id, push.Audience{Everyone: true})
		sh := w.begin(t, id)
		var batches []*push.Batch
		for n := range 5 {
			batches = append(batches, batch(id, n, fmt.Sprint("other-", n)))
		}
		if err := w.CreateBatches(t.Context(), sh, batches); err != nil {
			t.Fatal(err)
		}
	}

	w.mailing(t, "not-started", push.Audience{Everyone: true})

	anna := w.customer(t, "anna")
	read, queried := r.n.Load(), r.queries.Load()
	if _, _, err := w.ListCustomerMessages(t.Context(), anna, mailings+1, ""); err != nil {
		t.Fatal(err)
	}
	if got := r.queries.Load() - queried; got != mailings+2 {
		t.Errorf("a page took %d queries, want %d", got, mailings+2)
	}
	if got := r.n.Load() - read; got != 0 {
		t.Errorf("a page read %d documents by name, want none", got)
	}
}
