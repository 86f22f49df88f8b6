package push_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

func parse(t testing.TB, body string) (push.CustomerPatch, push.Faults) {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &members); err != nil {
		t.Fatal(err)
	}
	return push.ParsePatch(members, "body")
}

// apply patches c and says whether that changed it.
func apply(t testing.TB, c *push.Customer, body string) bool {
	t.Helper()
	p, faults := parse(t, body)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	changed, err := p.ApplyTo(c)
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// TestMergePatchesOfTheRFC are the examples of RFC 7396, appendix A, whose
// target and result are objects and have no list in a list.
func TestMergePatchesOfTheRFC(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ have, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`{"e":true}`, `{"a":1}`, `{"e":true,"a":1}`},
	} {
		t.Run(x.have, func(t *testing.T) {
			c := &push.Customer{}
			apply(t, c, `{"attributes":`+x.have+`}`)
			apply(t, c, `{"attributes":`+x.patch+`}`)
			want := &push.Customer{}
			apply(t, want, `{"attributes":`+x.want+`}`)
			if !reflect.DeepEqual(c.Attributes, want.Attributes) {
				t.Errorf("%s patched with %s is %v, want %s", x.have, x.patch, c.Attributes, x.want)
			}
			if apply(t, c, `{"attributes":`+x.patch+`}`) {
				t.Errorf("%s patched with %s twice changed twice", x.have, x.patch)
			}
		})
	}
}

func TestNumbersKeepTheirKind(t *testing.T) {
	t.Parallel()
	c := &push.Customer{}
	apply(t, c, `{"attributes":{"whole":9007199254740993,"part":1.5,"list":[1,2.5],"big":1e300}}`)
	want := map[string]any{"whole": int64(9007199254740993), "part": 1.5, "list": []any{int64(1), 2.5}, "big": 1e300}
	if !reflect.DeepEqual(c.Attributes, want) {
		t.Errorf("%#v", c.Attributes)
	}
}

// TestAPatchLeavesWhatItDoesNotName: it does not change the maps of the customer that was
// read either.
func TestAPatchLeavesWhatItDoesNotName(t *testing.T) {
	t.Parallel()
	c := &push.Customer{}
	apply(t, c, `{"segments":["b","a","b"],"attributes":{"a":{"b":1}},"optedOut":true,"categories":{"promo":false},"timeZone":"Europe/Riga"}`)
	was, attributes := *c, maps.Clone(c.Attributes)
	if !slices.Equal(c.Segments, []string{"a", "b"}) {
		t.Errorf("c.Segments = %v, want %v", c.Segments, []string{"a", "b"})
	}
	if apply(t, c, `{}`) {
		t.Error("an empty patch reports a change")
	}
	if diff := cmp.Diff(was, *c); diff != "" {
		t.Errorf("an empty patch changes the customer (-want +got):\n%s", diff)
	}

	apply(t, c, `{"attributes":{"a":{"c":2}},"categories":{"promo":null,"news":true}}`)
	if diff := cmp.Diff(attributes, was.Attributes); diff != "" {
		t.Errorf("the attributes of the customer read before changed (-want +got):\n%s", diff)
	}

	check.Equal(t, len(was.Categories), 1, "categories of the customer read before")
	if !apply(t, c, `{"segments":null,"attributes":null,"optedOut":null,"categories":null,"timeZone":null}`) {
		t.Error("taking all away changed nothing")
	}
	if len(c.Segments)+len(c.Attributes)+len(c.Categories) > 0 {
		t.Fatalf("%d segments, attributes and categories are left, want 0", len(c.Segments)+len(c.Attributes)+len(c.Categories))
	}
	if c.OptedOut {
		t.Error("the opt-out is left")
	}

	check.Equal(t, c.TimeZone, "", "the time zone that is left")
}

