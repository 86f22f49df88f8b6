package inbox_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/inbox"
	"carillon.example/emulators/inbox/browser"
)

// js writes a value as JavaScript.
func js(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// checkConsole fails the test if the console has errors or warnings.
func checkConsole(t *testing.T, p *browser.Page) {
	t.Helper()
	if faults := p.Faults(); len(faults) > 0 {
		t.Errorf("the console has the errors %q, want none", faults)
	}
}

// TestHostileTextIsText checks that the text of a message is shown unchanged and never
// executed: in the preview of each platform, in the list and in the JSON.
func TestHostileTextIsText(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newHarness(t)
	const script = `<script>document.title = "run"</script><img src=x onerror="document.title='run'"><svg onload=document.title='run'>`
	hostile := map[string]string{
		"markup":      script,
		"attribute":   `" onmouseover="document.title='run'" x="`,
		"override":    "\u202eevil\u202d\u2067 \u05d0\u05d1\u05d2 100% \u0000-free \u2066left open",
		"emoji":       strings.Repeat("👩‍👩‍👧‍👦", 3700/len("👩‍👩‍👧‍👦")), // with the rest 4 KB, the limit of FCM
		"long word":   strings.Repeat("W", 3500),
		"combining":   "Z" + strings.Repeat("\u0321\u0316\u0317", 500),
		"entity":      `&lt;b&gt; &amp; </textarea></title><!-- `,
		"template":    "${document.title = 'run'} {{ 7 * 7 }}",
		"end of line": "one\u2028two\u2029three\r\nfour",
	}
	p.Go(w.url)
	p.Until(`document.querySelector("#live").dataset.state === "live"`)
	for name, text := range hostile {
		w.send(t, object{
			"token": "hostile-phone:" + strings.ReplaceAll(name, " ", "-"), "notification": object{"title": text},
			"data": object{"link": "javascript:document.title='run'", "customer_id": "customer " + script},
		})
	}
	for name, text := range hostile {
		row := `.row[data-address="hostile-phone:` + strings.ReplaceAll(name, " ", "-") + `"]`
		p.Until(`document.querySelector(` + js(row) + `)`)
		p.Click(row)
		for _, platform := range []string{"android", "ios", "web"} {
			p.Click(`[data-platform=` + platform + `]`)
			p.Until(`document.querySelector(".face.` + platform + ` .title").textContent === ` + js(text))
		}
		p.Click(".notification .json summary")
		p.Until(`JSON.parse(document.querySelector(".notification .json pre").textContent).notification.title === ` + js(text))
		if n := browser.Eval[int](p, `document.querySelectorAll(".tap a, a[href^='javascript']").length`); n != 0 {
			t.Errorf("%s: the page has a link that can be followed, want none", name)
		}
		if got := browser.Eval[string](p, `document.querySelector(".tap").textContent`); got != "Tap opens javascript:document.title='run'" {
			t.Errorf("%s: the target of a tap is shown as %q, want \"Tap opens javascript:…\"", name, got)
		}
		if wide := browser.Eval[bool](p, `document.documentElement.scrollWidth > innerWidth`); wide {
			t.Errorf("%s: the page is wider than its window", name)
		}
	}
	if got := browser.Eval[string](p, `document.title`); got != "Phones – Carillon inbox (demo)" {
		t.Errorf("a script ran: the title is %q, want \"Phones – Carillon inbox (demo)\"", got)
	}
	if n := browser.Eval[int](p, `document.querySelectorAll("body script, body svg, body img:not([src='icon.svg'])").length`); n != 0 {
		t.Errorf("the text of messages became %d elements, want 0", n)
	}
	checkConsole(t, p)
}

// TestPreviewOfEachPlatform checks that the preview of a platform shows its own part of a
// message, and that a message replaces an older one with the same collapse key.
func TestPreviewOfEachPlatform(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newHarness(t)
	message := func(n int) object {
		return object{
			"token":        "all-faces-phone:1",
			"notification": object{"title": fmt.Sprintf("Shared %d", n), "body": "for all"},
			"data":         object{"link": "https://shop.example/sale"},
			"android":      object{"collapse_key": "news", "notification": object{"title": fmt.Sprintf("Android %d", n), "channel_id": "offers"}},
			"apns":         object{"headers": object{"apns-collapse-id": fmt.Sprintf("c%d", n)}, "payload": object{"aps": object{"alert": object{"subtitle": "only here"}, "badge": 3}}, "fcm_options": object{"image": "https://shop.example/ios.png"}},
			"webpush":      object{"notification": object{"title": fmt.Sprintf("Web %d", n), "actions": []object{{"action": "a", "title": "Buy"}}}, "fcm_options": object{"link": "https://shop.example/web"}},
		}
	}
	w.send(t, message(1))
	w.send(t, object{"token": "silent-phone:1", "data": object{"sync": "now"}})
	w.send(t, object{"topic": "news", "notification": object{"title": "To a topic"}})
	w.send(t, object{"token": "single-phone:1", "notification": object{"title": "+50 points"}, "data": object{"mailing_id": "s1"}})
	p.Go(w.url)
	p.Click(`.row[data-address="single-phone:1"]`)
	p.Until(`document.querySelector(".from").textContent === "message s1" && !document.querySelector("a.from")`)
	p.Click(`.row[data-address="all-faces-phone:1"]`)
	p.Until(`document.querySelector(".face.android .title").textContent === "Android 1"`)
	w.send(t, message(2)) // while the page shows this phone
	p.Until(`document.querySelector(".screen > .notification .title").textContent === "Android 2"`)
	p.Until(`document.querySelectorAll(".screen > .notification").length === 1 && document.querySelectorAll(".replaced .notification").length === 1`)
	p.Until(`document.querySelector(".channel").textContent === "offers" && document.querySelector(".face.android .body").textContent === "for all"`)
	p.Click(`[data-platform=ios]`)
	p.Until(`document.querySelectorAll(".screen > .notification").length === 2 && document.querySelector(".face.ios .title").textContent === "Shared 2"`)
	p.Until(`document.querySelector(".subtitle").textContent === "only here" && document.querySelector(".badge").textContent === "3"`)
	p.Until(`document.querySelector(".picture-link").href === "https://shop.example/ios.png"`)
	p.Click(`[data-platform=web]`)
	p.Until(`document.querySelector(".face.web .title").textContent === "Web 2" && document.querySelector(".face-actions").textContent === "Buy"`)
	p.Until(`document.querySelector(".tap a").href === "https://shop.example/web"`)
	p.Click(`.row[data-address="silent-phone:1"]`)
	p.Until(`document.querySelector(".face.silent").textContent.startsWith("Data only")`)
	if err := w.fcm.SetPhones(fcm.Phone{Token: "muted-*", Notifications: "off"}); err != nil {
		t.Fatal(err)
	}
	w.send(t, object{"token": "muted-phone:1", "notification": object{"title": "Unseen"}})
	p.Click(`.row[data-address="muted-phone:1"]`)
	p.Until(`document.querySelector(".face.silent").textContent.startsWith("Notifications are off")`)
	p.Click(`.row[data-address="news"]`)
	p.Until(`document.querySelector(".screen .title").textContent === "To a topic"`)
	checkConsole(t, p)
}

// TestWithoutFunctions checks the page without functions and without customers: it shows the
// address of FCM, names phones by their tokens, and lists the phone of the newest request
// first, also if FCM refused the request.
func TestWithoutFunctions(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newHarness(t)
	p.Go(w.url)
	p.Until(`document.querySelector("#empty pre").textContent.endsWith("` + w.fcm.URL() + `/v1/projects/demo/messages:send")`)
	for _, token := range []string{"first-phone:1", "second-phone:1"} {
		w.send(t, object{"token": token, "notification": object{"title": "x"}})
	}
	w.send(t, object{"topic": "news", "notification": object{"title": "x"}})
	names := func(want string) {
		t.Helper()
		p.Until(`[...document.querySelectorAll(".row:not([hidden])")].toSorted((a, b) => a.dataset.index - b.dataset.index)
			.map((r) => r.querySelector("b").textContent + " " + r.querySelector("code").textContent).join() === ` + js(want))
	}
	names("news topic,second-phone:1 token,first-phone:1 token")
	w.fcm.SetOutcome("first-phone:1", "UNREGISTERED")
	w.sendRefused(t, object{"token": "first-phone:1"})
	names("first-phone:1 token,news topic,second-phone:1 token")
	p.Click(`.row[data-address="first-phone:1"]`)
	p.Until(`document.querySelector(".detail h2").textContent === "first-phone:1"`)
	p.Resize(360, 740, "light")
	if tooWide := browser.Eval[bool](p, `(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)(document.querySelector(".detail-head .segments"))`); tooWide {
		t.Error("on a narrow screen the outcomes of a token are cut off")
	}
	checkConsole(t, p)
}

// TestControls checks that the controls of the page change the settings of the server, and
// that the page shows settings that a program has changed.
func TestControls(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newHarness(t)
	p.Go(w.url)
	setSlider := func(id string, to int) {
		browser.Eval[bool](p, fmt.Sprintf(`((e) => { e.value = %d; return e.dispatchEvent(new Event("input")); })(document.getElementById(%q))`, to, id))
	}
	p.Until(`document.querySelector("#quota-value").textContent === "none"`)
	setSlider("latency", 5)
	setSlider("errors", 6)
	setSlider("quota", 3)
	p.Until(`document.querySelector("#latency-value").textContent === "100 ms" && document.querySelector("#errors-value").textContent === "10 %"`)
	browser.Eval[bool](p, `new Promise((done) => { const look = async () => {
		const s = await (await fetch("emulator/settings")).json();
		if (s.latency === "100ms" && s.quotaPerMinute === 600 && s.chaos.UNAVAILABLE === 0.1) done(true); else setTimeout(look, 20);
	}; look(); })`)
	s := w.fcm.Settings()
	s.Latency = 0
	if err := w.fcm.Configure(s); err != nil {
		t.Fatal(err)
	}
	p.Until(`document.querySelector("#latency-value").textContent === "0 ms"`)
	w.fcm.SetOutcome("gone-*", "UNREGISTERED")
	s.Chaos = nil
	if err := w.fcm.Configure(s); err != nil {
		t.Fatal(err)
	}
	w.send(t, object{"token": "well-phone:1", "notification": object{"title": "x"}})
	p.Click(`.row[data-address="well-phone:1"]`)
	p.Click(`[data-outcome=SLOW]`)
	p.Until(`document.querySelector("[data-outcome=SLOW]").ariaPressed === "true"`)
	got := w.fcm.CurrentOutcomes()
	if len(got) != 2 {
		t.Fatalf("%d rules, want 2: %+v", len(got), got)
	}
	if got[1].Token != "well-phone:1" {
		t.Errorf("the token of the second rule is %q, want well-phone:1", got[1].Token)
	}
	if got[1].Outcome != "SLOW" {
		t.Errorf("the outcome of the second rule is %q, want SLOW", got[1].Outcome)
	}
	p.Click("#clear")
	p.Until(`document.querySelector("#clear").textContent.endsWith("messages?")`)
	p.Click("#clear")
	p.Until(`!document.querySelector("#empty").hidden && document.querySelector("#list-note").textContent === "0 phones, 0 messages"`)
	checkConsole(t, p)
}

// TestTheFormNamesFaults checks that the form for a new mailing names every fault of a
// refusal by its field, and shows the status of an answer that names none.
func TestTheFormNamesFaults(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	s, err := fcm.Start("127.0.0.1:0", fcm.Options{})
	if err != nil {
		t.Fatalf("starting FCM: %v", err)
	}
	t.Cleanup(s.Close)
	answers := make(chan func(http.ResponseWriter), 3) // in the order of the requests
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/mailings", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"mailings": []}`) })
	api.HandleFunc("POST /v1/mailings", func(w http.ResponseWriter, _ *http.Request) { (<-answers)(w) })
	page := httptest.NewServer(inbox.Handler(inbox.Options{FCM: s.AdminHandler(), API: api}))
	t.Cleanup(page.CloseClientConnections)

	p.Go(page.URL)
	p.Click("#compose")
	browser.Eval[bool](p, `((form) => { form.title.value = "Sale"; form.to.value = "tokens"; form.who.value = "a, b\nc"; return true; })(document.querySelector("#composer form").elements)`)
	for _, c := range []struct {
		name, body string
		status     int
		want       []string
	}{
		{"two faults", `{"title": "Unprocessable", "errors": [{"location": "body.link", "message": "is no address"}, {"location": "body.lifetime", "message": "is too short"}]}`, 422, []string{"link: is no address", "lifetime: is too short"}},
		{"a problem without faults", `{"title": "Conflict", "detail": "another mailing has this key"}`, 409, []string{"another mailing has this key"}},
		{"no problem", "no JSON", 502, []string{"Bad Gateway"}},
	} {
		answers <- func(w http.ResponseWriter) {
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		}
		p.Click("#composer [type=submit]")
		p.Until(`document.querySelector("#composer .faults").textContent === ` + js(strings.Join(c.want, "")) + ` && document.querySelectorAll("#composer .faults li").length === ` + js(len(c.want)))
	}
}
