package inbox_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/chromedp/chromedp/kb"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/types/known/timestamppb"

	"carillon.example/emulators/inbox/browser"
	"carillon.example/emulators/testcloud/check"
)

// setSearch puts a text into the search, as if it were typed.
func setSearch(p *browser.Page, text string) {
	browser.Eval[bool](p, `((e) => { e.value = `+js(text)+`; return e.dispatchEvent(new Event("input")); })(document.querySelector("#search"))`)
}

// untilRows waits until the list shows exactly these documents and collections.
func untilRows(p *browser.Page, paths ...string) {
	p.Until(`[...document.querySelectorAll(".row:not([hidden])")].toSorted((a, b) => a.dataset.index - b.dataset.index).map((r) => r.dataset.path).join() === ` + js(strings.Join(paths, ",")))
}

// TestDataFindsDocuments walks through collections and documents, and finds some by path, by
// id and by the begin of an id.
func TestDataFindsDocuments(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newDataHarness(t)
	some := map[string]*pb.Value{"n": number(1)}
	w.set(t, map[string]map[string]*pb.Value{"customers/anna": some, "customers/bruno": some, "customers/brigitte": some, "customers/anna/orders/o1": some, "mailings/gone/batches/b1": some})
	p.Go(w.url + "/#data")

	untilRows(p, "customers", "mailings")
	p.Click(`.row[data-path=customers]`)
	untilRows(p, "customers/anna", "customers/brigitte", "customers/bruno")
	p.Click(`.row[data-path="customers/anna"]`)
	p.Until(`document.querySelector(".record h2").textContent === "anna" && document.querySelector(".fields .name").textContent === "n"`)
	p.Click(`.record a[href="#data/customers%2Fanna%2Forders"]`)
	untilRows(p, "customers/anna/orders/o1")
	p.Until(`document.querySelector(".crumbs").textContent === "All collections / customers / anna / orders"`)
	p.Click(`.crumbs a`)
	p.Click(`.row[data-path=mailings]`)
	p.Until(`document.querySelector('.row.missing[data-path="mailings/gone"] .many').textContent === "only collections"`)
	p.Click(`.row[data-path="mailings/gone"]`)
	p.Until(`document.querySelector(".record .notice").textContent.startsWith("There is no document") && document.querySelector('.record a[href="#data/mailings%2Fgone%2Fbatches"]')`)

	p.Key("4")
	p.Until(`location.hash === "#data"`)
	untilRows(p, "customers", "mailings")
	setSearch(p, "bruno") // an id, in any collection
	untilRows(p, "customers/bruno")
	for _, path := range []string{"customers/anna/orders/o1", "/customers/anna/orders/o1", documents + "/customers/anna/orders/o1"} {
		p.Go(w.url + "/?" + strings.ReplaceAll(path, "/", "") + "#data")
		untilRows(p, "customers", "mailings")
		p.Type("#search", path+kb.Enter)
		p.Until(`document.querySelector(".record h2")?.textContent === "o1"`)
	}
	p.Key(kb.Escape)
	p.Until(`location.hash === "#data/customers%2Fanna%2Forders"`)
	p.Go(w.url + "/?begin#data/customers")
	untilRows(p, "customers/anna", "customers/brigitte", "customers/bruno")
	setSearch(p, "br")
	untilRows(p, "customers/brigitte", "customers/bruno")
	setSearch(p, "nobody")
	p.Until(`document.querySelector("#empty h3").textContent === "Nothing found"`)
	setSearch(p, "")
	untilRows(p, "customers/anna", "customers/brigitte", "customers/bruno")
	checkConsole(t, p)
}

// TestDataOfOtherDatabases checks that the documents of other projects can be chosen.
func TestDataOfOtherDatabases(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newDataHarness(t)
	const other = "projects/other/databases/second"
	update := &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: other + "/documents/only/here"}}}
	if _, err := w.client.Commit(t.Context(), &pb.CommitRequest{Database: other, Writes: []*pb.Write{update}}); err != nil {
		t.Fatal(err)
	}
	p.Go(w.url + "/#data")
	p.Until(`[...document.querySelectorAll("#database option")].map((o) => o.textContent).join(" | ") === "demo, (default) | other, second"`)
	browser.Eval[bool](p, `((s) => { s.value = `+js(other)+`; return s.dispatchEvent(new Event("change")); })(document.querySelector("#database"))`)
	untilRows(p, "only")
	p.Click(`.row[data-path=only]`)
	p.Click(`.row[data-path="only/here"]`)
	p.Until(`document.querySelector(".record .note:last-child").textContent === "The document has no fields."`)
	checkConsole(t, p)
}

