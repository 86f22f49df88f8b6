package functions_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/functions/customers"
	"carillon.example/functions/mailings"
	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// accepting is an FCM that finds every payload good.
type accepting struct{}

func (accepting) ProvePayload(context.Context, *fcm.Message) fcm.Answer {
	return fcm.Answer{Class: fcm.Accepted}
}

// TestTheAuditLogAnswersWhoDidWhatAndWhen: of everything that people and programs
// change through both functions there is one line with the caller, the operation,
// what it was about and the time; and the mailing and the customer name their
// callers themselves.
func TestTheAuditLogAnswersWhoDidWhatAndWhen(t *testing.T) {
	t.Parallel()
	l := testcloud.New(t)
	l.Topic("dispatch", "push-events")
	q := queue.New(l.PubSub(), queue.Topics{Dispatch: "dispatch", Events: "push-events"})
	t.Cleanup(q.Stop)
	var written bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&written, nil))
	db := store.New(l.DB(), store.Options{})
	people := testcloud.Serve(t, customers.New(customers.Deps{Store: db, Queue: q, Log: log}))
	sends := testcloud.Serve(t, mailings.New(mailings.Deps{Store: db, Queue: q, Proof: accepting{}, Log: log}))
	began := time.Now()
	as := func(name string) []string {
		claims := base64.RawURLEncoding.EncodeToString([]byte(`{"email":"` + name + `@shop.example","email_verified":true}`))
		return []string{"Authorization", "Bearer e30." + claims + ".SIGNATURE_REMOVED_BY_GOOGLE"}
	}
	ask := func(site *testcloud.Client, who, method, path, body string, header ...string) testcloud.Answer {
		t.Helper()
		a := site.Ask(method, path, body, append(as(who), header...)...)
		if a.Code/100 != 2 {
			t.Fatalf("%s %s by %s: %v", method, path, who, a)
		}
		return a
	}

	ask(people, "boss", "PUT", "/v1/settings", `{"devices":"latest"}`)
	ask(people, "etl", "POST", "/v1/imports", `{"id":"anna"}`, "Content-Type", "application/x-ndjson")
	ask(people, "desk", "PATCH", "/v1/customers/anna", `{"optedOut":true}`, "Content-Type", "application/merge-patch+json")
	consents := ask(people, "desk", "GET", "/v1/customers/anna", "").Body
	made := testcloud.Decode[struct{ ID string }](ask(sends, "crm", "POST", "/v1/mailings", `{"message":{"notification":{"title":"Sale"}},"audience":{"everyone":true}}`), 202)
	mailing := "/v1/mailings/" + made.ID
	if _, err := db.StartMailing(t.Context(), made.ID, push.AllDevices, nil, []push.Shard{{Mailing: made.ID}}); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][2]string{{"ann", "pause"}, {"bob", "resume"}, {"eva", "flag-held"}, {"ivo", "drop-held"}, {"olga", "unflag"}, {"kim", "cancel"}} {
		ask(sends, step[0], "POST", mailing+"/"+step[1], "")
	}
	ask(people, "dpo", "DELETE", "/v1/customers/anna", "")

	type line struct{ Caller, Operation, Mailing, Customer string }
	var got []line
	for raw := range strings.Lines(written.String()) {
		var entry struct {
			line
			Time time.Time
			Msg  string
		}
		if err := json.Unmarshal([]byte(raw), &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Msg != "audit" {
			continue
		}
		got = append(got, entry.line)
		if entry.Time.Before(began.Add(-time.Second)) || entry.Time.After(time.Now()) {
			t.Errorf("%s is said to have been at %v, and was between %v and now", entry.Operation, entry.Time, began)
		}
	}
	key := push.CustomerKey("anna")
	want := []line{
		{"boss@shop.example", "change-settings", "", ""}, {"etl@shop.example", "import-customers", "", ""}, {"desk@shop.example", "change-customer", "", key},
		{"crm@shop.example", "create-mailing", made.ID, ""}, {"ann@shop.example", "pause-mailing", made.ID, ""}, {"bob@shop.example", "resume-mailing", made.ID, ""},
		{"eva@shop.example", "flag-held", made.ID, ""}, {"ivo@shop.example", "drop-held", made.ID, ""}, {"olga@shop.example", "unflag", made.ID, ""},
		{"kim@shop.example", "cancel-mailing", made.ID, ""}, {"dpo@shop.example", "erase-customer", "", key},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the audit log (-want +got):\n%s", d)
	}
	if shown := ask(sends, "crm", "GET", mailing, ""); !strings.Contains(shown.Body, `"createdBy":"crm@shop.example"`) {
		t.Errorf("the mailing does not say who made it: %v", shown)
	}
	if shown := ask(people, "desk", "GET", "/v1/settings", ""); !strings.Contains(shown.Body, `"changedBy":"boss@shop.example"`) {
		t.Errorf("the settings do not say who changed them: %v", shown)
	}
	if !strings.Contains(consents, `"source":"desk@shop.example"`) {
		t.Errorf("the customer does not say who reported the opt-out: %s", consents)
	}
}
