package console

import (
	"flag"
	"testing"

	"carillon.example/emulators/inbox/browser"
)

// consoleAt is the address of a console, with a customer, for TestMeasureConsole.
var (
	consoleAt       = flag.String("console", "", "address of a console that TestMeasureConsole measures")
	consoleCustomer = flag.String("customer", "", "id of a customer that TestMeasureConsole looks up")
)

// TestMeasureConsole reports how long the views of a console take, and checks that each shows
// what it is for. Without -console it is that of the other tests, with few customers.
func TestMeasureConsole(t *testing.T) {
	address, customer := *consoleAt, *consoleCustomer
	if address == "" {
		w := newHarness(t)
		w.seed("measure", 20)
		address, customer = w.url[sender], "measure0000"
	}
	p := browser.Open(t, 1280, 900)
	for _, view := range []struct{ name, place, ready string }{
		{"overview", "#/", `document.querySelector(".figures, .chart, main .note")`},
		{"mailings", "#/mailings", `document.querySelector("main .card")`},
		{"customer", "#/customers/" + customer, `document.querySelector("main").textContent.includes("Push reaches this customer")`},
		{"compose", "#/compose", `document.querySelector("#estimate")`},
	} {
		p.Go(at(address, view.place))
		browser.Eval[bool](p, watch)
		took := browser.Eval[float64](p, `new Promise((done) => { const look = () => { try { if (`+view.ready+`) return done(Date.now() - performance.timeOrigin); } catch { /* not yet */ } requestAnimationFrame(look); }; look(); })`)
		t.Logf("%s: first paint after %.0f ms, shown after %.0f ms, longest task %.0f ms", view.name, browser.Eval[float64](p, paint), took, browser.Eval[float64](p, longest))
	}

	p.Type("#title", "To a million")
	p.Click("#to-everyone")
	browser.Eval[bool](p, `(globalThis.began = performance.now(), true)`)
	p.Until(`document.querySelector("#estimate").dataset.state === "shown"`)
	t.Logf("the estimate of a mailing to everyone: %q, %.0f ms after the audience was chosen",
		browser.Eval[string](p, `document.querySelector("#estimate p").textContent`), browser.Eval[float64](p, `performance.now() - globalThis.began`))
	if faults := p.Faults(); len(faults) > 0 {
		t.Errorf("the console has the errors %q, want none", faults)
	}
}