// TestDataShowsEachType checks how a value of each type is shown.
func TestDataShowsEachType(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newDataHarness(t)
	w.set(t, map[string]map[string]*pb.Value{"types/all": {
		"a null":      {ValueType: &pb.Value_NullValue{}},
		"b boolean":   {ValueType: &pb.Value_BooleanValue{BooleanValue: true}},
		"c integer":   number(math.MaxInt64),
		"d double":    {ValueType: &pb.Value_DoubleValue{DoubleValue: math.Copysign(0, -1)}},
		"e not":       {ValueType: &pb.Value_DoubleValue{DoubleValue: math.NaN()}},
		"f time":      {ValueType: &pb.Value_TimestampValue{TimestampValue: timestamppb.New(timestamp())}},
		"g text":      textValue("two\nlines"),
		"h none":      textValue(""),
		"i bytes":     {ValueType: &pb.Value_BytesValue{BytesValue: []byte{0, 255, '<'}}},
		"j reference": {ValueType: &pb.Value_ReferenceValue{ReferenceValue: documents + "/types/other"}},
		"k point":     {ValueType: &pb.Value_GeoPointValue{GeoPointValue: &latlng.LatLng{Latitude: 56.9, Longitude: 24.1}}},
		"l list":      {ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: []*pb.Value{number(7)}}}},
		"m map":       mapValue(map[string]*pb.Value{"inner": textValue("x")}),
		"n empty":     mapValue(nil),
	}})
	p.Go(w.url + "/#data/types/all")
	p.Until(`document.querySelectorAll(".record-body > .scroll > .fields > li").length === 14`)
	got := browser.Eval[string](p, `[...document.querySelectorAll(".record-body > .scroll > .fields > li")].map((li) => li.innerText.replaceAll(/\s+/g, " ").trim()).toSorted().join("\n")`)
	check.Equal(t, got, strings.Join([]string{
		"a null null null", "b boolean boolean true", "c integer integer 9223372036854775807", "d double double -0", "e not double NaN",
		"f time timestamp 2026-03-01T12:00:00Z", "g text string two lines", "h none string empty", "i bytes bytes 3 bytes AP88", "j reference reference types/other",
		"k point geo point 56.9, 24.1", "l list array 1 element 0 integer 7", "m map map 1 field inner string x", "n empty map 0 fields",
	}, "\n"), "the fields")
	p.Until(`document.querySelector('.fields a[href="#data/types%2Fother"]').textContent === "types/other"`)
	checkConsole(t, p)
}

