package deliver

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

func TestWindowShrinksWithEachCrash(t *testing.T) {
	t.Parallel()
	last := maxUnsaved + 1
	for crashes := range 4 {
		got := windowAfter(crashes)
		if got >= last {
			t.Errorf("after %d crashes the window is %d, want less than %d", crashes, got, last)
		}
		last = got
	}
	if got := windowAfter(maxCrashes); got != 1 {
		t.Errorf("after %d crashes the window is %d, want 1", maxCrashes, got)
	}
}

// crashes is what a killed instance does, again and again: the store takes so
// many saves of each call, and then nothing any more.
func crashes(t *testing.T, w *batchHarness, ref push.BatchRef, saves int) {
	t.Helper()
	deps := w.deps
	deps.Store = killedAfterSaves(w.Store, saves)
	_ = newDeliverer(deps).deliverAndFinish(t.Context(), ref, "")

	// Pub/Sub delivers again while the lease is still there, and tick after it.
	data, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	w.clock.Add(11 * time.Second)
	if got := w.d.receiveFromPubSub(t.Context(), queue.Message{Data: data, Attempt: 2}); got != queue.Ack {
		t.Fatalf("a redelivery beside a live lease was settled by %v, want %v", got, queue.Ack)
	}
	w.clock.Add(2 * time.Minute)
}

// TestABatchThatCrashesItsInstanceIsStopped: whatever the calls of a batch have
// saved before they crash, no phone gets more than five messages, and the batch
// ends.
func TestABatchThatCrashesItsInstanceIsStopped(t *testing.T) {
	t.Parallel()
	for _, saves := range []int{0, 1, 2, 3} {
		t.Run(fmt.Sprint(saves, " saves"), func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			journal := &testcloud.LogBuffer{}
			w.deps.Log = journal.Logger()
			w.d = newDeliverer(w.deps)
			size := 60
			if saves == 0 {
				size = 300
			}
			ref := w.mailing("m", true, names("t", size)...)

			calls := 0
			for ; calls < 200; calls++ {
				b, err := w.ReadBatch(t.Context(), ref)
				if err != nil {
					t.Fatal(err)
				}
				if b.Settled {
					break
				}
				if b.CountCrashes() >= maxCrashes && !b.Saved {
					w.deliver(ref) // leases nothing, so that there is nothing to crash
					continue
				}
				crashes(t, w, ref, saves)
			}

			b, err := w.ReadBatch(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			if !b.Settled {
				t.Fatalf("after %d calls the batch is not settled: %+v", calls, b)
			}
			for token, n := range w.messagesByToken("m") {
				if n > maxCrashes {
					t.Errorf("token %s got %d messages, want at most %d", token, n, maxCrashes)
				}
			}
			m, _ := w.totals("m")
			if m.State != push.Completed {
				t.Errorf("mailing is %s, want %s", m.State, push.Completed)
			}
			if saves > 0 {
				return
			}
			if b.Leases != maxCrashes {
				t.Errorf("leased %d times, want %d", b.Leases, maxCrashes)
			}
			if !strings.Contains(b.Reason, "crashed or ran out of memory") {
				t.Errorf("reason is %q, want one that an operator understands", b.Reason)
			}
			if got := strings.Count(journal.String(), `msg="batch given up"`); got != 1 {
				t.Errorf("%d lines of batch given up, want 1: %s", got, journal)
			}
			_, totals := w.totals("m")
			if totals.Failed != int64(size) {
				t.Errorf("failed %d, want %d: %+v", totals.Failed, size, totals)
			}
		})
	}
}

