package functions_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/functions/customers"
	"carillon.example/functions/mailings"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// An archive is the HTTP functions over one database, whose TTLs run when the
// test says so.
type archive struct {
	*testcloud.Cloud
	t         *testing.T
	store     *store.Store
	clock     *testcloud.Clock
	mailings  *testcloud.Client
	customers *testcloud.Client
	message   string // the id of a message to one customer
}

func newArchive(t *testing.T) *archive {
	t.Helper()
	a := &archive{Cloud: testcloud.New(t), t: t, clock: testcloud.Noon()}
	a.Topic("dispatch", "messages", "push-events")
	a.store = store.New(a.DB(), store.Options{Now: a.clock.Now})
	q := queue.New(a.PubSub(), queue.Topics{Dispatch: "dispatch", Messages: "messages", Events: "push-events"}) // of either function
	t.Cleanup(q.Stop)
	sender, err := fcm.New(t.Context(), fcm.Config{Project: "p", Endpoint: testcloud.Phones(t, phones.Options{}).URL(), MaxInstances: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sender.Close() })
	log := slog.New(slog.DiscardHandler)
	a.mailings = testcloud.Serve(t, mailings.New(mailings.Deps{Store: a.store, Queue: q, Proof: sender, Log: log, Now: a.clock.Now}))
	a.customers = testcloud.Serve(t, customers.New(customers.Deps{Store: a.store, Queue: q, Log: log, Now: a.clock.Now}))
	return a
}

func (a *archive) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// submit hands in a mailing under a key and answers its id.
func (a *archive) submit(key, body string, code int) string {
	a.t.Helper()
	return testcloud.Decode[struct{ ID string }](a.mailings.Ask("POST", "/v1/mailings", body, "Idempotency-Key", key), code).ID
}

// sent takes a mailing to one customer through dispatch and deliver, whose token
// FCM calls invalid, and ends it.
func (a *archive) sent(id string) {
	a.t.Helper()
	ctx := a.t.Context()
	_, err := a.store.RegisterToken(ctx, "anna", push.Registration{Kind: push.KindToken, Value: "anna-token", Platform: push.Android})
	a.must(err)
	a.clock.Add(time.Second)
	_, err = a.store.StartMailing(ctx, id, push.AllDevices, nil, []push.Shard{{Mailing: id}})
	a.must(err)
	sh, err := a.store.ReadShard(ctx, id, 0)
	a.must(err)
	sh.Done, sh.Batches, sh.Targeted = true, 1, 1
	b := &push.Batch{BatchRef: push.BatchRef{Mailing: id, Batch: "00-000000"}, CreatedAt: a.clock.Now(), Results: make([]push.Result, 1),
		Targets: []push.Target{{Customer: "anna", Token: "anna-token", Kind: push.KindToken}}}
	a.must(a.store.CreateBatches(ctx, sh, []*push.Batch{b}))
	_, err = a.store.MarkMailingDispatched(ctx, id)
	a.must(err)

	b, err = a.store.ReadBatch(ctx, b.BatchRef)
	a.must(err)
	d := push.InvalidToken{Customer: "anna", TokenID: push.TokenID("anna-token"), Code: push.CodeUnregistered, At: a.clock.Now()}
	b.InvalidTokens, b.Settled = []push.InvalidToken{d}, true
	b.ClosePending(push.ResultUnregistered)
	_, err = a.store.FlagToken(ctx, store.Flag{Mailing: id, Customer: d.Customer, TokenID: d.TokenID, Code: d.Code, At: d.At, BatchCreatedAt: b.CreatedAt})
	a.must(err)
	a.must(a.store.SaveBatch(ctx, b))
	_, err = queue.FinishMailing(ctx, a.store, &testcloud.EventRecorder[push.Event]{}, id)
	a.must(err)
}