// TestDataIsChanged edits a document as JSON, and deletes it. It checks that faults are shown,
// and that what somebody else wrote meanwhile is not overwritten.
func TestDataIsChanged(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newDataHarness(t)
	w.set(t, map[string]map[string]*pb.Value{"c/d": {"n": number(1)}, "c/d/below/it": {"n": number(1)}})
	p.Go(w.url + "/#data/c/d")
	write := func(json string) {
		p.Until(`document.querySelector("#document-json") && !document.querySelector(".editor [type=submit]").disabled`)
		browser.Eval[bool](p, `(document.querySelector("#document-json").value = `+js(json)+`, true)`)
		p.Click(".editor [type=submit]")
	}
	says := func(selector, text string) {
		p.Until(`document.querySelector(` + js(selector) + `)?.textContent.startsWith(` + js(text) + `)`)
	}

	p.Click("#edit")
	says(".editor label", "The whole document as JSON")
	check.Equal(t, browser.Eval[string](p, `document.querySelector("#document-json").value`), "{\n  \"fields\": {\n    \"n\": {\n      \"integerValue\": \"1\"\n    }\n  }\n}", "the text to edit")
	write(`{"fields": `)
	says(".editor .faults", "This is no JSON: ")
	write(`{"n": {"integerValue": "2"}}`)
	says(".editor .faults", "“fields” is missing")
	write(`{"fields": {"n": {"integerValue": "two"}}}`)
	p.Until(`document.querySelector(".editor .faults").textContent.includes("integerValue")`)
	check.Equal(t, w.get(t, "c/d")["n"].GetIntegerValue(), 1, "n after three faults")
	write(`{"fields": {"n": {"integerValue": "2"}, "who": {"stringValue": "a person"}}}`)
	says(".toast:last-child", "The document is saved.")
	p.Until(`document.querySelector(".fields").textContent.includes("a person")`)
	check.Equal(t, w.get(t, "c/d")["n"].GetIntegerValue(), 2, "n after it was saved")

	p.Click("#edit")
	w.set(t, map[string]map[string]*pb.Value{"c/d": {"n": number(3)}}) // somebody else
	write(`{"fields": {"n": {"integerValue": "4"}}}`)
	says("#conflict", "Somebody else changed or deleted the document after it was shown here. Nothing was saved.")
	check.Equal(t, w.get(t, "c/d")["n"].GetIntegerValue(), 3, "n after the conflict")
	p.Click(".editor .faults button")
	p.Until(`!document.querySelector(".editor") && document.querySelector(".fields .value").textContent === "3"`)

	w.set(t, map[string]map[string]*pb.Value{"c/d": {"n": number(5)}})
	p.Click("#delete")
	says("#delete", "Delete it for good?")
	check.Equal(t, w.get(t, "c/d")["n"].GetIntegerValue(), 5, "n after the question")
	p.Click("#delete")
	says("#conflict", "Somebody else changed or deleted the document after it was shown here. Nothing was deleted.")
	check.Equal(t, w.get(t, "c/d")["n"].GetIntegerValue(), 5, "n after the conflict of a deletion")
	p.Click("#reload")
	p.Until(`document.querySelector(".fields .value").textContent === "5"`)
	p.Click("#delete")
	p.Click("#delete")
	says(".record .notice", "There is no document at this path.")
	p.Until(`document.querySelector('.row.missing[data-path="c/d"]')`)
	check.Equal(t, w.get(t, "c/d") == nil, true, "the document is gone")
	check.Equal(t, w.get(t, "c/d/below/it") != nil, true, "the document below it is there")
	p.Until(`document.querySelectorAll(".record #edit, .record #delete").length === 0`)
	if faults := slices.DeleteFunc(p.Faults(), func(s string) bool { return strings.Contains(s, "Failed to load resource") }); len(faults) > 0 {
		t.Errorf("the console has the errors %q, want none but refused requests", faults)
	}
}

// TestHostileDocumentsAreText checks that ids, names and values of documents are shown
// unchanged and never executed, also deep ones.
func TestHostileDocumentsAreText(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newDataHarness(t)
	const script = `<script>document.title = "run"</script><img src=x onerror="document.title='run'">`
	texts := map[string]string{
		"markup": script, "override": "\u202eevil\u2067 \u05d0\u05d1 \u0000 \u2066open", "slashes": "a/b\\c//d", "emoji": strings.Repeat("👩‍👩‍👧‍👦", 20),
		"entity": "&lt;b&gt; </textarea><!-- ", "combining": "Z" + strings.Repeat("\u0321\u0316", 100), "end of line": "one\u2028two\r\nthree", "long": strings.Repeat("W", 300),
	}
	deep := textValue("the deepest")
	for range 19 {
		deep = mapValue(map[string]*pb.Value{"in/" + script: deep})
	}
	fields := map[string]*pb.Value{"deep": deep, "__proto__x": textValue("p"), "constructor": textValue("c"), "bytes": {ValueType: &pb.Value_BytesValue{BytesValue: make([]byte, 5000)}}}
	for _, text := range texts {
		fields["field "+text] = textValue(text)
	}
	docs := map[string]map[string]*pb.Value{"hostile/fields": fields}
	for _, text := range texts {
		docs["hostile/"+strings.ReplaceAll(text, "/", "∕")] = map[string]*pb.Value{"n": number(1)}
	}
	w.set(t, docs)

	p.Go(w.url + "/#data/hostile/fields")
	p.Until(`document.querySelectorAll(".record-body > .scroll > .fields > li").length === ` + js(len(fields)))
	for name, text := range texts {
		find := `[...document.querySelectorAll(".fields li")].find((li) => li.querySelector(".name").textContent === ` + js("field "+text) + `)`
		p.Until(find + `?.querySelector(".value").textContent === ` + js(text))
		check.Equal(t, browser.Eval[bool](p, `document.documentElement.scrollWidth > innerWidth`), false, "%s: the page is wider than its window", name)
	}
	for range 25 {
		browser.Eval[bool](p, `(document.querySelectorAll(".fields details").forEach((d) => { d.open = true; }), new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true)))))`)
	}
	p.Until(`[...document.querySelectorAll(".fields .value")].some((v) => v.textContent === "the deepest")`)
	for text := range maps.Values(texts) {
		id := strings.ReplaceAll(text, "/", "∕")
		p.Until(`[...document.querySelectorAll(".row:not([hidden]) b")].some((b) => b.textContent.startsWith(` + js(string([]rune(id)[:min(40, len([]rune(id)))])) + `))`)
		browser.Eval[bool](p, `(location.hash = "#data/" + encodeURIComponent(`+js("hostile/"+id)+`), true)`)
		p.Until(`document.querySelector(".record h2").textContent === ` + js(id) + ` && document.querySelector(".record .fields .value").textContent === "1"`)
	}

	check.Equal(t, browser.Eval[string](p, `document.title`), "Data – Carillon inbox (demo)", "the title; if a script ran it is another one")
	check.Equal(t, browser.Eval[int](p, `document.querySelectorAll("body script, body img:not([src='icon.svg'])").length`), 0, "elements made of the text of documents")
	checkConsole(t, p)
}

