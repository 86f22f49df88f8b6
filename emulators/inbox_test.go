package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp/kb"

	"carillon.example/emulators/inbox/browser"
)

// screenshots is the folder to which TestInbox writes pictures of the page.
var screenshots = flag.String("screenshots", "", "a folder for pictures of the inbox")

// TestInbox uses the page as a person does who tries a mailing: it sends a mailing, sees it on
// a phone, makes a token invalid, sends again, and takes the flag back.
func TestInbox(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1360, 860)
	r := serveCommand(t)
	p.Go(r.addr["Inbox"])
	p.Until(`document.querySelector("#live").dataset.state === "live"`)

	p.Click("#empty button.quiet") // sample customers
	p.Until(`document.querySelector(".toast")?.textContent.startsWith("6 customers added")`)
	p.Click(`a[data-tab=customers]`)
	p.Until(`document.querySelectorAll(".row:not([hidden]) .chip.good").length === 6`) // before the first message
	p.Click(`a[data-tab=phones]`)
	round := watched(p, "Spring sale")
	send(p, "Spring sale", "20 % off everything until Sunday. Come and see.")
	p.Until(`document.querySelectorAll(".row:not([hidden])").length >= 8 && document.querySelectorAll(".said").length >= 8`)
	testShownWithinASecond(t, p, completed(p), round)

	p.Click(`.row[data-address^="bruno-ios:"]`)
	p.Until(`document.querySelector(".detail h2").textContent === "bruno"`)
	p.Until(`document.querySelector(".face.ios .title").textContent === "Spring sale"`)
	p.Click(`button[data-outcome=UNREGISTERED]`)
	p.Until(`document.querySelector(".row[aria-selected=true] .chip").textContent === "unregistered"`)
	p.Until(`document.querySelector("button[data-outcome=UNREGISTERED]").ariaPressed === "true"`)
	send(p, "Second ring", "Does everybody still hear it?")
	p.Until(`document.querySelector(".detail .flag").textContent.includes("Marked invalid by Carillon: UNREGISTERED")`)
	p.Until(`document.querySelector(".detail-head .who .chip").textContent === "not reachable"`)
	p.Until(`document.querySelectorAll(".screen .notification").length === 1`)
	id := completed(p)
	if *screenshots != "" {
		pictures(t, p, id)
	}

	p.Click(`a[data-tab=mailings]`)
	p.Until(`document.querySelector(".row:not([hidden])[data-id=` + id + `]")`)
	p.Until(`["9 of 10 accepted (90 %) · 1 not possible", "10 of 10 accepted (100 %)"].every((sums, i) => document.querySelectorAll(".mailing .third span")[i].textContent === sums)`)
	p.Click(`.row[data-id=` + id + `]`)
	p.Until(`document.querySelector(".detail h2").textContent === "Second ring"`)
	for _, want := range [][2]string{
		{`[data-row="Customers it has come to"]`, "6"}, {`[data-row="Their phones"]`, "10"}, {`[data-row="Accepted for delivery"]`, "9"}, {"[data-code=UNREGISTERED]", "1"},
	} {
		p.Until(fmt.Sprintf(`document.querySelector('%s td').textContent === %q`, want[0], want[1]))
	}
	p.Until(`document.querySelector("#reached").textContent === "9 of 10 accepted (90 %)" && !document.querySelector("[data-code=pending]")`)
	p.Click(`a[data-tab=customers]`)
	p.Until(`document.querySelector("[data-customer=bruno] .chip").textContent === "not reachable"`)
	p.Click(`a[data-tab=mailings]`)
	p.Click(`.row[data-id=` + id + `]`)
	p.Until(`document.querySelector(".detail-head .buttons button").textContent === "Undo its flags"`)
	p.Click(`.detail-head .buttons button`) // undoes the flags of the mailing
	p.Until(`document.querySelector(".toast:last-child").textContent.startsWith("Its flags are being undone")`)
	for !strings.Contains(r.ask(t, "GET", "/v1/mailings/"+id, "").Body, `"unflag":{"state":"completed"`) {
		if t.Context().Err() != nil {
			t.Fatal("the unflag did not complete before the test ended")
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.Click(`a[data-tab=customers]`)
	p.Until(`document.querySelector("[data-customer=bruno] .chip").textContent === "reachable"`)
	p.Until(`document.querySelector("[data-customer=anna] .chip").textContent === "reachable"`)
	testKeyboard(p)
	if faults := p.Faults(); len(faults) > 0 {
		t.Errorf("the console has the errors %q, want none", faults)
	}
}

// send fills the form in and sends it to everyone.
func send(p *browser.Page, title, body string) {
	p.Click("#compose")
	for field, text := range map[string]string{"title": title, "body": body, "link": "https://shop.example/sale", "image": "https://shop.example/spring.png"} {
		browser.Eval[bool](p, `(document.querySelector("#new-`+field+`").select(), true)`)
		p.Type("#new-"+field, text)
	}
	if !browser.Eval[bool](p, `document.querySelector("[name=to][value=everyone]").checked`) {
		p.Click("[name=to][value=everyone]")
	}
	p.Click("#composer button.primary")
	p.Until(`document.querySelector("#composer button.primary").textContent.startsWith("Send to ")`) // to everyone: it asks once more
	p.Click("#composer button.primary")
	p.Until(`!document.querySelector("#composer").open`)
}

// completed waits until the newest mailing has ended, and returns its id.
func completed(p *browser.Page) string {
	return browser.Eval[string](p, `(async () => {
		const id = (await (await fetch("v1/mailings")).json()).mailings[0].id;
		for (;;) {
			const m = await (await fetch("v1/mailings/" + id)).json();
			if (m.state === "completed") return id;
			await new Promise((done) => setTimeout(done, 50));
		}
	})()`)
}

// watched makes the page record when a phone first shows the title of a mailing, and returns
// emptyRound.
func watched(p *browser.Page, title string) float64 {
	browser.Eval[bool](p, `(() => {
		window.seen = new Promise((done) => {
			const look = () => [...document.querySelectorAll(".said")].some((e) => e.textContent.startsWith("`+title+`")) ? done(Date.now()) : requestAnimationFrame(look);
			look();
		});
		return true;
	})()`)
	return emptyRound(p)
}

// emptyRound returns how long one small request of the page takes now until it is shown, in
// milliseconds.
func emptyRound(p *browser.Page) float64 {
	return browser.Eval[float64](p, `(async () => {
		const began = performance.now();
		await (await fetch("inbox.json")).json();
		await new Promise((done) => requestAnimationFrame(done));
		return performance.now() - began;
	})()`)
}

// testShownWithinASecond checks that the page shows a message at most a second after FCM has
// accepted it; on a slow machine, after ten times emptyRound. The page and FCM use the clock
// of this machine.
func testShownWithinASecond(t *testing.T, p *browser.Page, id string, round float64) {
	accepted := time.UnixMilli(browser.Eval[int64](p, `(async () =>
		Date.parse((await (await fetch("emulator/messages?mailing=`+id+`")).json()).messages[0].receivedAt))()`))
	created := time.UnixMilli(browser.Eval[int64](p, `(async () => Date.parse((await (await fetch("v1/mailings/`+id+`")).json()).createdAt))()`))
	shown := time.UnixMilli(browser.Eval[int64](p, `window.seen`))
	round = max(round, emptyRound(p)) // the machine may have become slower since
	t.Logf("shown %s after FCM accepted it and %s after it was created; an empty round takes %.1f ms", shown.Sub(accepted), shown.Sub(created), round)
	if limit := max(time.Second, time.Duration(10*round*float64(time.Millisecond))); shown.Sub(accepted) > limit {
		t.Errorf("the page showed the message %s after FCM accepted it, want at most %s", shown.Sub(accepted), limit)
	}
}

// testKeyboard uses the page without a mouse.
func testKeyboard(p *browser.Page) {
	p.Key("1")
	p.Until(`document.body.dataset.view === "phones"`)
	p.Key("/")
	p.Until(`document.activeElement.id === "search"`)
	browser.Eval[bool](p, `(document.activeElement.select(), true)`) // the browser protocol types the slash into the field, too
	p.Key("customer:chiara second")
	p.Until(`document.querySelector("#list-note").textContent.startsWith("3 of 10 phones")`)
	p.Key("\r")
	p.Until(`document.activeElement.id === "list" && document.querySelector(".detail h2").textContent === "chiara"`)
	first := browser.Eval[string](p, `location.hash`)
	p.Key(kb.ArrowDown)
	p.Until(fmt.Sprintf(`location.hash !== %q`, first))
	p.Key("/")
	p.Key(kb.Escape)
	p.Until(`document.querySelector("#search").value === "" && document.querySelectorAll(".row:not([hidden])").length > 8`)
}

// pictures takes the pictures of docs/inbox.md: a phone and a mailing, on a wide and on a
// narrow screen, light and dark.
func pictures(t *testing.T, p *browser.Page, id string) {
	take := func(name string, width, height int64, scheme string) {
		browser.Eval[bool](p, `(document.querySelectorAll(".toast").forEach((e) => e.remove()), true)`)
		p.Resize(width, height, scheme)
		if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), p.Picture(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p.Until(`document.querySelectorAll("#stats dd")[1].textContent === "19"`) // the page updates them twice a second
	take("inbox-light", 1360, 860, "light")
	take("inbox-phone", 390, 844, "light")
	p.Resize(1360, 860, "dark")
	p.Click(`a[data-tab=mailings]`)
	p.Until(`document.querySelector(".row:not([hidden])[data-id=` + id + `]")`)
	take("inbox-phone-list", 390, 844, "dark")
	p.Resize(1360, 860, "dark")
	p.Click(`.row[data-id=` + id + `]`)
	p.Until(`document.querySelector(".detail #funnel")`)
	take("inbox-dark", 1360, 860, "dark")
	firestorePictures(p, take)
	p.Resize(1360, 860, "light")
	p.Click(`a[data-tab=phones]`)
}

// firestorePictures takes the pictures of a document and of the requests.
func firestorePictures(p *browser.Page, take func(name string, width, height int64, scheme string)) {
	p.Resize(1360, 860, "light")
	p.Click(`a[data-tab=data]`)
	p.Until(`document.querySelector(".row[data-path=customers]:not([hidden])")`)
	p.Click(`.row[data-path=customers]`)
	p.Until(`document.querySelector(".row[data-path^='customers/']:not([hidden])")`)
	p.Click(`.row[data-path^='customers/']:not([hidden])`)
	p.Until(`document.querySelector(".record .fields")`)
	take("inbox-data", 1360, 860, "light")
	p.Click(`a[data-tab=requests]`)
	p.Until(`document.querySelectorAll(".request").length > 5`)
	p.Click(`.row[data-index="0"]`)
	p.Until(`document.querySelector(".detail dl")`)
	take("inbox-requests", 1360, 860, "dark")
}

// TestInboxWithoutFunctions checks that the inbox has no mailings and customers without
// functions.
func TestInboxWithoutFunctions(t *testing.T) {
	t.Parallel()
	r := serveCommand(t, "-only", "fcm")
	for path, want := range map[string]int{"/": 200, "/inbox.json": 200, "/emulator/stats": 200, "/v1/mailings": 404} {
		resp, err := http.Get(r.addr["Inbox"] + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, resp.StatusCode, want)
		}
		if path == "/inbox.json" && !strings.Contains(string(b), `"api":false`) {
			t.Errorf("/inbox.json is %s, want \"api\":false in it", b)
		}
	}
}
