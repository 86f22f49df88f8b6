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

func (w *world) show(path string) shown {
	w.t.Helper()
	return testcloud.Decode[shown](w.Ask("GET", path, ""), http.StatusOK)
}

// TestLifeOfACustomer registers, shows, unregisters and erases, and hears of
// each change of availability.
func TestLifeOfACustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"token":"secret-token-of-anna","platform":"android","app":"shop"}`
	id, other := push.TokenID("secret-token-of-anna"), push.TokenID("f1")
	first := w.want(http.StatusCreated, "POST", anna+"/tokens", body)
	if first["valid"] != true || first["latest"] != true || first["id"] != id || first["expires"] != "2027-07-30" {
		t.Errorf("registered: %v", first)
	}
	w.clock.Add(time.Minute)
	w.want(http.StatusOK, "POST", anna+"/tokens", body)
	if second := w.want(http.StatusCreated, "POST", anna+"/tokens", `{"fid":"f1","platform":"ios"}`); second["id"] != other {
		t.Errorf("registered: %v", second)
	}
	for _, stale := range []bool{false, true} {
		c := w.show(anna)
		if !c.PushAvailable || len(c.Tokens) != 2 || c.Segments == nil || c.Attributes == nil || c.Categories == nil {
			t.Fatalf("shown: %+v", c)
		}
		for _, x := range c.Tokens {
			if x.Latest != (x.ID == other) || x.Stale != stale || !x.Valid || (x.Expires == "2027-07-30") != (x.ID == id) {
				t.Errorf("%+v, stale %v", x, stale)
			}
		}
		w.clock.Add(31 * 24 * time.Hour)
	}
	if e := w.published(1)[0]; e.Type != push.AvailabilityChanged || e.Data.Customer != "anna" || !e.Data.PushAvailable {
		t.Errorf("%+v", e)
	}
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
		t.Errorf("told %q, want %q", states, want)
	}
	for range 2 {
		w.want(http.StatusNoContent, "DELETE", anna, "")
	}
	w.want(http.StatusNotFound, "GET", anna, "")
	if e := w.published(1)[0]; e.Type != push.CustomerErased || e.Data.Customer != "anna" {
		t.Errorf("told %s of %q, want that anna was erased", e.Type, e.Data.Customer)
	}
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
	w := newWorld(t)
	w.serve(Deps{Store: w.Store, Queue: down()})
	w.want(http.StatusCreated, "POST", anna+"/tokens", `{"token":"secret-token"}`)
	w.clock.Add(time.Minute)
	owed, err := w.ListUnpublishedEvents(t.Context(), 10)
	if err != nil || len(owed) != 1 || owed[0].Type != push.AvailabilityChanged || owed[0].Subject != "customers/anna" {
		t.Fatalf("owed: %v, %v", owed, err)
	}
	if log := w.log.String(); !strings.Contains(log, "left to the next tick") || strings.Contains(log, "secret-token") {
		t.Errorf("logged: %s", log)
	}
}

// down is Pub/Sub out of reach.
func down() *testcloud.EventRecorder[push.Event] {
	b := &testcloud.EventRecorder[push.Event]{}
	b.Fail(errors.New("no Pub/Sub"))
	return b
}

// TestATokenMoves: the old customer loses it at once, and both are told of.
func TestATokenMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"anna", "berta"} {
		w.want(http.StatusCreated, "POST", "/v1/customers/"+id+"/tokens", `{"token":"shared-phone"}`)
		w.clock.Add(time.Second)
	}
	if w.show(anna).PushAvailable || !w.show("/v1/customers/berta").PushAvailable {
		t.Error("the token has not moved")
	}
	var got []string
	for _, e := range w.published(3) {
		got = append(got, fmt.Sprint(e.Data.Customer, e.Data.PushAvailable))
	}
	slices.Sort(got)
	if want := []string{"annafalse", "annatrue", "bertatrue"}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}

func TestRegistrationNamesEveryFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
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
		if a.Code != http.StatusUnprocessableEntity || strings.Contains(a.Body, "xxxx") {
			t.Errorf("%.60s was answered %d %.300s", body, a.Code, a.Body)
		}
		for _, at := range want {
			if !slices.Contains(a.Places(), at) {
				t.Errorf("%.60s: the answer does not name %s: %.300s", body, at, a.Body)
			}
		}
	}
	w.want(http.StatusNotFound, "GET", anna, "")
}

// TestAPhoneIsOneTarget: the kind of a token is judged by its shape, and a
// second name of a phone replaces the first.
func TestAPhoneIsOneTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
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
	if c := w.show(anna); len(c.Tokens) != 1 || c.Tokens[0].ID != push.TokenID("phone") {
		t.Errorf("tokens are %+v, want the installation alone", c.Tokens)
	}
	w.clock.Add(time.Minute)
	w.want(http.StatusCreated, "POST", anna+"/tokens", `{"token":"reinstalled:APA91b","app":"shop","device":"d-1"}`)
	if c := w.show(anna); len(c.Tokens) != 1 || c.Tokens[0].ID != push.TokenID("reinstalled:APA91b") {
		t.Errorf("tokens are %+v, want the one of the new installation alone", c.Tokens)
	}
	var got []string
	for _, e := range w.published(3) {
		got = append(got, e.Type)
	}
	slices.Sort(got)
	if want := []string{push.AvailabilityChanged, push.TokenSuperseded, push.TokenSuperseded}; !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}
