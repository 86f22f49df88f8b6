package mailings_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// shown is what GET /v1/mailings/{id} answers.
type shown struct {
	brief
	PausedReason  push.PauseReason   `json:"pausedReason"`
	PausedDetail  string             `json:"pausedDetail"`
	PausedBecause string             `json:"pausedBecause"`
	StartedAt     *time.Time         `json:"startedAt"`
	CompletedAt   *time.Time         `json:"completedAt"`
	AudienceList  *push.AudienceList `json:"audienceList"`
	Unflag        *push.Unflag       `json:"unflag"`
	push.Draft
	Customers        push.CustomerTotals           `json:"customers"`
	Tokens           push.TokenTotals              `json:"tokens"`
	Held             map[string]int64              `json:"held"`
	MissingAttribute *int64                        `json:"missingAttribute"`
	Platforms        map[string]push.TokenTotals   `json:"platforms"`
	Variants         map[string]push.VariantTotals `json:"variants"`
}

func (w *harness) show(id string) shown {
	w.t.Helper()
	return testcloud.Decode[shown](w.Ask("GET", "/v1/mailings/"+id, ""), http.StatusOK)
}

func TestShow(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	m := w.hand(`{"message":{"data":{"a":"b"}},"audience":{"customers":["b","a"]},"devices":"latest","category":"promo","sendAt":"2026-11-01T13:00:00Z","lifetime":"36h","ratePerMinute":600,"link":"https://shop.example/"}`)
	got := w.show(m.ID)
	check.Equal(t, got.State, push.Scheduled, "state")
	if got.StartedAt != nil {
		t.Errorf("StartedAt is %v, want none", got.StartedAt)
	}
	if got.CompletedAt != nil {
		t.Errorf("CompletedAt is %v, want none", got.CompletedAt)
	}
	check.Equal(t, string(got.Message), `{"data":{"a":"b"}}`, "Message")
	check.Equal(t, got.Audience.Customers, []string{"b", "a"}, "Audience.Customers")
	check.Equal(t, got.Devices, push.LatestDevice, "Devices")
	check.Equal(t, got.Category, "promo", "Category")
	check.Equal(t, time.Duration(*got.Lifetime), 36*time.Hour, "Lifetime")
	check.Equal(t, *got.RatePerMinute, 600, "RatePerMinute")
	check.Equal(t, got.Link, "https://shop.example/", "Link")
	text := w.Ask("GET", "/v1/mailings/"+m.ID, "").Body
	check.NotContains(t, text, "$schema", "body")
	check.Contains(t, text, `"completedAt":null`, "body")
	check.Contains(t, text, `"lifetime":"36h"`, "body")
	for _, id := range []string{"mnone", "m%2Fn", "..%2Fx", "a%00b", "%C3%BC", strings.Repeat("x", 100)} {
		if got := w.Ask("GET", "/v1/mailings/"+id, ""); got.Code != 404 {
			t.Errorf("%s: %d %s", id, got.Code, got.Body)
		}
	}
	if got := w.Ask("GET", "/v1/mailings/"+strings.Repeat("x", 101), ""); got.Code != 422 {
		t.Errorf("a long id: %d %s", got.Code, got.Body)
	}
}

func TestListNewestFirst(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	var want []string
	for i := range 7 {
		if i%3 != 2 { // some at the same instant
			w.clock.Add(time.Second)
		}
		want = append(want, w.hand(plain).ID)
	}
	for _, id := range want[:2] {
		w.Ask("POST", "/v1/mailings/"+id+"/cancel", "")
	}
	var got []string
	var times []time.Time
	path, pages := "/v1/mailings?pageSize=3", 0
	for next := "-"; next != ""; pages++ {
		p := testcloud.Decode[page](w.Ask("GET", path, ""), 200)
		for _, m := range p.Mailings {
			got, times = append(got, m.ID), append(times, m.CreatedAt)
		}
		next = p.NextPageToken
		path = "/v1/mailings?pageSize=3&pageToken=" + next
	}
	check.Equal(t, pages, 3, "number of pages")
	check.Equal(t, slices.IsSortedFunc(times, func(a, b time.Time) int { return b.Compare(a) }), true, "that the newest mailing comes first: %v", times)
	if !times[0].After(times[6]) {
		t.Errorf("the first mailing was created at %v, want it after %v", times[0], times[6])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	for state, n := range map[string]int{"cancelled": 2, "accepted": 5, "sending": 0} {
		if p := testcloud.Decode[page](w.Ask("GET", "/v1/mailings?state="+state, ""), 200); len(p.Mailings) != n {
			t.Errorf("%d mailings are %s, want %d", len(p.Mailings), state, n)
		}
	}
	if text := w.Ask("GET", "/v1/mailings?state=expired", "").Body; strings.TrimSpace(text) != `{"mailings":[]}` {
		t.Errorf("an empty list reads %s", text)
	}
	for _, q := range []string{"pageSize=0", "pageSize=501", "pageSize=x", "pageToken=x", "pageToken=%21%21", "pageToken=MTIz", "pageToken=" + strings.Repeat("x", 501), "state=odd", "page=2"} {
		name, _, _ := strings.Cut(q, "=")
		got := w.Ask("GET", "/v1/mailings?"+q, "")
		testcloud.CheckCode(t, got, 422)
		check.Equal(t, got.Places(), []string{"query." + name}, "%s: faults", q)
	}
}

// TestALongListIsLeftOut: a mailing is asked for again and again while it runs,
// and 10,000 tokens are megabytes. Whoever wants them asks.
func TestALongListIsLeftOut(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	ids := make([]string, 101)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i)
	}
	list, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	small := w.hand(draft(`"audience":{"tokens":["t1","t2"]}`))
	long := w.hand(draft(`"audience":{"customers":` + string(list) + `}`))

	got := w.show(small.ID)
	if !slices.Equal(got.Audience.Tokens, []string{"t1", "t2"}) {
		t.Errorf("a short list came as %v", got.Audience.Tokens)
	}
	if want := (&push.AudienceList{Of: "tokens", Entries: 2, State: push.ListShown}); *got.AudienceList != *want {
		t.Errorf("a short list is described as %+v, want %+v", got.AudienceList, want)
	}

	got = w.show(long.ID)
	if got.Audience.Customers != nil {
		t.Errorf("a long list came with %d customers", len(got.Audience.Customers))
	}
	if want := (&push.AudienceList{Of: "customers", Entries: 101, State: push.ListLeftOut}); *got.AudienceList != *want {
		t.Errorf("a long list is described as %+v, want %+v", got.AudienceList, want)
	}

	got = testcloud.Decode[shown](w.Ask("GET", "/v1/mailings/"+long.ID+"?audience=whole", ""), http.StatusOK)
	if !slices.Equal(got.Audience.Customers, ids) {
		t.Errorf("asked for, the list came with %d customers, want %d", len(got.Audience.Customers), len(ids))
	}
	if want := (&push.AudienceList{Of: "customers", Entries: 101, State: push.ListShown}); *got.AudienceList != *want {
		t.Errorf("asked for, it is described as %+v, want %+v", got.AudienceList, want)
	}

	if all := w.show(w.hand(plain).ID); all.AudienceList != nil {
		t.Errorf("everyone is described as %+v", all.AudienceList)
	}
}

