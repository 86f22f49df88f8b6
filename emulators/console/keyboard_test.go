package console

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"carillon.example/emulators/inbox/browser"
)

// A keyboard works on a page with keys alone.
type keyboard struct {
	t *testing.T
	*browser.Page
}

// tabTo presses Tab until an element has the focus.
func (k keyboard) tabTo(selector string) {
	k.t.Helper()
	k.Until(fmt.Sprintf(`document.querySelector(%q)?.checkVisibility()`, selector))
	for range 250 {
		if browser.Eval[bool](k.Page, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			return
		}
		k.Key(kb.Tab)
	}
	k.t.Fatalf("Tab never comes to %s", selector)
}

// write tabs to a field and types a text.
func (k keyboard) write(selector, text string) {
	k.t.Helper()
	k.tabTo(selector)
	k.Key(text)
}

// press tabs to an element and presses Enter.
func (k keyboard) press(selector string) {
	k.t.Helper()
	k.tabTo(selector)
	k.Key(kb.Enter)
}

// agree presses the button of the dialog that asks.
func (k keyboard) agree() {
	k.t.Helper()
	k.Until(`document.querySelector("#dialog").open`)
	k.press("#dialog-yes")
	k.Until(`!document.querySelector("#dialog").open`)
}

// midnight types 00:00 into a field for a time of day, whatever clock the browser has.
func (k keyboard) midnight(selector string) {
	k.t.Helper()
	value := fmt.Sprintf(`document.querySelector(%q).value`, selector)
	k.write(selector, "1200AM")
	if browser.Eval[string](k.Page, value) != "00:00" {
		k.Key(kb.ArrowLeft)
		k.Key(kb.ArrowLeft)
		k.Key("0000")
	}
	if got := browser.Eval[string](k.Page, value); got != "00:00" {
		k.t.Fatalf("%s is %s, want 00:00", selector, got)
	}
}

// contains is true when an element has a text.
func contains(selector, text string) string {
	return fmt.Sprintf(`document.querySelector(%q)?.textContent.includes(%q)`, selector, text)
}

// TestWithTheKeyboardAlone goes the way of somebody who sends: composes with a variant and
// hours, sees the estimate, tests, sends, watches, pauses, resumes, cancels, undoes the
// flags, and finds a customer and why they got nothing.
func TestWithTheKeyboardAlone(t *testing.T) {
	k := keyboard{t, browser.Open(t, 1280, 900)}
	w := newHarness(t)
	w.seed("k", 1500) // at 600 a minute it lasts longer than what is done meanwhile
	k.Go(w.url[sender])
	k.press("[data-view=compose]")
	k.Until(`document.querySelector("h1")?.textContent === "Compose a mailing"`)

	k.write("#name", "By keyboard")
	k.write("#title", "Sale")
	k.write("#body", "Hello {{ customer.first_name }}")
	k.press("#add-variant")
	k.Until(`document.activeElement.id === "title-b"`)
	k.Key(" for you")
	k.tabTo("#to-everyone")
	k.Key(kb.ArrowDown)
	k.write("#any", "k")
	k.write("#rate", "600")
	k.tabTo("#hours-on")
	k.Key(" ")
	k.midnight("#hours-from")
	k.midnight("#hours-to")
	k.Until(`document.querySelector("#estimate").dataset.state === "shown"`)
	k.Until(contains("#estimate", "of about 1,500 customers would get it") + " && " + contains("#left-out", "Want no pushes"))

	k.write("#self", "k0000")
	k.press("#test")
	k.Until(contains("#test-result", "1 phone: accepted for delivery"))
	k.press("#send")
	k.agree()
	k.Until(`location.hash.startsWith("#/mailings/") && document.activeElement.matches("h1") && document.activeElement.textContent === "By keyboard"`)

	accepted := `Number(document.querySelector("[data-row='Accepted for delivery'] td").textContent.replaceAll(",", ""))`
	k.Until(accepted + ` > 0`)
	k.Until(fmt.Sprintf("%s > %d", accepted, browser.Eval[int](k.Page, accepted))) // the funnel moves
	k.press("#do-pause")
	k.agree()
	k.Until(contains(".title", "A person paused it."))
	k.Until(`document.activeElement.closest(".actions")`) // the button has gone, and the focus with it to the next one
	k.press("#do-resume")
	k.agree()
	k.Until(`document.querySelector("#do-pause")`)
	k.Until(`document.querySelector("[data-code=UNREGISTERED]")`)
	k.press("#do-cancel")
	k.agree()
	k.Until(contains(".title .chip", "Cancelled"))
	k.press("#do-unflag")
	k.agree()
	k.Until(contains("#unflagged", "undone"))

	k.press("[data-view=customers]")
	k.Until(`document.activeElement.id === "customer"`)
	k.Key("k0005")
	k.Key(kb.Enter)
	k.Until(contains("#why", "Wants no pushes."))
	if faults := k.Faults(); len(faults) > 0 {
		t.Errorf("the browser's console says %q", faults)
	}
	if title := browser.Eval[string](k.Page, `document.title`); title != "Customers – Carillon" {
		t.Errorf("the title of the page is %q", title)
	}
}

// TestEveryoneAsksForTheNumber: a mailing to everyone is sent only once the number of
// customers was typed.
func TestEveryoneAsksForTheNumber(t *testing.T) {
	k := keyboard{t, browser.Open(t, 1280, 900)}
	w := newHarness(t)
	w.seed("e", 30)
	k.Go(w.url[sender] + "/#/compose")
	k.press("#send")
	k.Until(contains("#faults", "Write a title or a text.") + " && " + contains("#faults", "Choose who gets it"))
	k.write("#title", "To all of you")
	k.tabTo("#to-everyone")
	k.Key(" ")
	k.press("#send")
	k.Until(`document.querySelector("#dialog").open && document.activeElement.id === "dialog-type"`)
	if !browser.Eval[bool](k.Page, `document.querySelector("#dialog-yes").disabled`) {
		t.Error("the mailing can be sent before the number is typed")
	}

	k.Key("7")
	k.Key(kb.Enter)
	if !browser.Eval[bool](k.Page, `document.querySelector("#dialog").open`) {
		t.Error("a wrong number closed the dialog")
	}
	k.Key(kb.Backspace)
	k.Key(browser.Eval[string](k.Page, `document.querySelector("#estimated").textContent`))
	k.Key(kb.Enter)
	k.Until(`location.hash.startsWith("#/mailings/")`)
}
