package deliver

import (
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"

	"carillon.example/emulators/storetest"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// Every further copy of a message finds its results and sends nothing.
func TestCopiesOfAMessageSendNothing(t *testing.T) {
	t.Parallel()
	h, ref := newMessageToAnna(t)
	for _, attempt := range []int{1, 1, 2, 7} {
		h.wantReply(h.receive(ref, attempt), queue.Ack)
	}
	h.want("sent", h.sent(ref), map[string]int{"a1-phone-token": 1})
}

// A crash between any two steps sends at most once more, and the message ends. A phone
// never gets it more than maxCrashes times, whatever crashes.
func TestACrashedMessageIsSentAtMostOnceMore(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		crashes int
		tick    bool // every further copy is tick's
		most    int
		state   push.State
		result  string
	}{
		"one crash":                      {1, false, 2, push.Completed, "accepted"},
		"one crash, then a copy of tick": {1, true, 2, push.Completed, "accepted"},
		"many crashes":                   {20, false, maxCrashes, push.Completed, "failed"},
		"many crashes, copies of tick":   {20, true, maxCrashes, push.Completed, "failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newMessageHarness(t)
			h.register("anna", phoneWith("a1-phone-token"))
			life := push.Duration(10 * time.Hour)
			ref := h.accept(push.MessageDraft{Customer: "anna", Lifetime: &life})
			for attempt := range c.crashes {
				deps := h.deps
				deps.Store = killedAfterSending(h.Store)
				receiveBy(t, newDeliverer(deps), ref, h.attempt(c.tick, attempt+1))
				h.clock.Add(5 * time.Minute)
			}

			for attempt := range 3 {
				h.receive(ref, h.attempt(c.tick, c.crashes+attempt+1))
				h.clock.Add(5 * time.Minute)
			}

			n := h.sent(ref)["a1-phone-token"]
			check.Between(t, n, 1, c.most, "number of times that the phone got the message")
			h.want("results", h.results(ref), map[string]string{push.TokenID("a1-phone-token"): c.result})
			h.want("state", h.show(ref).State, c.state)
		})
	}
}

// killedAfterSending makes the store of a call that is killed once FCM has answered: no
// result is stored any more.
func killedAfterSending(s *store.Store) *storetest.FailingStore {
	return storetest.New(s).Before(func(c *storetest.Call) error {
		b := storetest.Arg[*push.Message](c, 0).Batch
		if len(b.PendingTargets()) < len(b.Results) {
			return errKilled
		}
		return nil
	}, storetest.SaveMessage)
}

