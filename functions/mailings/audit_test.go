package mailings_test

import (
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/functions/mailings"
	"carillon.example/shared/push"
	"carillon.example/shared/queue"
)

// TestTheAuditLogSaysWhoDidWhat: who sent, paused, resumed, cancelled and unflagged,
// with the states before and after, and nothing of what was sent or to whom.
func TestTheAuditLogSaysWhoDidWhat(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	q := queue.New(w.PubSub(), queue.Topics{Dispatch: "dispatch"})
	t.Cleanup(q.Stop)
	log := &testcloud.LogBuffer{}
	site := testcloud.Serve(t, mailings.New(mailings.Deps{Store: w.store, Queue: q, Proof: acceptingProver{}, Log: log.Logger()}))
	const body = `{"message":{"notification":{"title":"Dear Anna"}},"audience":{"customers":["anna"]}}`
	m := testcloud.Decode[brief](site.Ask("POST", "/v1/mailings", body, by("crm@shop.example", "k")...), 202)
	site.Ask("POST", "/v1/mailings", body, by("crm@shop.example", "k")...) // a replay changes nothing
	for _, action := range [][2]string{{"pause", "ann"}, {"pause", "bob"}, {"resume", "bob"}, {"unflag", "olga"}, {"cancel", "ann"}, {"cancel", "ann"}} {
		if action[0] == "unflag" { // only a mailing that has started can be unflagged
			if _, err := w.store.StartMailing(t.Context(), m.ID, push.AllDevices, nil, []push.Shard{{Mailing: m.ID}}); err != nil {
				t.Fatal(err)
			}
		}
		if a := site.Ask("POST", "/v1/mailings/"+m.ID+"/"+action[0], "", by(action[1]+"@shop.example", "")[:2]...); a.Code/100 != 2 {
			t.Fatalf("%v: %v", action, a)
		}
	}
	var got []string
	for line := range strings.Lines(log.String()) {
		if _, rest, ok := strings.Cut(line, "msg=audit "); ok {
			rest, _, _ = strings.Cut(rest, " requestId=")
			got = append(got, strings.ReplaceAll(rest, m.ID, "ID"))
		}
	}
	want := []string{
		`caller=crm@shop.example operation=create-mailing mailing=ID after="{State:accepted Audience:customers Listed:1 `,
		`caller=ann@shop.example operation=pause-mailing mailing=ID before={State:accepted} after={State:paused}`,
		`caller=bob@shop.example operation=resume-mailing mailing=ID before={State:paused} after={State:accepted}`,
		`caller=olga@shop.example operation=unflag mailing=ID`,
		`caller=ann@shop.example operation=cancel-mailing mailing=ID before={State:sending} after={State:cancelled}`,
	}
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("line %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
	if strings.Contains(strings.ToLower(log.String()), "anna") {
		t.Errorf("the log names the customer, or what was sent:\n%s", log)
	}
}
