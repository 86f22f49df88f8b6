package inbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/inbox/browser"
)

// TestLongTextsAreCut checks that a notification is cut as a phone cuts it, and that its
// whole text can be shown.
func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1360, 900)
	w := newHarness(t)
	long := strings.Repeat("A sentence that no phone shows whole. ", 12)
	w.send(t, object{"token": "long-phone:1", "notification": object{"title": long, "body": long}})
	w.send(t, object{"token": "short-phone:1", "notification": object{"title": "Sale", "body": "Today"}})
	p.Go(w.url)

	p.Click(`.row[data-address="short-phone:1"]`)
	p.Until(`document.querySelector(".face.android .title").textContent === "Sale" && !document.querySelector(".whole")`)
	p.Click(`.row[data-address="long-phone:1"]`)
	for _, platform := range []struct {
		name  string
		lines int // of the text; the title has one
	}{{"android", 1}, {"ios", 4}, {"web", 3}} {
		p.Click(`[data-platform=` + platform.name + `]`)
		p.Until(`document.querySelector(".face.` + platform.name + ` .title") && document.querySelector(".whole")`)
		lines := `((el) => Math.round(el.clientHeight / parseFloat(getComputedStyle(el).lineHeight)))`
		if got := browser.Eval[int](p, lines+`(document.querySelector(".face .title"))`); got != 1 {
			t.Errorf("%s: the title has %d lines, want 1", platform.name, got)
		}
		if got := browser.Eval[int](p, lines+`(document.querySelector(".face .body"))`); got != platform.lines {
			t.Errorf("%s: the text has %d lines, want %d", platform.name, got, platform.lines)
		}
		p.Click(".whole")
		if got := browser.Eval[int](p, lines+`(document.querySelector(".face .body"))`); got <= platform.lines {
			t.Errorf("%s: the whole text has %d lines, want more than %d", platform.name, got, platform.lines)
		}
		p.Click(".whole")
		p.Until(`document.querySelector(".whole").ariaPressed === "false"`)
	}
	p.Click(`[data-platform=ios]`)
	p.Until(`document.querySelector(".screen.on-ios")`)
	if shape := browser.Eval[float64](p, `((r) => r.height / r.width)(document.querySelector(".screen").getBoundingClientRect())`); shape < 2.15 || shape > 2.18 {
		t.Errorf("the screen is %.2f times as high as wide, want 19.5 / 9", shape)
	}
	checkConsole(t, p)
}

// TestKeysWithoutFocus checks that the arrow keys and ? work right after the page was loaded,
// when nothing has the focus.
func TestKeysWithoutFocus(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newHarness(t)
	w.send(t, object{"token": "older-phone:1", "notification": object{"title": "x"}})
	w.send(t, object{"token": "newer-phone:1", "notification": object{"title": "x"}})
	p.Go(w.url)
	p.Until(`document.querySelectorAll(".row:not([hidden])").length === 2 && document.activeElement === document.body`)

	p.Key(kb.ArrowDown)
	p.Until(`document.activeElement.id === "list" && document.querySelector(".detail h2").textContent === "newer-phone:1"`)
	p.Key(kb.ArrowDown)
	p.Until(`document.querySelector(".detail h2").textContent === "older-phone:1"`)
	p.Key(kb.Escape)
	p.Until(`document.querySelector(".detail h2").textContent === "Overview"`)

	p.Key("?")
	p.Until(`document.querySelector("#help").open && document.querySelectorAll("#help dt").length > 5`)
	p.Key("n")
	p.Key(kb.Escape)
	p.Until(`!document.querySelector("#help").open`)
	checkConsole(t, p)
}

// TestFaultsAreShown checks that the page says in its header when faults of FCM are on.
func TestFaultsAreShown(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newHarness(t)
	p.Go(w.url)
	p.Until(`document.querySelector("#quota-value").textContent === "none" && document.querySelector("#faults-on").hidden`)
	for _, test := range []struct {
		name   string
		change func(*fcm.Settings)
	}{
		{"errors", func(s *fcm.Settings) { s.Chaos = map[string]float64{"UNAVAILABLE": 0.1} }},
		{"latency", func(s *fcm.Settings) { s.Latency = 2 * time.Second }},
		{"quota", func(s *fcm.Settings) { s.QuotaPerMinute = 600 }},
	} {
		s := w.fcm.Settings()
		test.change(&s)
		if err := w.fcm.Configure(s); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		p.Until(`!document.querySelector("#faults-on").hidden`)
		p.Click("#calm")
		browser.Eval[bool](p, `new Promise((done) => { const look = async () => {
			const s = await (await fetch("emulator/settings")).json();
			if (s.latency === "0s" && s.quotaPerMinute === 0 && !Object.keys(s.chaos).length) done(true); else setTimeout(look, 20);
		}; look(); })`)
		p.Until(`document.querySelector("#faults-on").hidden`)
	}
	checkConsole(t, p)
}

// TestNotifications checks that a message is shown as a notification of the computer while
// the page is in the background, and that those which come within two seconds are counted in one.
// The browser has no notifications without a desktop, so the page gets a stand-in.
func TestNotifications(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newHarness(t)
	p.Go(w.url)
	p.Until(`document.querySelector("#live").dataset.state === "live"`)
	browser.Eval[bool](p, `(() => {
		window.notified = [];
		window.Notification = class {
			static permission = "granted";
			static requestPermission() { return Promise.resolve("granted"); }
			constructor(title, { body }) { window.notified.push(title + ": " + body); }
		};
		window.background = false;
		Object.defineProperty(document, "hidden", { get: () => window.background });
		return true;
	})()`)
	ring := func(title string) {
		w.send(t, object{"token": "any-phone:1", "notification": object{"title": title, "body": "text"}})
		p.Until(`document.querySelector(".row .said")?.textContent.startsWith(` + js(title) + `)`)
	}
	ring("not asked for")
	p.Click("#notify")
	p.Until(`document.querySelector("#notify").ariaPressed === "true"`)
	ring("in the foreground")
	browser.Eval[bool](p, `(window.background = true)`)
	ring("first")
	p.Until(`window.notified.join() === "first: text"`)
	ring("second")
	ring("third")
	p.Until(`window.notified.join() === "first: text,third: text (and 1 more)"`)
	browser.Eval[bool](p, `!(window.background = false)`)
	p.Click("#notify")
	p.Until(`document.querySelector("#notify").ariaPressed === "false"`)
	browser.Eval[bool](p, `(window.background = true)`)
	ring("fourth")
	if got := browser.Eval[int](p, `window.notified.length`); got != 2 {
		t.Errorf("%d notifications, want 2: none after they were switched off", got)
	}
	checkConsole(t, p)
}
