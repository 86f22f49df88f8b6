package tick

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// TestEveryBatchThatIsDueIsListed: tick does not read the batches whose message was published
// lately, so none of them may be due.
func TestEveryBatchThatIsDueIsListed(t *testing.T) {
	t.Parallel()
	due, leftOut := 0, 0
	rapid.Check(t, func(r *rapid.T) {
		now := testcloud.Noon().Now()
		// A time within some minutes of now, or none.
		draw := func(name string) time.Time {
			if rapid.IntRange(0, 3).Draw(r, name+" is set") == 0 {
				return time.Time{}
			}
			return now.Add(time.Duration(rapid.IntRange(-400, 400).Draw(r, name)) * time.Second)
		}
		m := &push.Mailing{State: push.Sending, ResumedAt: draw("resumed")}
		b := store.OpenBatch{CreatedAt: now.Add(-time.Hour), NotBefore: draw("notBefore"), LeaseUntil: draw("leaseUntil"), PublishedAt: draw("published")}
		if rapid.Bool().Draw(r, "new") {
			b.CreatedAt = now
		}

		isDue := !batchDue(m, b).After(now)
		isListed := b.PublishedAt.IsZero() || !b.PublishedAt.After(lastPublished(m, now))
		if isDue && !isListed {
			r.Fatalf("%+v of a mailing resumed at %v is due at %v, and is not listed", b, m.ResumedAt, batchDue(m, b))
		}
		if isDue {
			due++
		}
		if !isListed {
			leftOut++
		}
	})
	if due == 0 || leftOut == 0 {
		t.Errorf("%d batches were due and %d were left out, want some of each", due, leftOut)
	}
}