// TestTheLogSaysWhyTargetsAreGivenUp: also of a batch that has the reason of another target,
// and has kept it.
func TestTheLogSaysWhyTargetsAreGivenUp(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	w := newBatchHarnessOver(t, phones.Options{}, cloud)
	journal := &testcloud.LogBuffer{}
	w.deps.Log = journal.Logger()
	w.d = newDeliverer(w.deps)
	ref := w.mailing("m", true, names("t", 2)...)
	if _, err := cloud.DB().Doc("mailings/m/batches/"+ref.Batch).Update(t.Context(), []firestore.Update{
		{Path: "crashedWith", Value: []byte{maxCrashes, 0}}, {Path: "reason", Value: "refused: another target"},
	}); err != nil {
		t.Fatalf("storing the crashes: %v", err)
	}

	w.deliver(ref)

	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	_, totals := w.totals("m")
	check.Equal(t, totals.Failed, 1, "failed tokens")
	check.Equal(t, totals.Accepted, 1, "accepted tokens")
	check.Equal(t, b.Reason, "refused: another target", "the reason of the batch")
	line := lineWith(journal.String(), "targets given up")
	check.Contains(t, line, fmt.Sprintf("given up after %d crashes", maxCrashes), "the log line")
	check.NotContains(t, line, "another target", "the log line")
}

// lineWith returns the first line of a log that has a text.
func lineWith(log, text string) string {
	for line := range strings.Lines(log) {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

// TestTheWindowShrinksAfterEachCrash: each crash may send a smaller window again. From the
// second on a call stores what it is about to send.
func TestTheWindowShrinksAfterEachCrash(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 300)...)
	for crash := range maxCrashes {
		before := len(w.phones.Messages(phones.Filter{Mailing: "m"}))
		crashes(t, w, ref, min(crash, 1))
		got := len(w.phones.Messages(phones.Filter{Mailing: "m"})) - before
		most := windowAfter(min(crash, 1))
		check.Between(t, got, 1, most, "number of messages of call %d", crash+1)
	}
}

// TestAnInstanceWorksOnOneSuspectAtATime: a batch that kills its instance does
// not count as a crash of every batch that crashed beside it.
func TestAnInstanceWorksOnOneSuspectAtATime(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]bool{"crashes in a row": false, "a call that ended well between": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newBatchHarness(t, phones.Options{})
			ref := w.mailing("m", true, names("t", 3)...)
			crashes(t, w, ref, 0)
			if between {
				w.stopped(ref)
			}
			crashes(t, w, ref, 1)
			checkSuspectWaits(t, w, ref)
		})
	}
}

