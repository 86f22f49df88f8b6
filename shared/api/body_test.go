package api_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/api"
)

const asJSON = "application/json"

// bodies lists every operation that reads JSON, with a body that it accepts.
var bodies = []struct{ method, path, good string }{
	{http.MethodPost, "/things", `{"name":"a"}`},
	{http.MethodPut, "/things", `{"name":"a"}`},
	{http.MethodPatch, "/things", `{"name":"a"}`},
	{http.MethodPost, "/notes", `{"to":["a"],"text":"b"}`},
	{http.MethodPost, "/act", `{}`},
}

func TestEveryOperationIsStrict(t *testing.T) {
	t.Parallel()
	w := small(t)
	with := func(good, more string) string { // adds a field to a body
		return strings.Replace(strings.TrimSuffix(good, "}")+","+more+"}", "{,", "{", 1)
	}
	for name, c := range map[string]struct {
		kind   string
		body   func(good string) string
		status int
	}{
		"good":                      {asJSON, func(g string) string { return g }, 200},
		"with the charset":          {"Application/JSON; charset=UTF-8", func(g string) string { return g }, 200},
		"white space around":        {asJSON, func(g string) string { return " \n" + g + "\r\n\t" }, 200},
		"no Content-Type":           {"", func(g string) string { return g }, 415},
		"another Content-Type":      {"text/plain", func(g string) string { return g }, 415},
		"a form":                    {"application/x-www-form-urlencoded", func(string) string { return "name=a" }, 415},
		"lines where none are read": {"application/x-ndjson", func(g string) string { return g }, 415},
		"a broken Content-Type":     {"application/json; charset", func(g string) string { return g }, 415},
		"another charset":           {"application/json; charset=latin1", func(g string) string { return g }, 415},
		"not UTF-8":                 {asJSON, func(g string) string { return with(g, "\"x\":\"\xff\"") }, 400},
		"a cut off UTF-8 character": {asJSON, func(g string) string { return with(g, "\"\xc3\":1") }, 400},
		"no JSON":                   {asJSON, func(string) string { return "name: a" }, 400},
		"cut off":                   {asJSON, func(g string) string { return g[:len(g)-1] }, 400},
		"white space only":          {asJSON, func(string) string { return "  " }, 400},
		"something behind":          {asJSON, func(g string) string { return g + "{}" }, 400},
		"a bracket behind":          {asJSON, func(g string) string { return g + "]" }, 400},
		"a comma too many":          {asJSON, func(g string) string { return with(g, `"x":[1,]`) }, 400},
		"a key twice":               {asJSON, func(g string) string { return with(g, `"free":1,"free":1`) }, 400},
		"a key twice, escaped":      {asJSON, func(g string) string { return with(g, `"free":1,"fre\u0065":1`) }, 400},
		"a key twice, deep":         {asJSON, func(g string) string { return with(g, `"free":{"a":[{"b":1,"c":2,"b":3}]}`) }, 400},
		"nested too deep":           {asJSON, func(g string) string { return with(g, `"free":`+strings.Repeat("[", 70)+strings.Repeat("]", 70)) }, 400},
		"a number beyond all":       {asJSON, func(g string) string { return with(g, `"free":{"a":1e999}`) }, 400},
		"too large":                 {asJSON, func(g string) string { return g + strings.Repeat(" ", 1<<10) }, 413},
		"too large and no JSON":     {asJSON, func(string) string { return strings.Repeat("x", 1<<10) }, 413},
		"an unknown field":          {asJSON, func(g string) string { return with(g, `"other":1`) }, 422},
		"a list":                    {asJSON, func(string) string { return `[]` }, 422},
		"null":                      {asJSON, func(string) string { return `null` }, 422},
		"a string":                  {asJSON, func(string) string { return `"secret"` }, 422},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, op := range bodies {
				got := w.do(op.method, op.path, c.kind, c.body(op.good))
				if got.Code != c.status {
					t.Errorf("%s %s: %d %s, want %d", op.method, op.path, got.Code, got.Body, c.status)
				}
			}
		})
	}
}

func TestTheLimitItself(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, op := range bodies {
		for size, want := range map[int]int{1<<10 - 1: 200, 1 << 10: 413} {
			if got := w.do(op.method, op.path, asJSON, op.good+strings.Repeat(" ", size-len(op.good))); got.Code != want {
				t.Errorf("%s %s of %d bytes: %d %s, want %d", op.method, op.path, size, got.Code, got.Body, want)
			}
		}
	}
}

