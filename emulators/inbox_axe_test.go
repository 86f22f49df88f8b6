package main

import (
	"encoding/json"
	"os"
	"testing"

	"carillon.example/emulators/inbox/browser"
)

// TestInboxIsAccessible checks the views of the inbox, in light, dark and three widths, for
// violations of the rules of accessibility that axe-core knows, and that nothing is wider
// than the window.
func TestInboxIsAccessible(t *testing.T) {
	t.Parallel()
	axe, err := os.ReadFile("console/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("axe-core is not installed: npm ci in emulators/console")
	}
	p := browser.Open(t, 1360, 860)
	r := serveCommand(t)
	p.Go(r.addr["Inbox"])
	browser.Eval[bool](p, string(axe)+"; true")
	p.Until(`document.querySelector("#live").dataset.state === "live"`)
	checkInboxAxe(t, p, "nothing yet")

	p.Click("#empty button.quiet") // sample customers
	p.Until(`document.querySelector(".toast")?.textContent.startsWith("6 customers added")`)
	send(p, "A title that is too long for one line of any phone", "A text that is too long, too, so that every phone cuts it somewhere, and the page offers to show all of it.")
	p.Until(`document.querySelectorAll(".row:not([hidden])").length >= 8`)
	id := completed(p)
	checkInboxAxe(t, p, "phones")
	p.Click(`.row[data-address^="bruno-ios:"]`)
	p.Until(`document.querySelector(".whole") && document.querySelector(".known table")`)
	checkInboxAxe(t, p, "a phone")
	p.Resize(1360, 860, "light")
	p.Click(`a[data-tab=mailings]`)
	p.Until(`document.querySelector(".row:not([hidden])[data-id=` + id + `]")`)
	p.Click(`.row[data-id=` + id + `]`)
	p.Until(`document.querySelector(".detail #funnel")`)
	checkInboxAxe(t, p, "a mailing")
	p.Resize(1360, 860, "light")
	p.Click(`a[data-tab=customers]`)
	p.Until(`document.querySelector("[data-customer=bruno]")`)
	p.Click(`.row[data-customer=bruno]`)
	p.Until(`document.querySelector(".detail table")`)
	checkInboxAxe(t, p, "a customer")
	p.Resize(1360, 860, "light")
	checkFirestoreAxe(t, p)
	p.Resize(1360, 860, "light")
	p.Click("#compose")
	p.Until(`document.querySelector("#composer").open`)
	checkInboxAxe(t, p, "the form")
	browser.Eval[bool](p, `(document.querySelector("#composer").close(), true)`)
	p.Resize(1360, 860, "light")
	p.Click("#keys")
	p.Until(`document.querySelector("#help").open`)
	checkInboxAxe(t, p, "the list of keys")
}

// checkFirestoreAxe checks the documents of Firestore, a form to change one, and the requests.
// The page has none of them if FIRESTORE_EMULATOR_HOST names another server.
func checkFirestoreAxe(t *testing.T, p *browser.Page) {
	t.Helper()
	if !browser.Eval[bool](p, `fetch("inbox.json").then((answer) => answer.json()).then((about) => about.firestore)`) {
		return
	}
	p.Click(`a[data-tab=data]`)
	p.Until(`document.querySelector(".row[data-path=customers]:not([hidden])")`)
	checkInboxAxe(t, p, "collections")
	p.Resize(1360, 860, "light")
	p.Click(`.row[data-path=mailings]`)
	p.Until(`document.querySelector(".row[data-path^='mailings/']:not([hidden])")`)
	p.Click(`.row[data-path^='mailings/']:not([hidden])`)
	p.Until(`document.querySelectorAll(".record .fields li").length > 10 && document.querySelector(".record .plain a")`)
	checkInboxAxe(t, p, "a document")
	p.Resize(1360, 860, "light")
	p.Click("#edit")
	p.Until(`document.querySelector("#document-json")`)
	checkInboxAxe(t, p, "the form of a document")
	p.Resize(1360, 860, "light")
	p.Click(`a[data-tab=requests]`)
	p.Until(`document.querySelectorAll(".request").length > 5`)
	checkInboxAxe(t, p, "requests")
	p.Resize(1360, 860, "light")
	p.Click(`.row[data-index="0"]`)
	p.Until(`document.querySelector(".detail dl")`)
	checkInboxAxe(t, p, "a request")
}

// checkInboxAxe runs axe on the page as it is, in each width and scheme.
func checkInboxAxe(t *testing.T, p *browser.Page, view string) {
	t.Helper()
	browser.Eval[bool](p, `(document.querySelectorAll(".toast").forEach((e) => e.remove()), true)`)
	browser.Eval[bool](p, `Promise.all(document.getAnimations().map((a) => a.finished)).then(() => true)`) // a dialog that fades in has little contrast
	for _, width := range []int64{320, 820, 1360} {
		for _, scheme := range []string{"light", "dark"} {
			p.Resize(width, 860, scheme)
			var found []string
			text := browser.Eval[string](p, `axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(" | "))))`)
			if err := json.Unmarshal([]byte(text), &found); err != nil {
				t.Fatalf("%s: axe's report %s: %v", view, text, err)
			}
			for _, f := range found {
				t.Errorf("%s, %d pixels, %s: %s", view, width, scheme, f)
			}
			if browser.Eval[bool](p, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("%s, %d pixels, %s: the page is wider than its window", view, width, scheme)
			}
		}
	}
}