func TestFaultsOfPatches(t *testing.T) {
	t.Parallel()
	list := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(`"s",`, n), ",") + "]" }
	object := func(n int, v string) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf(`"k%d":%s`, i, v))
		}
		return "{" + strings.Join(out, ",") + "}"
	}
	for body, place := range map[string]string{
		`{"tokens":[]}`:           "body",
		`{"segments":"riga"}`:     "body.segments",
		`{"segments":["a",""]}`:   "body.segments[1]",
		`{"segments":["\u0000"]}`: "body.segments[0]",
		`{"segments":` + list(push.MaxCustomerSegments+1) + `}`: "body.segments",
		`{"attributes":[]}`:                                            "body.attributes",
		`{"attributes":{"__name__":1}}`:                                "body.attributes",
		`{"attributes":{"a":{"":1}}}`:                                  "body.attributes.a",
		`{"attributes":{"a":[[1]]}}`:                                   "body.attributes.a[0]",
		`{"attributes":{"a":1e999}}`:                                   "body.attributes.a",
		`{"attributes":{"a":{"b":{"c":{"d":{"e":{}}}}}}}`:              "body.attributes.a.b.c.d.e",
		`{"attributes":` + object(push.MaxAttributes+1, "1") + `}`:     "body.attributes",
		`{"attributes":{"a":"` + strings.Repeat("x", 65<<10) + `"}}`:   "body.attributes",
		`{"optedOut":"yes"}`:                                           "body.optedOut",
		`{"categories":{"promo":"no"}}`:                                "body.categories",
		`{"categories":{"` + strings.Repeat("x", 101) + `":true}}`:     "body.categories",
		`{"categories":` + object(push.MaxCategories+1, "false") + `}`: "body.categories",
		`{"timeZone":"Europe/Atlantis"}`:                               "body.timeZone",
		`{"timeZone":"Local"}`:                                         "body.timeZone",
		`{"timeZone":3}`:                                               "body.timeZone",
		`{"timeZone":"../../etc/passwd"}`:                              "body.timeZone",
	} {
		t.Run(body, func(t *testing.T) {

			_, faults := parse(t, body)
			if len(faults) != 1 {
				t.Fatalf("%.80s: %v, want one fault at %s", body, faults, place)
			}
			check.Equal(t, faults[0].Location, place, "%.80s: the place of the fault", body)
		})
	}

	if _, faults := parse(t, `{"segments":1,"optedOut":2,"timeZone":3,"categories":4,"attributes":5,"x":6}`); len(faults) != 6 {
		t.Errorf("not every fault is named: %v", faults)
	}
}

func TestPatchesThatExceedALimitTogether(t *testing.T) {
	t.Parallel()
	c := &push.Customer{}
	apply(t, c, `{"attributes":{"a":"`+strings.Repeat("x", 20<<10)+`"}}`)
	p, _ := parse(t, `{"attributes":{"b":"`+strings.Repeat("x", 20<<10)+`"}}`)
	_, err := p.ApplyTo(c)
	if err == nil {
		t.Fatal("40 KiB of attributes were taken without an error")
	}
	if !strings.Contains(err.Error(), "attributes") {
		t.Errorf("the error of 40 KiB of attributes is %q, want it to contain %q", err.Error(), "attributes")
	}
}

// FuzzParsePatch: a patch that is accepted can be applied twice, changes something at
// most once, and is text that Firestore stores.
func FuzzParsePatch(f *testing.F) {
	for _, s := range []string{`{}`, `{"segments":["a"]}`, `{"attributes":{"a":[1,{"b":null}]}}`, `{"categories":{"a":null}}`, `{"timeZone":"Europe/Riga"}`, `{"optedOut":null}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			return
		}

		p, faults := push.ParsePatch(members, "body")
		for _, x := range faults {
			if x.Location == "" {
				t.Fatalf("%q has an empty fault: %v: x.Location is empty", raw, faults)
			}
			if x.Message == "" {
				t.Fatalf("%q has an empty fault: %v: x.Message is empty", raw, faults)
			}
		}

		if len(faults) > 0 {
			return
		}

		c := &push.Customer{}
		if _, err := p.ApplyTo(c); err != nil {
			return
		}

		changed, err := p.ApplyTo(c)
		if changed {
			t.Fatalf("%q reports a change when it is applied the second time", raw)
		}
		if err != nil {
			t.Fatalf("applying %q the second time: %v", raw, err)
		}
	})
}

func TestExpiryDays(t *testing.T) {
	t.Parallel()
	for seen, want := range map[string]string{
		"2026-01-01T00:00:00Z":      "2026-09-28",
		"2026-01-01T00:00:01Z":      "2026-09-29",
		"2026-01-01T23:59:59Z":      "2026-09-29",
		"2026-01-01T23:00:00-02:00": "2026-09-30",
	} {
		t.Run(seen, func(t *testing.T) {

			at, err := time.Parse(time.RFC3339, seen)
			if err != nil {
				t.Fatal(err)
			}

			got := push.ExpiryDay(push.Android, at, push.TokenLife)
			day, _ := time.Parse(time.DateOnly, got)
			check.Equal(t, got, want, "the day on which a token expires that was seen %s", seen)
			if day.Before(at.Add(push.TokenLife)) {
				t.Errorf("seen %s, a token expires on %s, before its life is over", seen, got)
			}

			check.Equal(t, push.ExpiryDay(push.IOS, at, push.TokenLife), "", "the day on which a token of iOS expires")
			check.Equal(t, push.ExpiryDay("", at, push.TokenLife), "", "the day on which a token without a platform expires")
		})
	}
}
