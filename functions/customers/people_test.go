package customers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestIDsAreStoredAndFoundExactly: ids travel percent-encoded, and what looks
// like a path or a name of Firestore's own is just an id.
func TestIDsAreStoredAndFoundExactly(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	ids := []string{"a/b", "a%2Fb", "%2F", "//", "/a/", "...", "../anna", "__x__", "🔔", "ä😀", "e\u0301", "\u00e9", "a b", "a b+c", "?q=1#f",
		`"\`, `"'<>\`, "=1+1", "-1", ";", "tokens", strings.Repeat("é", 128), strings.Repeat("x", push.MaxCustomerID)}
	for i, id := range ids {
		path := "/v1/customers/" + escape(id)
		w.want(http.StatusCreated, "POST", path+"/tokens", fmt.Sprintf(`{"token":"hostile-%d"}`, i))
		got := w.want(http.StatusOK, "GET", path, "")
		check.Equal(t, got["id"], any(id), "%q: id", id)
		check.Equal(t, len(got["tokens"].([]any)), 1, "%q: number of tokens", id)
		c, err := w.ReadCustomer(t.Context(), id)
		if err != nil {
			t.Fatalf("%q in the store: %v", id, err)
		}
		check.Equal(t, c.ID, id, "%q in the store: ID", id)
	}
	if n := w.Count("customers"); n != len(ids) {
		t.Errorf("%d ids are %d customers", len(ids), n)
	}
	for i, id := range ids {
		w.want(http.StatusNoContent, "DELETE", "/v1/customers/"+escape(id), "")
		if n := w.Count("customers"); n != len(ids)-i-1 {
			t.Fatalf("%d customers are left behind %q", n, id)
		}
	}
	// The mux takes this one for the end of the path.
	w.want(http.StatusNotFound, "POST", "/v1/customers/%2F/tokens", `{"token":"t"}`)
	for _, id := range []string{".", "..", strings.Repeat("x", push.MaxCustomerID+1), strings.Repeat("x", 1500), "a\x00b", "a\nb", "\x7f", "\xff", "a\u0085"} {
		path := "/v1/customers/" + escape(id)
		for _, ask := range [][3]string{{"POST", path + "/tokens", `{"token":"t"}`}, {"GET", path, ""}} {
			a := w.Ask(ask[0], ask[1], ask[2])
			testcloud.CheckCode(t, a, http.StatusUnprocessableEntity)
			if !slices.Contains(a.Places(), "path.customer") {
				t.Errorf("%s: faults are %v, want %v among them", a.Request, a.Places(), "path.customer")
			}
		}
	}
}

func TestPatch(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.want(http.StatusOK, "PATCH", anna, `{"segments":["riga","club","riga"],"attributes":{"name":"Anna","points":12,"pi":3.5,"home":{"city":"Riga","zip":"LV"}},`+
		`"categories":{"promo":false},"timeZone":"Europe/Riga"}`, "Content-Type", merge)
	for _, c := range []struct{ body, want string }{
		{`{"optedOut":true,"attributes":{"points":null,"home":{"zip":null}},"categories":{"promo":null,"news":true}}`,
			`map[attributes:map[home:map[city:Riga] name:Anna pi:3.5] availability:map[evidence:no_token since:2026-11-01T12:00:00Z state:unreachable] categories:map[news:true] id:anna optedOut:true pushAvailable:false segments:[club riga] timeZone:Europe/Riga tokens:[]]`},
		{`{}`,
			`map[attributes:map[home:map[city:Riga] name:Anna pi:3.5] availability:map[evidence:no_token since:2026-11-01T12:00:00Z state:unreachable] categories:map[news:true] id:anna optedOut:true pushAvailable:false segments:[club riga] timeZone:Europe/Riga tokens:[]]`},
		{`{"segments":null,"attributes":null,"optedOut":null,"categories":null,"timeZone":null}`,
			`map[attributes:map[] availability:map[evidence:no_token since:2026-11-01T12:00:00Z state:unreachable] categories:map[] id:anna optedOut:false pushAvailable:false segments:[] timeZone: tokens:[]]`},
	} {
		t.Run(c.body, func(t *testing.T) {
			w.want(http.StatusOK, "PATCH", anna, c.body)
			shown := w.want(http.StatusOK, "GET", anna, "")
			delete(shown, "consents")
			if got := fmt.Sprint(shown); got != c.want {
				t.Errorf("patched to\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	w.want(http.StatusUnsupportedMediaType, "PATCH", anna, `{}`, "Content-Type", "text/plain")
	w.want(http.StatusBadRequest, "PATCH", anna, `{"optedOut":`, "Content-Type", merge)
	w.want(http.StatusBadRequest, "PATCH", anna, `{"optedOut":true,"optedOut":false}`, "Content-Type", merge)
}

func TestPatchNamesEveryFault(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for body, at := range map[string]string{
		`[]`: "body", `null`: "body", `{"segments":"a"}`: "body.segments", `{"segments":[""]}`: "body.segments[0]",
		`{"timeZone":"Mars/Olympus"}`: "body.timeZone", `{"attributes":{"a":[[1]]}}`: "body.attributes.a", `{"attributes":{"__x__":1}}`: "body.attributes",
		`{"categories":{"promo":"no"}}`: "body.categories", `{"id":"berta"}`: "body", `{"optedOut":"yes"}`: "body.optedOut",
	} {
		t.Run(body, func(t *testing.T) {
			a := w.Ask("PATCH", anna, body, "Content-Type", merge)
			testcloud.CheckCode(t, a, http.StatusUnprocessableEntity)
			if len(a.Errors) != 1 {
				t.Fatalf("%s: number of faults is %v, want 1: %+v", body, len(a.Errors), a.Errors)
			}
			if !strings.HasPrefix(a.Places()[0], at) {
				t.Errorf("%s: place of the fault is %q, want it to begin with %q", body, a.Places()[0], at)
			}
		})
	}
	a := w.Ask("PATCH", anna, `{"segments":["","a\u0000"],"attributes":{"__x__":1,"a":[[1]],"":2},"optedOut":"yes",
		"categories":{"promo":1},"timeZone":"Europe/Nowhere","tokens":[]}`)
	for _, want := range []string{"body.segments[0]", "body.segments[1]", "body.attributes", "body.attributes.a[0]", "body.optedOut", "body.categories", "body.timeZone", "body"} {
		t.Run(want, func(t *testing.T) {
			testcloud.CheckCode(t, a, http.StatusUnprocessableEntity)
			if !slices.Contains(a.Places(), want) {
				t.Errorf("faults are %v, want %v among them", a.Places(), want)
			}
		})
	}
	a = w.Ask("PATCH", anna, `{"timeZone":"x/y","segments":[""],"optedOut":3}`, "Content-Type", merge)
	testcloud.CheckCode(t, a, http.StatusUnprocessableEntity)
	check.Equal(t, len(a.Errors), 3, "%s: number of faults", a.Request)
	w.want(http.StatusNotFound, "GET", anna, "")
}

// TestPatchesAddUpToTheLimits: what a customer has already counts, too.
func TestPatchesAddUpToTheLimits(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for i := range 3 {
		var keys []string
		for j := range 90 {
			keys = append(keys, fmt.Sprintf(`"c%d-%d":true`, i, j))
		}
		a := w.Ask("PATCH", anna, `{"categories":{`+strings.Join(keys, ",")+`}}`, "Content-Type", merge)
		check.Equal(t, a.Code == http.StatusOK, i == 0, "90 categories for the %d. time: success", i+1)
		if i > 0 && !slices.Contains(a.Places(), "body.categories") {
			t.Errorf("90 categories for the %d. time were answered %d %.300s", i+1, a.Code, a.Body)
		}
	}
	big := fmt.Sprintf(`{"attributes":{"a":%q}}`, strings.Repeat("x", 20<<10))
	w.want(http.StatusOK, "PATCH", anna, big)
	w.want(http.StatusUnprocessableEntity, "PATCH", anna, strings.Replace(big, `"a"`, `"b"`, 1))
	got := w.want(http.StatusOK, "GET", anna, "")
	check.Equal(t, len(got["attributes"].(map[string]any)), 1, "a patch too much was kept: number of attributes")
	check.Equal(t, len(got["categories"].(map[string]any)), 90, "a patch too much was kept: number of categories")
}
