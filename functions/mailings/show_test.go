package mailings_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/lab"
	"carillon.example/shared/push"
)

// shown is what GET /v1/mailings/{id} answers.
type shown struct {
	brief
	PausedBecause string     `json:"pausedBecause"`
	StartedAt     *time.Time `json:"startedAt"`
	CompletedAt   *time.Time `json:"completedAt"`
	push.Draft
	push.Totals
}

func (w *world) show(id string) shown {
	w.t.Helper()
	return lab.Decode[shown](w.Ask("GET", "/v1/mailings/"+id, ""), http.StatusOK)
}

func TestShow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Topic("dispatch")
	m := w.hand(`{"message":{"data":{"a":"b"}},"audience":{"customers":["b","a"]},"devices":"latest","category":"promo","sendAt":"2026-11-01T13:00:00Z","lifetime":"36h","ratePerMinute":600,"link":"https://shop.example/"}`)
	got := w.show(m.ID)
	if got.State != push.Scheduled || got.StartedAt != nil || got.CompletedAt != nil {
		t.Errorf("%+v", got)
	}
	if string(got.Message) != `{"data":{"a":"b"}}` || !slices.Equal(got.Audience.Customers, []string{"b", "a"}) || got.Devices != push.Latest ||
		got.Category != "promo" || time.Duration(*got.Lifetime) != 36*time.Hour || *got.RatePerMinute != 600 || got.Link != "https://shop.example/" {
		t.Errorf("the rest of the mailing came as %+v", got.Draft)
	}
	if text := w.Ask("GET", "/v1/mailings/"+m.ID, "").Body; strings.Contains(text, "$schema") || !strings.Contains(text, `"completedAt":null`) || !strings.Contains(text, `"lifetime":"36h"`) {
		t.Errorf("it reads %s", text)
	}
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
	w := newWorld(t)
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
		p := lab.Decode[page](w.Ask("GET", path, ""), 200)
		for _, m := range p.Mailings {
			got, times = append(got, m.ID), append(times, m.CreatedAt)
		}
		next = p.NextPageToken
		path = "/v1/mailings?pageSize=3&pageToken=" + next
	}
	if pages != 3 || !slices.IsSortedFunc(times, func(a, b time.Time) int { return b.Compare(a) }) || !times[0].After(times[6]) {
		t.Errorf("%d pages, made at %v", pages, times)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %v, want %v", got, want)
	}
	for state, n := range map[string]int{"cancelled": 2, "accepted": 5, "sending": 0} {
		if p := lab.Decode[page](w.Ask("GET", "/v1/mailings?state="+state, ""), 200); len(p.Mailings) != n {
			t.Errorf("%d mailings are %s, want %d", len(p.Mailings), state, n)
		}
	}
	if text := w.Ask("GET", "/v1/mailings?state=expired", "").Body; strings.TrimSpace(text) != `{"mailings":[]}` {
		t.Errorf("an empty list reads %s", text)
	}
	for _, q := range []string{"pageSize=0", "pageSize=501", "pageSize=x", "pageToken=x", "pageToken=%21%21", "pageToken=MTIz", "pageToken=" + strings.Repeat("x", 501), "state=odd", "page=2"} {
		name, _, _ := strings.Cut(q, "=")
		got := w.Ask("GET", "/v1/mailings?"+q, "")
		if got.Code != 422 || !slices.Equal(got.Places(), []string{"query." + name}) {
			t.Errorf("%s: %d %s", q, got.Code, got.Body)
		}
	}
}