// Of two copies that tick and Pub/Sub deliver side by side one has the lease.
func TestALeasedMessageIsLeftAlone(t *testing.T) {
	t.Parallel()
	h, ref := newMessageToAnna(t)
	m := h.show(ref)
	if err := h.LeaseMessage(t.Context(), m, push.Lease{Owner: "another", Until: h.clock.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	h.wantReply(h.receive(ref, 2), queue.Ack)
	h.want("sent", h.sent(ref), map[string]int{})
	h.want("due", h.due(), []string{ref.Message})
}

// The first delivery stores no lease, so tick and dead letters can change the message
// while it is sent. The results are stored all the same. Otherwise they would be lost,
// and the message would be sent again.
func TestFirstDeliveryKeepsItsResults(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(h *messageHarness, ref push.MessageRef){
		"a dead letter is postponed": func(h *messageHarness, ref push.MessageRef) {
			h.wantReply(h.receiveDeadLetter(ref), queue.Ack)
		},
		"tick publishes it again": func(h *messageHarness, _ push.MessageRef) {
			h.clock.Add(5 * time.Minute)
			h.want("published again", h.publishDue(), 1)
		},
		"both": func(h *messageHarness, ref push.MessageRef) {
			h.wantReply(h.receiveDeadLetter(ref), queue.Ack)
			h.clock.Add(5 * time.Minute)
			h.want("published again", h.publishDue(), 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, ref := newMessageToAnna(t)
			deps := h.deps
			deps.Store = beforeFirstSave(h.Store, func() { meanwhile(h, ref) })

			h.wantReply(receiveBy(t, newDeliverer(deps), ref, 1), queue.Ack)

			h.want("results", h.results(ref), map[string]string{push.TokenID("a1-phone-token"): "accepted"})
			h.want("state", h.show(ref).State, push.Completed)
			h.want("due", h.due(), []string(nil))
			h.wantReply(h.receive(ref, 1), queue.Ack)
			h.want("sent", h.sent(ref), map[string]int{"a1-phone-token": 1})
		})
	}
}

// A first delivery does not overwrite the lease or the results of another call.
func TestFirstDeliveryOverwritesNoOtherCall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(h *messageHarness, ref push.MessageRef)
		state     push.State
	}{
		"a lease": {func(h *messageHarness, ref push.MessageRef) {
			if err := h.LeaseMessage(h.t.Context(), h.show(ref), push.Lease{Owner: "another", Until: h.clock.Now().Add(time.Minute)}); err != nil {
				h.t.Fatal(err)
			}
		}, push.Accepted},
		"results": {func(h *messageHarness, ref push.MessageRef) {
			h.phones.SetOutcome("a1-phone-token", "UNREGISTERED")
			h.wantReply(h.receive(ref, 1), queue.Ack)
		}, push.Completed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, ref := newMessageToAnna(t)
			deps := h.deps
			var kept *push.Message
			deps.Store = beforeFirstSave(h.Store, func() { c.meanwhile(h, ref); kept = h.show(ref) })

			h.wantReply(receiveBy(t, newDeliverer(deps), ref, 1), queue.Ack)

			h.want("message", h.show(ref), kept)
			h.want("state", h.show(ref).State, c.state)
		})
	}
}

// beforeFirstSave makes a store that does something before it first saves a message.
func beforeFirstSave(s *store.Store, do func()) *storetest.FailingStore {
	return storetest.New(s).Before(storetest.DoOnce(do), storetest.SaveMessage)
}

// A dead letter of a message that no call has sent is published again a minute later.
func TestDeadLetterOfAMessageWaitsAMinute(t *testing.T) {
	t.Parallel()
	h, ref := newMessageToAnna(t)
	h.wantReply(h.receiveDeadLetter(ref), queue.Ack)

	list := h.dueBy(h.clock.Now().Add(time.Hour))
	if len(list) != 1 {
		t.Fatalf("%d messages are due, want 1", len(list))
	}
	if wait := list[0].At.Sub(h.clock.Now()).Round(time.Second); wait != deadLetterWait {
		t.Errorf("the message is due in %s, want %s", wait, deadLetterWait)
	}
}

// A dead letter does not postpone a message that tick has published again meanwhile: the
// new copy is sent at once.
func TestDeadLetterDoesNotDelayANewCopy(t *testing.T) {
	t.Parallel()
	h, ref := newMessageToAnna(t)
	h.clock.Add(5 * time.Minute)
	deps := h.deps
	deps.Store = beforeFirstSave(h.Store, func() { h.want("published again", h.publishDue(), 1) })
	h.wantReply(newDeliverer(deps).receiveFromPubSub(t.Context(), deadLetterOf(t, ref)), queue.Ack)

	h.wantReply(h.receive(ref, 1), queue.Ack)
	h.want("sent", h.sent(ref), map[string]int{"a1-phone-token": 1})
}

// A message that cannot be read is given up when it is a dead letter.
func TestUndecodableMessageIsClosedByItsDeadLetter(t *testing.T) {
	t.Parallel()
	cloud := testcloud.New(t)
	h := messageHarnessOver(t, cloud.DB())
	h.register("anna", phoneWith("a1-phone-token"))
	ref := h.accept(push.MessageDraft{Customer: "anna"})
	if _, err := cloud.DB().Doc("messages/"+ref.Message).Update(t.Context(), []sdk.Update{{Path: "draft", Value: "{"}}); err != nil {
		t.Fatal(err)
	}
	h.wantReply(h.receive(ref, 1), queue.Redeliver)

	h.wantReply(h.receiveDeadLetter(ref), queue.Ack)
	h.want("due", h.due(), []string(nil))
	h.want("sent", h.sent(ref), map[string]int{})
}