// TestLargeDocumentsAreShownInParts checks a document with a text of almost 1 MiB, and one with
// 20,000 fields: the page shows a part, and more when asked.
func TestLargeDocumentsAreShownInParts(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newDataHarness(t)
	w.set(t, map[string]map[string]*pb.Value{"large/text": {"text": textValue(strings.Repeat("x", 1_048_000))}})
	many := map[string]*pb.Value{}
	for i := range 20_000 {
		many[fmt.Sprintf("f%05d", i)] = number(int64(i))
	}
	w.set(t, map[string]map[string]*pb.Value{"large/many": many})

	p.Go(w.url + "/#data/large/text")
	p.Until(`document.querySelector(".fields .copy")?.textContent === "Show all 1,048,000 characters"`)
	p.Click(".fields .copy")
	p.Until(`document.querySelector(".fields .value").textContent.trim().length === 1048000`)
	p.Click("#edit")
	p.Until(`document.querySelector("#document-json").value.length > 1048000`)
	check.Equal(t, browser.Eval[string](p, `[document.querySelector("#document-json").scrollTop, document.activeElement.id].join()`), "0,document-json", "what is in sight of the form, and what has the focus")
	browser.Eval[bool](p, `(location.hash = "#data/large/many", true)`)
	p.Until(`document.querySelector(".fields > li:last-child button")?.textContent === "Show 100 more of 20,000" && document.querySelectorAll(".fields > li").length === 101`)
	p.Click(".fields > li:last-child button")
	p.Until(`document.querySelectorAll(".fields > li").length === 201`)
	checkConsole(t, p)
}

// TestAHundredThousandDocuments checks that a large collection is read in pages of 50, and that
// no task blocks the browser. It is not parallel, because it measures time.
func TestAHundredThousandDocuments(t *testing.T) {
	p := browser.Open(t, 1200, 800)
	w := newDataHarness(t)
	count := 100_000 / slower
	for from := 0; from < count; from += 500 {
		writes := make([]*pb.Write, 500)
		for i := range writes {
			writes[i] = &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: fmt.Sprintf("%s/many/d%06d", documents, from+i), Fields: map[string]*pb.Value{"n": number(1)}}}}
		}
		if _, err := w.client.Commit(context.Background(), &pb.CommitRequest{Database: database, Writes: writes}); err != nil {
			t.Fatal(err)
		}
	}

	before := w.firestore.Usage().Reads
	p.Go(w.url + "/#data/many")
	browser.Eval[bool](p, observeTasks)
	p.Until(`document.querySelector("#list-note").textContent === "50+ documents"`)
	for n := 100; n <= 500; n += 50 {
		p.Click("#fresh")
		p.Until(fmt.Sprintf(`document.querySelector("#list-note").textContent === "%d+ documents"`, n))
	}
	check.Between(t, w.firestore.Usage().Reads-before, 500, 500+20, "billed reads of ten pages")
	setSearch(p, fmt.Sprintf("d%06d", count-1))
	untilRows(p, fmt.Sprintf("many/d%06d", count-1))
	report(t, p, "paging")
	longest := browser.Eval[float64](p, `Math.max(0, ...window.long)`)
	same := browser.Eval[float64](p, work)
	p.Until(`Math.max(...window.long) >= 50`) // the observer reports the work, so it reports the tasks of the page too
	if limit := 200 * max(1, same/usual); longest > limit {
		t.Errorf("the longest task blocked the browser for %.0f ms, want at most %.0f ms on this machine", longest, limit)
	}
	checkConsole(t, p)
}