// TestListShowsWhatAMailingIs, and what became of it, without asking for each.
func TestListShowsWhatAMailingIs(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	body := `{"name":"Spring sale, Riga","tags":["spring","riga"],"message":{"notification":{"title":"Spring sale"}},"audience":{"everyone":true},` +
		`"sendAt":"2026-11-01T13:00:00Z","dryRun":true}`
	later := w.hand(body)
	got := w.show(later.ID)
	check.Equal(t, got.Name, "Spring sale, Riga", "Name")
	check.Equal(t, got.Tags, []string{"spring", "riga"}, "Tags")
	w.clock.Add(time.Second)
	done := w.hand(plain)
	w.sendMailing(done.ID, push.ResultAccepted, push.ResultUnregistered)

	type item struct {
		ID, Name, Title string
		Tags            []string
		State           push.State
		DryRun          bool
		SendAt          *time.Time
		Customers       *push.CustomerTotals
		Tokens          *push.TokenTotals
	}
	type items struct{ Mailings []item }
	ask := func(query string) []item {
		t.Helper()
		return testcloud.Decode[items](w.Ask("GET", "/v1/mailings"+query, ""), http.StatusOK).Mailings
	}
	at := time.Date(2026, 11, 1, 13, 0, 0, 0, time.UTC)
	want := []item{
		{ID: done.ID, Title: "a", State: push.Completed, Customers: &push.CustomerTotals{Matched: 2, Targeted: 2},
			Tokens: &push.TokenTotals{Targeted: 2, Accepted: 1, Invalid: map[string]int64{"UNREGISTERED": 1, "INVALID_ARGUMENT": 0, "SENDER_ID_MISMATCH": 0}}},
		{ID: later.ID, Name: "Spring sale, Riga", Tags: []string{"spring", "riga"}, Title: "Spring sale", State: push.Scheduled, DryRun: true, SendAt: &at},
	}
	if diff := cmp.Diff(want, ask("")); diff != "" {
		t.Errorf("the list (-want +got):\n%s", diff)
	}
	for query, n := range map[string]int{"?tag=spring": 1, "?tag=riga&state=scheduled": 1, "?tag=riga&state=completed": 0, "?tag=none": 0} {
		if got := ask(query); len(got) != n {
			t.Errorf("%s lists %d mailings, want %d", query, len(got), n)
		}
	}
}

// GET shows the sums of each platform, and the warning about missing attributes, while a
// mailing runs and once it has ended.
func TestShowHasSumsByPlatform(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.Topic("dispatch")
	m := w.hand(plain)
	none := push.NewTokenTotals(0, push.Tally{})
	want := map[string]push.TokenTotals{"android": none, "ios": none, "web": none, "unknown": none}
	if diff := cmp.Diff(want, w.show(m.ID).Platforms); diff != "" {
		t.Errorf("before it starts (-want +got):\n%s", diff)
	}

	w.sendMailing(m.ID, push.ResultAccepted, push.ResultUnregistered)

	got := w.show(m.ID)
	want["android"] = push.NewTokenTotals(2, push.TallyOf([]push.Result{push.ResultAccepted, push.ResultUnregistered}))
	if diff := cmp.Diff(want, got.Platforms); diff != "" {
		t.Errorf("once it has ended (-want +got):\n%s", diff)
	}
	if got.MissingAttribute == nil {
		t.Fatal("MissingAttribute is nil, want it set")
	}
	check.Equal(t, *got.MissingAttribute, 0, "MissingAttribute")
}