func TestKeysInTheWrongCaseAreUnknown(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, c := range []struct{ path, body, place string }{
		{"/things", `{"Name":"a"}`, "body.Name"},
		{"/things", `{"name":"a","COUNT":3}`, "body.COUNT"},
		{"/things", `{"name":"a","parts":[{"size":1,"Size":2}]}`, "body.parts[0].Size"},
		{"/notes", `{"to":["a"],"text":"b","TEXT":"c"}`, "body.TEXT"},
	} {
		t.Run(c.path, func(t *testing.T) {
			got := w.do(http.MethodPost, c.path, asJSON, c.body)
			if got.Code != 422 {
				t.Errorf("%s: %d %s, want 422", c.body, got.Code, got.Body)
			}
			if !slices.Contains(got.Places(), c.place) {
				t.Errorf("%s: faults at %v, want one at %s", c.body, got.Places(), c.place)
			}
		})
	}
}

func TestAllFaultsOfABodyComeAtOnce(t *testing.T) {
	t.Parallel()
	w := small(t)
	for _, c := range []struct {
		path, body string
		want       []string
	}{
		{"/things", `{"a":1,"name":3,"b":2,"count":0,"color":"green","parts":[{"size":"x"},{}]}`,
			[]string{"body.a", "body.b", "body.color", "body.count", "body.name", "body.parts[0].size", "body.parts[1].size"}},
		{"/things", `{}`, []string{"body.name"}},
		{"/notes", `{}`, []string{"body.text", "body.to"}},
		// encoding/json stops at within; the faults behind it are named, too.
		{"/notes", `{"within":"2 days","text":""}`, []string{"body.to", "body.within", "body.text"}},
		{"/notes", `{"at":"tomorrow","copies":1.5,"to":[],"text":"x","zzz":0}`, []string{"body.at", "body.copies", "body.zzz", "body.to"}},
		// Correct fields behind the first fault are not reported as missing.
		{"/notes", `{"at":"tomorrow","to":["a"],"text":"x","within":"2 days"}`, []string{"body.at", "body.within"}},
		{"/notes", `{"to":"a","text":["x"]}`, []string{"body.text", "body.to"}},
		// Faults that only decoding finds have a place, too.
		{"/notes", `{"to":["a"],"text":"","copies":1e30}`, []string{"body.copies", "body.text"}},
		{"/notes", `{"to":["a"],"text":"","within":"99999999999h"}`, []string{"body.within", "body.text"}},
		{"/notes", `[]`, []string{"body"}},
	} {
		t.Run(c.path, func(t *testing.T) {
			got := w.do(http.MethodPost, c.path, asJSON, c.body)
			if got.Code != 422 {
				t.Errorf("%s: %d %s, want 422", c.body, got.Code, got.Body)
			}
			if diff := cmp.Diff(c.want, got.Places()); diff != "" {
				t.Errorf("%s: places of the faults (-want +got):\n%s%s", c.body, diff, got.Body)
			}
		})
	}
}

func TestNothingSentInComesBack(t *testing.T) {
	t.Parallel()
	w := small(t)
	const secret = "a-push-token"
	for _, c := range []struct{ method, path, kind, body string }{
		{"POST", "/things", asJSON, `{"name":"` + secret + secret + `","count":"` + secret + `","color":"` + secret + `","parts":"` + secret + `"}`},
		{"POST", "/things", asJSON, `"` + secret + `"`},
		{"POST", "/things", asJSON, secret},
		{"POST", "/things", "text/" + secret, secret},
		{"POST", "/notes", asJSON, `{"at":"` + secret + `","within":"` + secret + `","to":"` + secret + `","copies":"` + secret + `"}`},
		{"POST", "/panic", asJSON, `{"name":"` + secret[:10] + `"}`},
		{"GET", "/things/x?size=" + secret, "", ""},
		{"GET", "/things/" + strings.Repeat(secret, 9), "", ""},
		{"GET", "/" + secret, "", ""},
	} {
		t.Run(c.method, func(t *testing.T) {
			got := w.do(c.method, c.path, c.kind, c.body)
			if got.Code < 400 {
				t.Errorf("%s %s: %d, want an error", c.path, c.body, got.Code)
			}
			for _, text := range []string{secret[:10], `"value"`} {
				if strings.Contains(got.Body, text) {
					t.Errorf("%s %s: the answer contains %s: %s", c.path, c.body, text, got.Body)
				}
			}
		})
	}
	if log := w.log.String(); strings.Contains(log, secret[:10]) {
		t.Errorf("the log repeats input: %s", log)
	}
}

