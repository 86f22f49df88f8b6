package deliver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// A messageHarness is deliver over a real store and a real sender, for messages to one
// customer. Its clock runs.
type messageHarness struct {
	*store.Store
	t      *testing.T
	phones *phones.Server
	events *testcloud.EventRecorder[push.Event]
	clock  *testcloud.Clock
	log    *testcloud.LogBuffer
	deps   Deps
	d      *deliverer
	made   int
}

func newMessageHarness(t *testing.T) *messageHarness {
	t.Helper()
	return messageHarnessOver(t, testcloud.New(t).DB())
}

func messageHarnessOver(t *testing.T, db *sdk.Client) *messageHarness {
	t.Helper()
	h := &messageHarness{t: t, phones: testcloud.Phones(t, phones.Options{}), events: &testcloud.EventRecorder[push.Event]{}, clock: &testcloud.Clock{}, log: &testcloud.LogBuffer{}}
	h.Store = store.New(db, store.Options{Now: h.clock.Now})
	sender, err := fcm.New(t.Context(), fcm.Config{Project: "p", Endpoint: h.phones.URL(), QuotaPerMinute: 600_000, MaxInstances: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sender.Close() })
	h.deps = Deps{Store: h.Store, Queue: h.events, Sender: sender, Log: h.log.Logger(), CallTimeout: 2 * time.Second, Now: h.clock.Now}
	h.d = newDeliverer(h.deps)
	return h
}

func (h *messageHarness) register(customer string, tokens ...push.Registration) {
	h.t.Helper()
	for _, r := range tokens {
		if r.Kind == "" {
			r.Kind = push.KindToken
		}
		if _, err := h.RegisterToken(h.t.Context(), customer, r); err != nil {
			h.t.Fatal(err)
		}
	}
}

// newMessageToAnna makes a harness in which a message to anna, who has one phone, is
// accepted.
func newMessageToAnna(t *testing.T) (*messageHarness, push.MessageRef) {
	t.Helper()
	h := newMessageHarness(t)
	h.register("anna", phoneWith("a1-phone-token"))
	return h, h.accept(push.MessageDraft{Customer: "anna"})
}

// accept stores a message as the function mailings does, and returns what it publishes.
func (h *messageHarness) accept(d push.MessageDraft) push.MessageRef {
	h.t.Helper()
	if d.Message == nil {
		d.Message = json.RawMessage(`{"notification":{"title":"x"}}`)
	}
	h.made++
	m := push.NewMessage(fmt.Sprint("s", h.made), "digest", d, h.clock.Now())
	if _, _, err := h.CreateMessage(h.t.Context(), m); err != nil {
		h.t.Fatal(err)
	}
	return m.PublishedRef()
}

// receive delivers the Pub/Sub message the nth time.
func (h *messageHarness) receive(ref push.MessageRef, attempt int) queue.Reply {
	h.t.Helper()
	return receiveBy(h.t, h.d, ref, attempt)
}

func receiveBy(t *testing.T, d *deliverer, ref push.MessageRef, attempt int) queue.Reply {
	t.Helper()
	return d.receiveFromPubSub(t.Context(), queue.Message{Data: encoded(t, ref), Attempt: attempt})
}

// receiveDeadLetter delivers the Pub/Sub message as a dead letter.
func (h *messageHarness) receiveDeadLetter(ref push.MessageRef) queue.Reply {
	h.t.Helper()
	return h.d.receiveFromPubSub(h.t.Context(), deadLetterOf(h.t, ref))
}

func deadLetterOf(t *testing.T, ref push.MessageRef) queue.Message {
	t.Helper()
	return queue.Message{Data: encoded(t, ref), Attributes: map[string]string{"CloudPubSubDeadLetterSourceSubscription": "messages"}}
}

func encoded(t *testing.T, ref push.MessageRef) []byte {
	t.Helper()
	data, err := json.Marshal(ref)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (h *messageHarness) show(ref push.MessageRef) *push.Message {
	h.t.Helper()
	m, err := h.ReadMessage(h.t.Context(), ref.Message)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

// results lists the results of a message by token.
func (h *messageHarness) results(ref push.MessageRef) map[string]string {
	out := map[string]string{}
	for _, r := range h.show(ref).Recipients {
		out[r.TokenID] = strings.TrimSpace(r.Result.String() + " " + r.Result.FlagCode())
	}
	return out
}

// sent counts how often each token got the message.
func (h *messageHarness) sent(ref push.MessageRef) map[string]int {
	out := map[string]int{}
	for _, m := range h.phones.Messages(phones.Filter{Mailing: ref.Message}) {
		out[m.Token]++
	}
	return out
}

func (h *messageHarness) wantReply(got, want queue.Reply) {
	h.t.Helper()
	if got != want {
		h.t.Fatalf("the message was answered with %v, want %v\n%s", got, want, h.log)
	}
}

func (h *messageHarness) want(what string, got, want any) {
	h.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var android = push.Registration{Kind: push.KindToken, Platform: push.Android, App: "shop"}

func phoneWith(token string) push.Registration {
	r := android
	r.Value = token
	return r
}

// dueBy lists the messages that tick publishes again until a time.
func (h *messageHarness) dueBy(until time.Time) []store.DueMessage {
	h.t.Helper()
	list, err := h.ListDueMessages(h.t.Context(), until)
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// due lists the ids of the messages that tick publishes again within a year.
func (h *messageHarness) due() (ids []string) {
	h.t.Helper()
	for _, x := range h.dueBy(h.clock.Now().Add(365 * 24 * time.Hour)) {
		ids = append(ids, x.Message)
	}
	return ids
}

// publishDue marks the messages that are due now as published, as tick does, and
// returns how many it recorded as published.
func (h *messageHarness) publishDue() (n int) {
	h.t.Helper()
	for _, x := range h.dueBy(h.clock.Now()) {
		recorded, err := h.MarkMessagePublished(h.t.Context(), x, h.clock.Now())
		if err != nil {
			h.t.Fatal(err)
		}
		if recorded {
			n++
		}
	}
	return n
}

// attempt returns the attempt of the next delivery. tick publishes a new Pub/Sub
// message, and its first delivery is attempt 1.
func (h *messageHarness) attempt(tick bool, of int) int {
	h.t.Helper()
	if !tick || of == 1 {
		return of
	}
	h.publishDue()
	return 1
}
