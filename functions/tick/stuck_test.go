package tick

import (
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestAMailingEndsWhateverABatchIs: a batch that does not decode keeps its mailing
// from its end no longer than a day beyond its lifetime, and is counted.
func TestAMailingEndsWhateverABatchIs(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.mailing(t, "m", nil)
	ref := w.createBatch(t, "m", true)
	doc := w.lab.DB().Doc("mailings/m/batches/" + ref.Batch)
	if _, err := doc.Update(t.Context(), []firestore.Update{{Path: "createdAt", Value: "nonsense"}}); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(25 * time.Hour)
	w.tick(t)
	w.clock.Add(22 * time.Hour)
	w.tick(t)
	m := w.state(t, "m")
	check.Equal(t, m.State, push.Expired, "state")
	if m.Totals != nil {
		t.Errorf("Totals is %v, want none", m.Totals)
	}

	w.clock.Add(2 * time.Hour)
	w.tick(t)
	w.tick(t)
	m = w.state(t, "m")
	if m.Totals == nil {
		t.Fatal("a day later it has not ended")
	}
	got := m.Totals.Tokens
	check.Equal(t, got.Targeted, 2, "tokens targeted")
	check.Equal(t, got.Expired, 2, "tokens expired")
	check.Equal(t, got.Pending, 0, "tokens pending")
	if m.Active {
		t.Error("its end was not published")
	}
}
