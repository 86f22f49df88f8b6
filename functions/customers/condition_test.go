package customers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestTwoSystemsDoNotOverwriteEachOther: of two that read, change and write the
// same customer, the second gets 412; what both want of segments is kept where
// they add and remove.
func TestTwoSystemsDoNotOverwriteEachOther(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	w.want(http.StatusOK, "PATCH", anna, `{"segments":["base"]}`)
	read := w.Ask("GET", anna, "").Header.Get("ETag")

	first := w.Ask("PATCH", anna, `{"segments":["base","crm"]}`, "If-Match", read)
	if first.Code != http.StatusOK {
		t.Fatalf("the first was answered %d %s", first.Code, first.Body)
	}
	got, want := first.Header.Get("ETag"), w.Ask("GET", anna, "").Header.Get("ETag")
	check.Equal(t, got, want, "the ETag after the change")
	if got == read {
		t.Errorf("the ETag after the change is %v, want another", got)
	}
	w.want(http.StatusPreconditionFailed, "PATCH", anna, `{"segments":["app","base"]}`, "If-Match", read)
	w.want(http.StatusOK, "PATCH", anna, `{"segments":["app","base"]}`, "If-Match", read+", "+first.Header.Get("ETag"))

	var both sync.WaitGroup
	for i := range 8 {
		both.Go(func() {
			a := w.Ask("PATCH", anna, fmt.Sprintf(`{"segments":{"add":["s%d"],"remove":["base"]}}`, i))
			for range 20 {
				if a.Code != http.StatusServiceUnavailable { // the others were in the way
					break
				}
				a = w.Ask("PATCH", anna, fmt.Sprintf(`{"segments":{"add":["s%d"]}}`, i))
			}
			if a.Code != http.StatusOK {
				t.Errorf("adding a segment was answered %d %s", a.Code, a.Body)
			}
		})
	}
	both.Wait()
	if got, want := fmt.Sprint(w.want(http.StatusOK, "GET", anna, "")["segments"]), "[app s0 s1 s2 s3 s4 s5 s6 s7]"; got != want {
		t.Errorf("segments are %s, want %s", got, want)
	}
}

func TestConditionsOfCustomers(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for _, c := range []struct {
		what, match string
		code        int
	}{
		{"somebody who is not known", "*", http.StatusPreconditionFailed},
		{"somebody who is not known, by a tag", `"abc"`, http.StatusPreconditionFailed},
		{"nothing is asked for", "", http.StatusOK},
		{"somebody who is known", "*", http.StatusOK},
		{"another's tag", `"anything"`, http.StatusPreconditionFailed},
		{"a weak tag", "W/" + "%s", http.StatusPreconditionFailed},
		{"the tag", "%s", http.StatusOK},
		{"one of several", `"anything" , %s`, http.StatusOK},
		{"no tag at all", `anything`, http.StatusUnprocessableEntity},
	} {
		t.Run(c.what, func(t *testing.T) {
			var header []string
			if c.match != "" {
				header = []string{"If-Match", strings.ReplaceAll(c.match, "%s", w.Ask("GET", anna, "").Header.Get("ETag"))}
			}
			if a := w.Ask("PATCH", anna, `{"optedOut":true}`, header...); a.Code != c.code {
				t.Errorf("%s: %d %s, want %d", c.what, a.Code, a.Body, c.code)
			}
		})
	}
	before := w.Ask("GET", anna, "").Header.Get("ETag")
	w.want(http.StatusCreated, "POST", anna+"/tokens", `{"token":"t"}`)
	if after := w.Ask("GET", anna, "").Header.Get("ETag"); after == before {
		t.Error("a token that was registered has not changed the ETag")
	}
}

func TestConditionsOfSettings(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	const path, latest, all = "/v1/settings", `{"devices":"latest"}`, `{"devices":"all"}`
	read := w.Ask("GET", path, "").Header.Get("ETag")
	w.want(http.StatusOK, "PUT", path, latest, "If-Match", read)
	w.want(http.StatusPreconditionFailed, "PUT", path, all, "If-Match", read)
	w.want(http.StatusUnprocessableEntity, "PUT", path, all, "If-Match", "x")
	if got := w.want(http.StatusOK, "GET", path, "")["devices"]; got != "latest" {
		t.Errorf("devices is %v, want latest", got)
	}
	a := w.Ask("PUT", path, all, "If-Match", "*")
	if got, want := a.Header.Get("ETag"), w.Ask("GET", path, "").Header.Get("ETag"); got != want {
		t.Errorf("the ETag after the change is %s, of GET %s", got, want)
	}
}

func TestSegmentsAreAddedAndRemoved(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	for _, c := range []struct{ body, want string }{
		{`{"segments":{"add":["b","a","b"]}}`, "[a b]"},
		{`{"segments":{"add":["c"],"remove":["a","never"]}}`, "[b c]"},
		{`{"segments":{}}`, "[b c]"},
		{`{"segments":["x"]}`, "[x]"},
		{`{"segments":{"remove":["x"]}}`, "[]"},
	} {
		t.Run(c.body, func(t *testing.T) {
			if got := fmt.Sprint(w.want(http.StatusOK, "PATCH", anna, c.body)["segments"]); got != c.want {
				t.Errorf("%s came to %s, want %s", c.body, got, c.want)
			}
		})
	}
	w.importing(1, `{"id":"anna","segments":{"add":["imported"]}}`)
	if got := fmt.Sprint(w.want(http.StatusOK, "GET", anna, "")["segments"]); got != "[imported]" {
		t.Errorf("an import came to %s, want [imported]", got)
	}

	var many []string
	for i := range push.MaxCustomerSegments {
		many = append(many, fmt.Sprintf(`"s%d"`, i))
	}
	for place, body := range map[string]string{
		"body.segments":        `{"segments":{"add":["a"],"remove":["a"]}}`,
		"body.segments.add":    `{"segments":{"add":"a"}}`,
		"body.segments.remove": `{"segments":{"remove":[` + strings.Join(many, ",") + `,"one more"]}}`,
		"body.segments.add[1]": `{"segments":{"add":["a",""]}}`,
	} {
		t.Run(place, func(t *testing.T) {
			a := w.Ask("PATCH", anna, body)
			testcloud.CheckCode(t, a, http.StatusUnprocessableEntity)
			if !slices.Contains(a.Places(), place) {
				t.Errorf("%s: faults are %v, want %v among them", a.Request, a.Places(), place)
			}
		})
	}
	a := w.Ask("PATCH", anna, `{"segments":{"add":[`+strings.Join(many, ",")+`]}}`)
	testcloud.CheckCode(t, a, http.StatusUnprocessableEntity)
	if !slices.Contains(a.Places(), "body.segments") {
		t.Errorf("%s: faults are %v, want %v among them", a.Request, a.Places(), "body.segments")
	}
}