// checkSuspectWaits checks that a batch with which two calls crashed waits beside another
// suspect, and is sent alone.
func checkSuspectWaits(t *testing.T, w *batchHarness, ref push.BatchRef) {
	t.Helper()
	if _, err := w.MarkBatchPublished(t.Context(), w.openBatch("m"), w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	before, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	w.d.quarantine <- struct{}{} // another suspect is at work
	w.deliver(ref)
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.Leases != before.Leases {
		t.Errorf("leased %d times, want %d: another suspect was at work", b.Leases, before.Leases)
	}
	wait := b.NotBefore.Sub(w.clock.Now())
	if wait <= dueSoon {
		t.Errorf("the time until the batch is due is %v, want more than %v", wait, dueSoon)
	}
	if wait > suspectWait {
		t.Errorf("the time until the batch is due is %v, want at most %v", wait, suspectWait)
	}
	if !b.PublishedAt.IsZero() {
		t.Errorf("its message counts as on its way since %v, want as answered: tick would wait for it", b.PublishedAt)
	}

	<-w.d.quarantine
	w.clock.Add(suspectWait)
	w.deliver(ref)
	if m, totals := w.totals("m"); totals.Accepted != 3 {
		t.Errorf("alone it accepted %d, want 3: %s %+v", totals.Accepted, m.State, totals)
	}
	if len(w.d.quarantine) != 0 {
		t.Error("the place of the suspect is not free again")
	}
}

// A fatalSender ends its instance with the sending of a token. From then on the
// store of that instance saves nothing.
type fatalSender struct {
	sender
	token string
	ended *atomic.Bool
}

func (f *fatalSender) Send(ctx context.Context, it fcm.Item, answered func(fcm.Answer)) {
	if it.Target == f.token {
		f.ended.Store(true)
	}
	f.sender.Send(ctx, it, answered)
}

// savesUntil makes a store that saves no batch once its instance has ended.
func savesUntil(s *store.Store, ended *atomic.Bool) *storetest.FailingStore {
	return storetest.New(s).Before(func(*storetest.Call) error {
		if ended.Load() {
			return errKilled
		}
		return nil
	}, storetest.SaveBatch)
}

// TestOnlyTheTargetThatEndsItsInstanceFails: of a batch with such a target all
// others are sent, and no phone gets more than five messages, also where calls end
// well between the crashes.
func TestOnlyTheTargetThatEndsItsInstanceFails(t *testing.T) {
	t.Parallel()
	for _, culprit := range []int{0, 120, 299} {
		for _, between := range []bool{false, true} {
			t.Run(fmt.Sprintf("target %d, calls that end well between %v", culprit, between), func(t *testing.T) {
				t.Parallel()
				onlyTheCulpritFails(t, culprit, between)
			})
		}
	}
}

func onlyTheCulpritFails(t *testing.T, target int, between bool) {
	w := newBatchHarness(t, phones.Options{})
	tokens := names("t", 300)
	culprit := tokens[target]
	ref := w.mailing("m", true, tokens...)
	for calls := 0; ; calls++ {
		b, err := w.ReadBatch(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if b.Settled {
			break
		}
		if calls == 40 {
			t.Fatalf("after %d calls the batch is not settled: %+v", calls, b)
		}
		if between && calls%2 == 1 {
			w.stopped(ref)
			continue
		}
		deps, ended := w.deps, &atomic.Bool{}
		deps.Store = savesUntil(w.Store, ended)
		deps.Sender = &fatalSender{sender: w.deps.Sender, token: culprit, ended: ended}
		_ = newDeliverer(deps).deliverAndFinish(t.Context(), ref, "")
		w.clock.Add(2 * time.Minute)
	}

	sent := w.messagesByToken("m")
	for _, token := range tokens {
		n := sent[token]
		check.Between(t, n, 1, maxCrashes, "number of messages of token %s", token)
	}
	_, totals := w.totals("m")
	if totals.Accepted != 299 {
		t.Errorf("accepted %d, want 299", totals.Accepted)
	}
	if totals.Failed != 1 {
		t.Errorf("failed %d, want 1", totals.Failed)
	}
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.Reason, "crashed or ran out of memory") {
		t.Errorf("reason is %q, want one that an operator understands", b.Reason)
	}
}

// TestACautiousCallStoresWhatItSends: of what a crashed call saved no result of,
// exactly what it may have sent is counted.
func TestACautiousCallStoresWhatItSends(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	ref := w.mailing("m", true, names("t", 300)...)
	crashes(t, w, ref, 0) // may have sent any of them
	crashes(t, w, ref, 1) // has stored what it was about to send, and nothing else

	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.UnderWay) != windowAfter(1) {
		t.Errorf("%d targets were under way, want %d", len(b.UnderWay), windowAfter(1))
	}
	if b.Saved {
		t.Error("the crashed call counts as one that came further: it has saved no result")
	}
	b.AcquireLease(push.Lease{Owner: "next"})
	for i := range b.Targets {
		want := byte(1)
		if i < windowAfter(1) {
			want = 2
		}
		if b.CrashedWith[i] != want {
			t.Errorf("target %d: %d calls crashed with it, want %d", i, b.CrashedWith[i], want)
		}
	}
}

// TestACrashThatWasNoFaultOfTheBatchIsForgotten: a call that ends well begins
// the count anew, and the next window is whole.
func TestACrashThatWasNoFaultOfTheBatchIsForgotten(t *testing.T) {
	t.Parallel()
	w := newBatchHarness(t, phones.Options{})
	tokens := names("t", 3)
	ref := w.mailing("m", true, tokens...)
	crashes(t, w, ref, 0)
	if err := w.phones.SetOutcomes(phones.Outcome{Token: tokens[0], Outcome: "QUOTA_DEVICE", RetryAfter: time.Hour}); err != nil {
		t.Fatal(err)
	}
	w.deliver(ref)
	b, err := w.ReadBatch(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if b.CountCrashes() != 0 {
		t.Errorf("crashes counted: %d, want 0 after a call that ended well", b.CountCrashes())
	}
	if b.Tries != 0 {
		t.Errorf("tries counted: %d, want 0 after a call that ended well", b.Tries)
	}
}