// ask asks every GET that a function documents, about one mailing and customer.
func (a *archive) ask(site *testcloud.Client, mailing string, want int) {
	a.t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	err := json.Unmarshal([]byte(site.Ask("GET", "/openapi.json", "").Body), &doc)
	if err != nil {
		a.t.Fatal(err)
	}
	if len(doc.Paths) == 0 {
		a.t.Fatal("number of documented paths is 0, want some")
	}
	for path, item := range doc.Paths {
		if item["get"] == nil {
			continue
		}
		code := want
		if !strings.Contains(path, "{id}") {
			code = http.StatusOK
		}
		id := mailing
		if path == "/v1/messages/{id}" {
			id, code = a.message, http.StatusOK
			if a.clock.Now().After(start.AddDate(0, 0, 31)) { // it is kept for 30 days
				code = http.StatusNotFound
			}
		}
		at := strings.NewReplacer("{id}", id, "{customer}", "anna").Replace(path)
		if strings.Contains(at, "{") {
			a.t.Errorf("this test does not know what to ask at %s", path)
			continue
		}
		if got := site.Ask("GET", at, ""); got.Code != code {
			a.t.Errorf("GET %s, %s after the start: %d %s, want %d", path, a.clock.Now().Sub(start), got.Code, got.Body, code)
		}
	}
}

var start = testcloud.Noon().Now()

// TestEveryGETAnswersAfterEveryTTL, and so does every repeated submit: what
// Firestore deletes by its time is missed by nobody.
func TestEveryGETAnswersAfterEveryTTL(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	const body = `{"message":{"notification":{"title":"a"}},"audience":{"customers":["anna","carl"]}}`
	other := strings.Replace(body, `"a"`, `"b"`, 1)
	sent, unflagged, cancelled := a.submit("sent", body, 202), a.submit("unflagged", body, 202), a.submit("cancelled", body, 202)
	a.sent(sent)
	a.sent(unflagged)
	if got := a.mailings.Ask("POST", "/v1/mailings/"+unflagged+"/unflag", ""); got.Code != 202 {
		t.Fatal(got)
	}
	if _, _, err := a.store.UnflagTokens(t.Context(), unflagged, []store.CustomerTokens{{Customer: "anna", Tokens: []string{push.TokenID("anna-token")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.store.EndUnflag(t.Context(), unflagged); err != nil {
		t.Fatal(err)
	}
	if got := a.mailings.Ask("POST", "/v1/mailings/"+cancelled+"/cancel", ""); got.Code != 200 {
		t.Fatal(got)
	}
	if _, err := queue.FinishMailing(t.Context(), a.store, &testcloud.EventRecorder[push.Event]{}, cancelled); err != nil {
		t.Fatal(err)
	}

	sentMessage := a.mailings.Ask("POST", "/v1/messages", `{"customer":"anna","message":{"notification":{"title":"a"}}}`)
	a.message = testcloud.Decode[struct{ ID string }](sentMessage, http.StatusAccepted).ID

	gone := 0
	for _, days := range []int{0, 8, 32, 60, 399} {
		t.Run(fmt.Sprint(days), func(t *testing.T) {
			a.clock.Add(start.AddDate(0, 0, days).Sub(a.clock.Now()))
			gone += a.Expire(a.clock.Now())
			for key, id := range map[string]string{"sent": sent, "unflagged": unflagged, "cancelled": cancelled} {
				a.ask(a.mailings, id, http.StatusOK)
				if got := a.submit(key, body, http.StatusAccepted); got != id {
					t.Errorf("%d days later the same submit gave mailing %s, want %s", days, got, id)
				}
				if got := a.mailings.Ask("POST", "/v1/mailings", other, "Idempotency-Key", key); got.Code != http.StatusConflict {
					t.Errorf("%d days later the key with another body: %d %s, want 409", days, got.Code, got.Body)
				}
			}
			a.ask(a.customers, "", http.StatusOK)
		})
	}
	if gone < 6 {
		t.Errorf("only %d documents had expired: this test shows nothing", gone)
	}
	list := testcloud.Decode[struct {
		AudienceList push.AudienceList
		Unflag       *push.Unflag
	}](a.mailings.Ask("GET", "/v1/mailings/"+unflagged, ""), http.StatusOK)
	if want := (push.AudienceList{Of: "customers", Entries: 2, State: push.ListDeleted}); list.AudienceList != want {
		t.Errorf("the list is described as %+v, want %+v", list.AudienceList, want)
	}
	u := list.Unflag
	if u == nil {
		t.Fatal("unflag is nil, want it set")
	}
	check.Equal(t, u.Unflagged, 1, "number of unflagged tokens")
	check.Equal(t, u.State, push.UnflagCompleted, "state of the unflag")

	a.clock.Add(start.AddDate(0, 0, 402).Sub(a.clock.Now()))
	a.Expire(a.clock.Now())
	a.ask(a.mailings, sent, http.StatusNotFound)
	if n := a.Count("mailings"); n != 0 {
		t.Errorf("%d mailings are kept for ever", n)
	}
}
