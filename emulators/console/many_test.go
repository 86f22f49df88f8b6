package console

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/emulators/inbox/browser"
)

// many is how many mailings TestTenThousandMailings has.
const many = 10_000

// longest is the longest time, in milliseconds, that the page held the browser up. watch
// begins to measure it.
const (
	watch   = `globalThis.longest = 0; new PerformanceObserver((l) => { for (const e of l.getEntries()) longest = Math.max(longest, e.duration); }).observe({ type: "longtask", buffered: true }); true`
	longest = `new Promise((done) => setTimeout(() => done(longest), 300))`
	paint   = `performance.getEntriesByName("first-contentful-paint")[0]?.startTime || 0`
)

// TestTenThousandMailings: the list and the overview hold a page of many mailings, and
// never all of them. How long they take is only reported.
func TestTenThousandMailings(t *testing.T) {
	p := browser.Open(t, 1280, 900)
	w := newHarness(t)
	w.seed("m", 20)
	id := w.send(map[string]any{"name": "Many times", "message": message("Many times"), "audience": map[string]any{"segments": map[string]any{"any": []string{"m"}}}})
	w.await(id, "completed")
	w.copyMailing(id, many)

	for _, view := range []string{"#/mailings", "#/"} {
		p.Go(at(w.url[sender], view))
		browser.Eval[bool](p, watch)
		t.Logf("%s with %d mailings: first paint after %.0f ms, longest task %.0f ms", view, many, browser.Eval[float64](p, paint), browser.Eval[float64](p, longest))
	}
	p.Go(at(w.url[sender], "#/mailings?tag=copied"))
	for range 3 {
		if n := browser.Eval[int](p, `document.querySelectorAll("tbody tr").length`); n != 50 {
			t.Fatalf("a page has %d mailings, want 50", n)
		}
		first := browser.Eval[string](p, `document.querySelector("tbody a").href`)
		p.Click("#older")
		p.Until(fmt.Sprintf(`document.body.dataset.ready === "yes" && document.querySelector("tbody a").href !== %q`, first))
	}
}

// copyMailing stores n copies of a mailing that has ended, each a minute older than the
// one before.
func (w *harness) copyMailing(id string, n int) {
	w.t.Helper()
	db, err := firestore.NewClient(w.t.Context(), w.cloud.Project)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	snap, err := db.Doc("mailings/" + id).Get(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	data := snap.Data()
	at, ok := data["createdAt"].(time.Time)
	if !ok {
		w.t.Fatalf("the mailing has no createdAt: %v", data)
	}

	bulk := db.BulkWriter(w.t.Context())
	data["tags"], data["active"] = []string{"copied"}, false // tick has nothing to do for them
	for i := range n {
		data["createdAt"] = at.Add(-time.Duration(i+1) * time.Minute)
		if _, err := bulk.Create(db.Doc(fmt.Sprintf("mailings/copy%05d", i)), data); err != nil {
			w.t.Fatal(err)
		}
	}
	bulk.End()
}
