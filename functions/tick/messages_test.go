package tick

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/shared/push"
)

// PublishMessages collects the ids of messages to one customer.
func (b *board) PublishMessages(_ context.Context, refs ...push.MessageRef) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ref := range refs {
		b.messages = append(b.messages, ref.Message)
	}
	return b.err
}

// A message whose Pub/Sub message was lost is published again after two minutes, after two
// more, then after twice as long each time, and not at all once it is settled.
func TestLostMessageIsPublishedAgain(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	m := w.acceptMessage(t, "s1")
	for _, c := range []struct {
		after time.Duration
		want  []string
	}{
		{time.Minute, nil},
		{90 * time.Second, []string{"s1"}},
		{110 * time.Second, nil},
		{20 * time.Second, []string{"s1"}},
		{250 * time.Second, nil},
		{20 * time.Second, []string{"s1"}},
	} {
		w.clock.Add(c.after)
		w.tick(t)
		w.wantMessages(t, c.want)
	}

	stored, err := w.ReadMessage(t.Context(), m.ID)
	if err != nil {
		t.Fatal(err)
	}
	stored.Picked, stored.Excluded, stored.Batch.CreatedAt, stored.Batch.Settled = true, push.ExcludedUnknown, w.clock.Now(), true
	if err := w.SaveMessage(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	w.clock.Add(24 * time.Hour)
	w.tick(t)
	w.wantMessages(t, nil)
}

// Many messages of every shard of the index are found.
func TestLostMessagesOfEveryShardAreFound(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	shards := map[int]bool{}
	var want []string
	for i := 0; len(shards) < push.MessageShards; i++ {
		id := fmt.Sprint("s", i)
		w.acceptMessage(t, id)
		shards[push.MessageShard(id)] = true
		want = append(want, id)
	}
	w.clock.Add(time.Hour)
	w.tick(t)
	w.wantMessages(t, want)
}

// A message that waits for its time is published at that time, within a round.
func TestWaitingMessageIsPublishedAtItsTime(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	m := w.acceptMessage(t, "s1")
	m.Picked, m.Batch.CreatedAt, m.Batch.NotBefore = true, w.clock.Now(), w.clock.Now().Add(20*time.Second)
	m.Batch.Targets = []push.Target{{Customer: "anna", Token: "anna-phone-token", Kind: push.KindToken}}
	m.Batch.Results = make([]push.Result, 1)
	if err := w.SaveMessage(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.call(t, "")
	w.wantMessages(t, []string{"s1"})
	if got := w.clock.Now(); got.Before(m.Batch.NotBefore) {
		t.Errorf("it was published at %s, want not before %s", got, m.Batch.NotBefore)
	}
}

func (w *harness) acceptMessage(t *testing.T, id string) *push.Message {
	t.Helper()
	m := push.NewMessage(id, "digest", push.MessageDraft{Customer: "anna", Message: json.RawMessage(`{"notification":{"title":"x"}}`)}, w.clock.Now())
	if _, _, err := w.CreateMessage(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

// wantMessages compares the messages that were published since it was last called.
func (w *harness) wantMessages(t *testing.T, want []string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.messages)
	slices.Sort(want)
	if diff := cmp.Diff(want, w.messages); diff != "" {
		t.Errorf("published messages (-want +got):\n%s", diff)
	}
	w.messages = nil
}
