package customers

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// shown is a customer as GET answers it.
type shown struct {
	PushAvailable bool
	Tokens        []struct {
		ID                   string
		Valid, Latest, Stale bool
		Expires              string
	}
	Segments               []string
	Attributes, Categories map[string]any
}

func (w *harness) show(path string) shown {
	w.t.Helper()
	return testcloud.Decode[shown](w.Ask("GET", path, ""), http.StatusOK)
}

// TestLifeOfACustomer registers, shows, unregisters and erases, and hears of
// each change of availability.
func TestLifeOfACustomer(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	const body = `{"token":"secret-token-of-anna","platform":"android","app":"shop"}`
	id, other := push.TokenID("secret-token-of-anna"), push.TokenID("f1")
	first := w.want(http.StatusCreated, "POST", anna+"/tokens", body)
	check.Equal(t, first["valid"], true, "registered: valid")
	check.Equal(t, first["latest"], true, "registered: latest")
	check.Equal(t, first["id"], any(id), "registered: id")
	check.Equal(t, first["expires"], "2027-07-30", "registered: expires")
	w.clock.Add(time.Minute)
	w.want(http.StatusOK, "POST", anna+"/tokens", body)
	if second := w.want(http.StatusCreated, "POST", anna+"/tokens", `{"fid":"f1","platform":"ios"}`); second["id"] != other {
		t.Errorf("registered: %v", second)
	}
	for _, stale := range []bool{false, true} {
		c := w.show(anna)
		if !c.PushAvailable {
			t.Fatal("shown: PushAvailable is false, want true")
		}
		if len(c.Tokens) != 2 {
			t.Fatalf("shown: number of Tokens is %v, want 2: %+v", len(c.Tokens), c.Tokens)
		}
		if c.Segments == nil {
			t.Fatal("shown: Segments is nil, want it set")
		}
		if c.Attributes == nil {
			t.Fatal("shown: Attributes is nil, want it set")
		}
		if c.Categories == nil {
			t.Fatal("shown: Categories is nil, want it set")
		}
		for _, x := range c.Tokens {
			check.Equal(t, x.Latest, x.ID == other, "stale %v, token %s: Latest", stale, x.ID)
			check.Equal(t, x.Stale, stale, "stale %v, token %s: Stale", stale, x.ID)
			check.Equal(t, x.Valid, true, "stale %v, token %s: Valid", stale, x.ID)
			check.Equal(t, x.Expires == "2027-07-30", x.ID == id, "stale %v, token %s: that it expires on 2027-07-30", stale, x.ID)
		}
		w.clock.Add(31 * 24 * time.Hour)
	}
	e := w.published(1)[0]
	check.Equal(t, e.Type, push.AvailabilityChanged, "type of the event")
	check.Equal(t, e.Data.Customer, "anna", "customer of the event")
	check.Equal(t, e.Data.PushAvailable, true, "pushAvailable of the event")
	w.want(http.StatusUnprocessableEntity, "DELETE", anna+"/tokens/secret-token-of-anna", "")
	for _, id := range []string{id, other} {
		w.want(http.StatusNoContent, "DELETE", anna+"/tokens/"+id, "")
		w.want(http.StatusNotFound, "DELETE", anna+"/tokens/"+id, "")
	}
	var states []string
	for _, e := range w.published(2) {
		states = append(states, e.Type+" "+string(e.Data.Availability.State))
	}
	slices.Sort(states)
	if want := []string{"customer.availability.changed silent", "customer.availability.changed unreachable"}; !slices.Equal(states, want) {
		t.Errorf("events of %q, want %q", states, want)
	}
	for range 2 {
		w.want(http.StatusNoContent, "DELETE", anna, "")
	}
	w.want(http.StatusNotFound, "GET", anna, "")
	e = w.published(1)[0]
	check.Equal(t, e.Type, push.CustomerErased, "type of the event")
	check.Equal(t, e.Data.Customer, "anna", "customer of the event")
	if n := w.Count("outbox"); n != 0 {
		t.Errorf("%d events were published and are still owed", n)
	}
	if strings.Contains(w.log.String(), "secret-token") {
		t.Errorf("a token is in the log: %s", w.log)
	}
}

// TestEventsOutliveTheirWriter: a change is stored and Pub/Sub is out of reach;
// the event waits for tick in the outbox.
func TestEventsOutliveTheirWriter(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.serve(Deps{Store: w.Store, Queue: down()})
	w.want(http.StatusCreated, "POST", anna+"/tokens", `{"token":"secret-token"}`)
	w.clock.Add(time.Minute)
	owed, err := w.ListUnpublishedEvents(t.Context(), 10)
	if err != nil {
		t.Fatalf("reading the outbox: %v", err)
	}
	if len(owed) != 1 {
		t.Fatalf("number of events in the outbox is %v, want 1: %+v", len(owed), owed)
	}
	if owed[0].Type != push.AvailabilityChanged {
		t.Fatalf("event in the outbox: Type is %v, want %v", owed[0].Type, push.AvailabilityChanged)
	}
	if owed[0].Subject != "customers/anna" {
		t.Fatalf("event in the outbox: Subject is %v, want customers/anna", owed[0].Subject)
	}
	log := w.log.String()
	check.Contains(t, log, "left to the next tick", "log")
	check.NotContains(t, log, "secret-token", "log")
}

