package console

import (
	"encoding/json"
	"os"
	"testing"

	"carillon.example/emulators/inbox/browser"
)

// violations runs axe on a page, and returns what it finds.
const violations = `axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join(" | "))))`

// TestAxe checks every view, in light, dark, desktop and phone width, for violations of
// the rules of accessibility that axe-core knows, and that it is not wider than its window.
func TestAxe(t *testing.T) {
	axe, err := os.ReadFile("node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("axe-core is not installed: npm ci in emulators/console")
	}
	p := browser.Open(t, 1280, 900)
	w := newHarness(t)
	places := w.furnish()
	for name, place := range places {
		p.Go(at(w.url[sender], place))
		browser.Eval[bool](p, string(axe)+"; true")
		if name == "compose" {
			p.Until(`document.querySelector("#estimate").dataset.state === "shown"`)
		}
		checkAxe(t, p, name)
	}
	p.Go(at(w.url[sender], places["paused"]))
	browser.Eval[bool](p, string(axe)+"; true")
	p.Click("#do-cancel")
	p.Until(`document.querySelector("#dialog").open`)
	checkAxe(t, p, "dialog")
	p.Go(at(w.url[looker], places["settings"]))
	browser.Eval[bool](p, string(axe)+"; true")
	checkAxe(t, p, "settings of who may look")
}

func checkAxe(t *testing.T, p *browser.Page, name string) {
	t.Helper()
	for _, size := range sizes {
		for _, scheme := range []string{"light", "dark"} {
			p.Resize(size.width, size.height, scheme)
			var found []string
			if err := json.Unmarshal([]byte(browser.Eval[string](p, violations)), &found); err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				t.Errorf("%s, %s, %s: %s", name, size.name, scheme, f)
			}
			if browser.Eval[bool](p, `document.documentElement.scrollWidth > innerWidth`) {
				t.Errorf("%s, %s is wider than its window", name, size.name)
			}
		}
	}
}
