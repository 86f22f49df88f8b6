package deliver

import (
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
)

// failed leases a batch so many times; each call fails and releases it.
func (w *batchHarness) failed(ref push.BatchRef, times int) {
	w.t.Helper()
	b, err := w.ReadBatch(w.t.Context(), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	for range times {
		if err := w.LeaseBatch(w.t.Context(), b, push.Lease{Owner: newOwner(), Until: w.clock.Now().Add(time.Minute)}); err != nil {
			w.t.Fatal(err)
		}
		b.ReleaseLease(false)
		if err := w.SaveBatch(w.t.Context(), b); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestDeadLetterClosesWhatWasTried(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, "first-token")
	w.failed(ref, minTries)
	if err := w.d.deliverAndFinish(t.Context(), ref, "deliver"); err != nil {
		t.Fatal(err)
	}

	m, totals := w.totals("m")
	if m.State != push.Completed {
		t.Errorf("mailing is %s, want %s", m.State, push.Completed)
	}
	if totals.Failed != 1 {
		t.Errorf("failed %d, want 1", totals.Failed)
	}
	if n := len(w.messagesByToken("m")); n != 0 {
		t.Errorf("%d phones got a message, want none", n)
	}
}

// TestDeadLetterOfWhatWasNotTriedWaits: deliveries that never came to a claim,
// because no instance was there, are not the batch's fault.
func TestDeadLetterOfWhatWasNotTriedWaits(t *testing.T) {
	t.Parallel()
	for name, tries := range map[string]int{"never leased": 0, "leased too seldom": minTries - 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			ref := w.mailing("m", true, names("t", 21)...)
			w.failed(ref, tries)
			if err := w.d.deliverAndFinish(t.Context(), ref, "deliver"); err != nil {
				t.Fatal(err)
			}

			b, err := w.ReadBatch(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if b.Settled {
				t.Fatal("the batch is settled, want it to wait")
			}
			if !b.NotBefore.After(w.clock.Now()) {
				t.Errorf("it waits until %s, want a time to come", b.NotBefore)
			}
			w.clock.Add(2 * deadLetterWait)
			w.deliver(ref)
			if _, totals := w.totals("m"); totals.Accepted != 21 {
				t.Errorf("accepted %d, want 21: %+v", totals.Accepted, totals)
			}
		})
	}
}

// TestABatchThatCannotBeReadIsClosed: no call can work on it, and the mailing
// ends all the same.
func TestABatchThatCannotBeReadIsClosed(t *testing.T) {
	t.Parallel()
	l := testcloud.New(t)
	w := newBatchHarnessOver(t, phones.Options{}, l)
	ref := w.mailing("m", true, names("t", 7)...)
	doc := l.DB().Doc("mailings/m/batches/" + ref.Batch)
	snap, err := doc.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fields := snap.Data()
	fields["targets"] = []byte("damaged")
	if _, err := doc.Set(t.Context(), fields); err != nil {
		t.Fatal(err)
	}
	if err := w.d.deliverAndFinish(t.Context(), ref, ""); err == nil {
		t.Error("a batch that cannot be read was no error, want it delivered again")
	}
	if err := w.d.deliverAndFinish(t.Context(), ref, "deliver"); err != nil {
		t.Errorf("from the dead letter: %v", err)
	}

	m, totals := w.totals("m")
	if m.State != push.Completed {
		t.Errorf("mailing is %s, want %s", m.State, push.Completed)
	}
	if totals.Failed != 7 {
		t.Errorf("failed %d, want 7: %+v", totals.Failed, totals)
	}
}