func TestAnAnswerStaysReadable(t *testing.T) {
	t.Parallel()
	a := strings.Repeat("k", 600)
	got := small(t).do("POST", "/things", asJSON, `{"name":"a","`+a+`":1}`)
	if len(got.Errors) != 1 {
		t.Errorf("an unknown field has %d faults, want 1: %s", len(got.Errors), got.Body)
	}
	if len(got.Body) > 500 {
		t.Errorf("the answer has %d bytes, want at most 500: %s", len(got.Body), got.Body)
	}

	w := small(t)
	got = w.do("POST", "/things", asJSON, `{"parts":[`+strings.Repeat("1,", 400)+`1]}`)
	if n := len(got.Errors); n != 201 {
		t.Fatalf("the answer names %d of 402 faults, want 201: %s", n, got.Body[max(0, len(got.Body)-200):])
	}
	if last := got.Errors[200].Message; last != "has more faults than are named here" {
		t.Errorf("the last fault is %q, want that there are more", last)
	}
}

func TestLinesAreNotRead(t *testing.T) {
	t.Parallel()
	w := small(t)
	for kind, want := range map[string]int{"application/x-ndjson": 200, asJSON: 415, "": 415} {
		if got := w.do("POST", "/lines", kind, "{}\nbroken\n"); got.Code != want {
			t.Errorf("lines as %q: %d %s, want %d", kind, got.Code, got.Body, want)
		}
	}
	if got := w.do("POST", "/lines", "application/x-ndjson", strings.Repeat("x", 1<<10)); got.Code != 413 {
		t.Errorf("too many lines: %d %s, want 413", got.Code, got.Body)
	}
}

func TestPatchesGoByBothNames(t *testing.T) {
	t.Parallel()
	w := small(t)
	for method, want := range map[string]int{"PATCH": 200, "PUT": 415} {
		if got := w.do(method, "/things", "application/merge-patch+json", `{"name":"a"}`); got.Code != want {
			t.Errorf("%s: %d %s, want %d", method, got.Code, got.Body, want)
		}
	}
}

func TestActionsTakeNoBody(t *testing.T) {
	t.Parallel()
	w := small(t)
	for body, want := range map[string]int{"": 200, "{}": 200, `{"why":"x"}`: 422} {
		t.Run(body, func(t *testing.T) {
			kind := asJSON
			if body == "" {
				kind = ""
			}
			if got := w.do("POST", "/act", kind, body); got.Code != want {
				t.Errorf("%q: %d %s, want %d", body, got.Code, got.Body, want)
			}
		})
	}
	if got := w.do("POST", "/things", "", ""); got.Code != 415 {
		t.Errorf("a missing body: %d %s, want 415", got.Code, got.Body)
	}
	if got := w.do("POST", "/things", asJSON, ""); got.Code != 400 {
		t.Errorf("an empty body: %d %s, want 400", got.Code, got.Body)
	}
}

func TestCompressedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	w := small(t)
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(`{"name":"a"}`)) // a buffer returns no error
	_ = z.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", w.URL+"/things", &b)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", asJSON)
	r.Header.Set("Content-Encoding", "gzip")

	got := w.Send(r)
	if got.Code != 415 {
		t.Errorf("%d %s, want 415", got.Code, got.Body)
	}
	if !strings.Contains(got.Body, "compressed") {
		t.Errorf("the answer does not say that the body is compressed: %s", got.Body)
	}
}

// FuzzCheckJSON compares CheckJSON with encoding/json: CheckJSON accepts only JSON, and the
// errors that deny that a text is JSON are true.
func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}],"c":"\u00e9"}`, `{"a":1,"a":2}`, `[1,]`, `{"a":1,}`, `1 2`, `"\ud800"`, "\xff", `[[[[]]]]`, ``, `1e999`, `{"a" 1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := api.CheckJSON("body", b)
		if err == nil && !json.Valid(b) {
			t.Errorf("%q is accepted and is not JSON", b)
		}
		if err == nil || !json.Valid(b) {
			return
		}
		for _, text := range []string{"not JSON", "there is text after the JSON"} {
			if strings.Contains(err.Error(), text) {
				t.Errorf("%q is JSON, but the error is %v", b, err)
			}
		}
	})
}

// FuzzForm checks that every body is accepted, or refused with its faults.
func FuzzForm(f *testing.F) {
	for _, s := range []string{`{"to":["a"],"text":"b"}`, `{"to":[null],"at":"2026-01-01T00:00:00Z","within":"1s","copies":-0}`, `{"":1}`, `[]`, `{"to":{"a":{}}}`, `{"TO":[]}`} {
		f.Add(s)
	}
	base := small(f)
	f.Fuzz(func(t *testing.T, body string) {
		got := testcloud.At(t, base.URL).Ask("POST", "/notes", body, "Content-Type", asJSON)
		if got.Code >= 500 {
			t.Errorf("%d %s, want an answer below 500", got.Code, got.Body)
		}
		if got.Code == 422 && len(got.Errors) == 0 {
			t.Errorf("422 names no fault: %s", got.Body)
		}
	})
}
