package customers

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon.example/shared/push"
)

const anna = "/v1/customers/anna"

// TestLifeOfACustomer registers, shows, unregisters and erases, and hears of
// each change of availability.
func TestLifeOfACustomer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const body = `{"token":"secret-token-of-anna","platform":"android","app":"shop"}`
	first := w.want(t, http.StatusCreated, "POST", anna+"/tokens", "", body)
	if first["valid"] != true || first["latest"] != true || first["id"] != push.TokenID("secret-token-of-anna") || first["expires"] != "2027-07-30" {
		t.Errorf("registered: %v", first)
	}
	w.later(time.Minute)
	w.want(t, http.StatusOK, "POST", anna+"/tokens", "", body)
	second := w.want(t, http.StatusCreated, "POST", anna+"/tokens", "", `{"fid":"f1","platform":"ios"}`)
	w.later(31 * 24 * time.Hour)
	shown := w.want(t, http.StatusOK, "GET", anna, "", "")
	if shown["pushAvailable"] != true || len(shown["tokens"].([]any)) != 2 {
		t.Fatalf("shown: %v", shown)
	}
	for _, x := range shown["tokens"].([]any) {
		tok := x.(map[string]any)
		if tok["latest"] != (tok["id"] == second["id"]) || tok["stale"] != true || tok["valid"] != true {
			t.Errorf("%v", tok)
		}
	}
	if e := w.pull(t, 1)[0]; e.Type != push.AvailabilityChanged || e.Data.Customer != "anna" || !e.Data.PushAvailable {
		t.Errorf("%+v", e)
	}
	for _, x := range []map[string]any{first, second} {
		w.want(t, http.StatusNoContent, "DELETE", fmt.Sprint(anna, "/tokens/", x["id"]), "", "")
	}
	w.want(t, http.StatusNotFound, "DELETE", fmt.Sprint(anna, "/tokens/", second["id"]), "", "")
	if e := w.pull(t, 1)[0]; e.Data.PushAvailable {
		t.Errorf("%+v", e)
	}
	for range 2 {
		w.want(t, http.StatusNoContent, "DELETE", anna, "", "")
	}
	w.want(t, http.StatusNotFound, "GET", anna, "", "")
	if n := w.owed(t); n != 0 {
		t.Errorf("%d events were published and are still owed", n)
	}
	if strings.Contains(w.log.text(), "secret-token") {
		t.Errorf("a token is in the log: %s", w.log.text())
	}
}

// TestEventsOutliveTheirWriter: a change is stored and Pub/Sub is out of reach;
// the event waits for tick in the outbox.
func TestEventsOutliveTheirWriter(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.down.on = true
	w.want(t, http.StatusCreated, "POST", anna+"/tokens", "", `{"token":"secret-token"}`)
	w.later(time.Minute)
	owed, err := w.OwedEvents(t.Context(), 10)
	if err != nil || len(owed) != 1 || owed[0].Type != push.AvailabilityChanged || owed[0].Subject != "customers/anna" {
		t.Fatalf("owed: %v, %v", owed, err)
	}
	if log := w.log.text(); !strings.Contains(log, "left to the next tick") || strings.Contains(log, "secret-token") {
		t.Errorf("logged: %s", log)
	}
}

// TestATokenMoves: the old customer loses it at once, and both are told of.
func TestATokenMoves(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, id := range []string{"anna", "berta"} {
		w.want(t, http.StatusCreated, "POST", "/v1/customers/"+id+"/tokens", "", `{"token":"shared-phone"}`)
		w.later(time.Second)
	}
	if w.want(t, http.StatusOK, "GET", anna, "", "")["pushAvailable"] != false || w.want(t, http.StatusOK, "GET", "/v1/customers/berta", "", "")["pushAvailable"] != true {
		t.Error("the token has not moved")
	}
	got := map[string]bool{}
	for _, e := range w.pull(t, 3) {
		got[fmt.Sprint(e.Data.Customer, e.Data.PushAvailable)] = true
	}
	for _, want := range []string{"annatrue", "annafalse", "bertatrue"} {
		if !got[want] {
			t.Errorf("told %v, want %s too", got, want)
		}
	}
}

func TestRegistrationNamesEveryFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	long := strings.Repeat("x", 2000)
	for body, want := range map[string][]string{
		`{}`:                                   {"body"},
		`{"token":"t","fid":"f"}`:              {"body"},
		`{"token":"` + long + `"}`:             {"body.token"},
		`{"token":"a\u0007"}`:                  {"body.token"},
		`{"token":"t","platform":"symbian"}`:   {"body.platform"},
		`{"token":"t","colour":"red"}`:         {"body.colour"},
		`{"token":"t","app":"` + long + `"}`:   {"body.app"},
		`{"token":"t","platform":1,"app":"b"}`: {"body.platform"},
	} {
		status, text := w.call(t, "POST", anna+"/tokens", "", body)
		if status != http.StatusUnprocessableEntity || strings.Contains(text, "xxxx") {
			t.Errorf("%.60s was answered %d %.300s", body, status, text)
		}
		for _, at := range want {
			if !strings.Contains(text, `"location":"`+at+`"`) {
				t.Errorf("%.60s: the answer does not name %s: %.300s", body, at, text)
			}
		}
	}
	w.want(t, http.StatusNotFound, "GET", anna, "", "")
}

