package inbox_test

import (
	"strings"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"carillon.example/emulators/inbox/browser"
)

// TestRequestsAreShownLive checks that requests appear while the view is shown, the newest
// first, that the filters find them, and that hostile text of theirs stays text.
func TestRequestsAreShownLive(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newDataHarness(t)
	p.Go(w.url + "/#requests")
	p.Until(`document.querySelector("#empty h3").textContent === "No request yet"`)

	const markup = `<img src=x onerror="document.title='run'">`
	w.set(t, map[string]map[string]*pb.Value{"a/first": {"n": number(1)}})
	w.get(t, "a/first")
	w.firestore.SetFault(func(string, proto.Message) error { return status.Error(codes.Unavailable, markup+" \u202eevil") })
	w.get(t, "a/"+strings.ReplaceAll(markup, "/", "∕"))
	w.firestore.SetFault(nil)
	w.get(t, "a/missing")
	rows := func(want string) {
		t.Helper()
		p.Until(`[...document.querySelectorAll(".row:not([hidden])")].toSorted((a, b) => a.dataset.index - b.dataset.index)
			.map((r) => r.querySelector("b").textContent + " " + r.querySelector("b + span").textContent + " " + r.querySelector(".third span").textContent).join() === ` + js(want))
	}
	const all = "GetDocument NOT_FOUND 1 read,GetDocument UNAVAILABLE ,GetDocument  1 read,Commit  1 write"
	rows(all)
	p.Until(`document.querySelector(".row[data-index='3'] code").textContent === "a/first" && document.querySelector("#list-note").textContent === "4 requests"`)
	p.Click(`.row[data-index="1"]`)
	p.Until(`document.querySelector(".detail dl").textContent.includes(` + js(markup+" \u202eevil") + `) && document.querySelector(".detail dl .chip").textContent === "UNAVAILABLE"`)
	p.Click(`.row[data-index="3"]`)
	p.Until(`document.querySelector('.detail a[href="#data/a%2Ffirst"]').textContent === "a/first" && document.querySelector(".detail h2").textContent === "Commit"`)

	p.Click("#only-errors")
	rows("GetDocument NOT_FOUND 1 read,GetDocument UNAVAILABLE ")
	p.Until(`document.querySelector("#list-note").textContent === "2 of 4 requests"`)
	p.Click("#only-errors")
	setSearch(p, "getdocument first")
	rows("GetDocument  1 read")
	setSearch(p, "no such words")
	p.Until(`document.querySelector("#empty h3").textContent === "No such request"`)
	setSearch(p, "")
	rows(all)

	p.Key("1")
	p.Until(`document.body.dataset.view === "phones"`)
	w.get(t, "a/first")
	p.Key("5")
	rows("GetDocument  1 read," + all)
	number := browser.Eval[string](p, `document.querySelector(".row[data-index='0']").dataset.number`)
	p.Go(w.url + "/?again#requests/" + number)
	p.Until(`document.querySelector(".detail h2").textContent === "GetDocument" && document.querySelector(".detail .chip").textContent === "OK"`)

	if title := browser.Eval[string](p, `document.title`); title != "Requests – Carillon inbox (demo)" {
		t.Errorf("a script ran: the title is %q, want \"Requests – Carillon inbox (demo)\"", title)
	}
	checkConsole(t, p)
}

// TestWithoutFirestoreTheViewsAreHidden checks that the page has neither view where no
// Firestore emulator runs, also by their addresses and keys.
func TestWithoutFirestoreTheViewsAreHidden(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1200, 800)
	w := newHarness(t)
	p.Go(w.url + "/#data/a/b")
	p.Until(`document.body.dataset.view === "phones" && getComputedStyle(document.querySelector("[data-tab=data]").parentElement).display === "none"`)
	p.Key("5")
	p.Key("4")
	p.Until(`document.body.dataset.view === "phones" && getComputedStyle(document.querySelector("[data-tab=requests]").parentElement).display === "none"`)
	checkConsole(t, p)
}