// down is Pub/Sub out of reach.
func down() *testcloud.EventRecorder[push.Event] {
	b := &testcloud.EventRecorder[push.Event]{}
	b.Fail(errors.New("no Pub/Sub"))
	return b
}

// TestATokenMoves: the old customer loses it at once, and events are published for both.
func TestATokenMoves(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for _, id := range []string{"anna", "berta"} {
		w.want(http.StatusCreated, "POST", "/v1/customers/"+id+"/tokens", `{"token":"shared-phone"}`)
		w.clock.Add(time.Second)
	}
	check.Equal(t, w.show(anna).PushAvailable, false, "that push can reach anna, whose token has moved")
	check.Equal(t, w.show("/v1/customers/berta").PushAvailable, true, "that push can reach berta, who has the token now")
	var got []string
	for _, e := range w.published(3) {
		got = append(got, fmt.Sprint(e.Data.Customer, e.Data.PushAvailable))
	}
	slices.Sort(got)
	if want := []string{"annafalse", "annatrue", "bertatrue"}; !slices.Equal(got, want) {
		t.Errorf("published %v, want %v", got, want)
	}
}

func TestRegistrationNamesEveryFault(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	long := strings.Repeat("x", 2000)
	for body, want := range map[string][]string{
		`{}`:                                   {"body"},
		`{"token":"t","fid":"f"}`:              {"body"},
		`{"platform":"IOS","app":"\u0001"}`:    {"body", "body.platform", "body.app"},
		`{"token":"` + long + `"}`:             {"body.token"},
		`{"token":"a\u0007"}`:                  {"body.token"},
		`{"token":"t","platform":"symbian"}`:   {"body.platform"},
		`{"token":"a\u0007","platform":"x"}`:   {"body.platform"},
		`{"token":"t","colour":"red"}`:         {"body.colour"},
		`{"token":"t","app":"` + long + `"}`:   {"body.app"},
		`{"token":"t","platform":1,"app":"b"}`: {"body.platform"},
		`{"token":"` + strings.Repeat("x", push.MaxToken+1) + `","app":"` + strings.Repeat("ä", 101) + `"}`: {"body.token", "body.app"},
		`{"token":"t","addedAt":"2026-01-01T00:00:00Z"}`:                                                    {"body.addedAt"},
	} {
		a := w.Ask("POST", anna+"/tokens", body)
		testcloud.CheckCode(t, a, http.StatusUnprocessableEntity)
		check.NotContains(t, a.Body, "xxxx", "%s: body", a.Request)
		for _, at := range want {
			if !slices.Contains(a.Places(), at) {
				t.Errorf("%.60s: the answer does not name %s: %.300s", body, at, a.Body)
			}
		}
	}
	w.want(http.StatusNotFound, "GET", anna, "")
}

// TestAPhoneIsOneTarget: the kind of a token is recognised by its form, and a
// second name of a phone replaces the first.
func TestAPhoneIsOneTarget(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	first := w.want(http.StatusCreated, "POST", anna+"/tokens", `{"fid":"phone:APA91b","platform":"ios","app":"shop","device":"d-1"}`)
	if first["kind"] != "token" {
		t.Errorf("a registration token in the field of FIDs is a %v, want a token", first["kind"])
	}
	if first["device"] != "d-1" {
		t.Errorf("device is %v, want d-1", first["device"])
	}
	w.clock.Add(time.Minute)
	second := w.want(http.StatusCreated, "POST", anna+"/tokens", `{"fid":"phone"}`)
	if second["kind"] != "fid" {
		t.Errorf("an installation is a %v, want a fid", second["kind"])
	}
	if second["app"] != "shop" {
		t.Errorf("the app of the phone is %v, want shop", second["app"])
	}
	c := w.show(anna)
	if len(c.Tokens) != 1 {
		t.Fatalf("number of Tokens is %v, want 1: %+v", len(c.Tokens), c.Tokens)
	}
	check.Equal(t, c.Tokens[0].ID, push.TokenID("phone"), "ID of the token")
	w.clock.Add(time.Minute)
	w.want(http.StatusCreated, "POST", anna+"/tokens", `{"token":"reinstalled:APA91b","app":"shop","device":"d-1"}`)
	c = w.show(anna)
	if len(c.Tokens) != 1 {
		t.Fatalf("number of Tokens is %v, want 1: %+v", len(c.Tokens), c.Tokens)
	}
	check.Equal(t, c.Tokens[0].ID, push.TokenID("reinstalled:APA91b"), "ID of the token")
	var got []string
	for _, e := range w.published(3) {
		got = append(got, e.Type)
	}
	slices.Sort(got)
	if want := []string{push.AvailabilityChanged, push.TokenSuperseded, push.TokenSuperseded}; !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}