// TestIDsAreStoredAndFoundExactly: ids travel percent-encoded, and what looks
// like a path or a name of Firestore's own is just an id.
func TestIDsAreStoredAndFoundExactly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i, id := range []string{"a/b", "a%2Fb", "//", "/a/", ".", "..", "../anna", "__x__", "🔔", "e\u0301", "\u00e9", "a b+c", "?q=1#f", `"\`, "=1+1", strings.Repeat("é", 128)} {
		path := "/v1/customers/" + escape(id)
		w.want(t, http.StatusCreated, "POST", path+"/tokens", "", fmt.Sprintf(`{"token":"hostile-%d"}`, i))
		shown := w.want(t, http.StatusOK, "GET", path, "", "")
		if shown["id"] != id || len(shown["tokens"].([]any)) != 1 {
			t.Errorf("%q came back as %v", id, shown)
		}
	}
	// The mux takes this one for the end of the path; an import refuses it.
	w.want(t, http.StatusNotFound, "POST", "/v1/customers/%2F/tokens", "", `{"token":"t"}`)
	for _, id := range []string{strings.Repeat("x", 257), strings.Repeat("x", 1500), "a\x00b", "a\nb", "\x7f", "\xff", "a\u0085"} {
		status, text := w.call(t, "POST", "/v1/customers/"+escape(id)+"/tokens", "", `{"token":"t"}`)
		if status != http.StatusUnprocessableEntity || !strings.Contains(text, "path.customer") {
			t.Errorf("%.20q was answered %d %.200s", id, status, text)
		}
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const merge = "application/merge-patch+json"
	w.want(t, http.StatusOK, "PATCH", anna, merge, `{"segments":["riga","club"],"attributes":{"name":"Anna","points":12,"home":{"city":"Riga","zip":"LV"}},"categories":{"promo":false},"timeZone":"Europe/Riga"}`)
	w.want(t, http.StatusOK, "PATCH", anna, "", `{"optedOut":true,"attributes":{"points":null,"home":{"zip":null}},"categories":{"promo":null,"news":true}}`)
	got := w.want(t, http.StatusOK, "GET", anna, "", "")
	want := `map[attributes:map[home:map[city:Riga] name:Anna] categories:map[news:true] id:anna optedOut:true pushAvailable:false segments:[club riga] timeZone:Europe/Riga tokens:[]]`
	if fmt.Sprint(got) != want {
		t.Errorf("patched to\n%v\nwant\n%s", got, want)
	}
	for body, at := range map[string]string{
		`[]`: "body", `null`: "body", `{"segments":"a"}`: "body.segments", `{"segments":[""]}`: "body.segments[0]",
		`{"timeZone":"Mars/Olympus"}`: "body.timeZone", `{"attributes":{"a":[[1]]}}`: "body.attributes.a", `{"attributes":{"__x__":1}}`: "body.attributes",
		`{"categories":{"promo":"no"}}`: "body.categories", `{"id":"berta"}`: "body", `{"optedOut":"yes"}`: "body.optedOut",
	} {
		if status, text := w.call(t, "PATCH", anna, merge, body); status != http.StatusUnprocessableEntity || !strings.Contains(text, `"location":"`+at) {
			t.Errorf("%s was answered %d %s", body, status, text)
		}
	}
	status, text := w.call(t, "PATCH", anna, merge, `{"timeZone":"x/y","segments":[""],"optedOut":3}`)
	if n := strings.Count(text, `"location"`); status != http.StatusUnprocessableEntity || n != 3 {
		t.Errorf("three faults were answered %d, %d of them named: %s", status, n, text)
	}
	for i := range 3 {
		var keys []string
		for j := range 90 {
			keys = append(keys, fmt.Sprintf(`"c%d-%d":true`, i, j))
		}
		status, text = w.call(t, "PATCH", anna, merge, `{"categories":{`+strings.Join(keys, ",")+`}}`)
		if (i == 0) != (status == http.StatusOK) || i > 0 && !strings.Contains(text, `"location":"body.categories"`) {
			t.Errorf("90 categories for the %d. time were answered %d %.300s", i+1, status, text)
		}
	}
	w.want(t, http.StatusUnsupportedMediaType, "PATCH", anna, "text/plain", `{}`)
	w.want(t, http.StatusBadRequest, "PATCH", anna, merge, `{"optedOut":`)
}
