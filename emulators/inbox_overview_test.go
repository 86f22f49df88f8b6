package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/inbox/browser"
)

// TestInboxOverview uses what stands where nothing is chosen: it imports customers from a
// file, changes which phones mailings go to, plans a mailing, and sees it in the list of the
// newest.
func TestInboxOverview(t *testing.T) {
	t.Parallel()
	p := browser.Open(t, 1360, 860)
	r := serveCommand(t)
	p.Go(r.addr["Inbox"])
	p.Until(`document.querySelector("#devices").value === "all"`)

	importFile := func(name, content, want string) {
		t.Helper()
		browser.Eval[bool](p, fmt.Sprintf(`(() => {
			document.querySelectorAll(".toast").forEach((e) => e.remove());
			const files = new DataTransfer(), input = document.querySelector("#import-file");
			files.items.add(new File([%q], %q));
			input.files = files.files;
			return input.dispatchEvent(new Event("change"));
		})()`, content, name))
		p.Until(`document.querySelector(".toast")?.textContent.startsWith(` + fmt.Sprintf("%q", want) + `)`)
	}
	importFile("customers.ndjson", `{"id":"gita","tokens":[{"token":"gita-phone-1","platform":"ios"}]}`+"\n", "1 customer imported.")
	importFile("customers.csv", "id,token,platform\nhugo,hugo-phone-1,android\nhugo,hugo-phone-2,android\n", "2 customers imported.")
	importFile("faulty.ndjson", "no JSON\n", "0 customers imported, not 1 line: line 1: ")
	for _, customer := range []string{"gita", "hugo"} {
		if got := r.ask(t, "GET", "/v1/customers/"+customer, ""); got.Code != http.StatusOK {
			t.Errorf("customer %s: %s, want 200", customer, got)
		}
	}

	browser.Eval[bool](p, `((s) => { s.value = "latest"; return s.dispatchEvent(new Event("change")); })(document.querySelector("#devices"))`)
	p.Until(`document.querySelector(".toast:last-child").textContent.startsWith("Mailings go to only the phone that a customer added last")`)
	if body := r.ask(t, "GET", "/v1/settings", "").Body; !strings.Contains(body, `"devices":"latest"`) {
		t.Errorf("the settings are %s, want devices latest", body)
	}

	p.Click("#compose")
	p.Until(`document.querySelector("#new-devices option").textContent === "as set: only the phone that a customer added last"`)
	p.Type("#new-title", "Tomorrow")
	at := time.Now().Add(26 * time.Hour).Truncate(time.Minute)
	browser.Eval[bool](p, fmt.Sprintf(`((f) => { const at = new Date(%d); at.setMinutes(at.getMinutes() - at.getTimezoneOffset()); f.when.value = at.toISOString().slice(0, 16); f.to.value = "customers"; f.who.value = "hugo"; return f.to[0].dispatchEvent(new Event("change", { bubbles: true })); })(document.querySelector("#composer form").elements)`, at.UnixMilli()))
	p.Click("#composer button.primary")
	p.Until(`!document.querySelector("#composer").open`)
	p.Until(`document.querySelector(".overview .running a")?.textContent === "Tomorrow" && document.querySelector(".overview .running .chip").textContent === "Scheduled"`)
	if body := r.ask(t, "GET", "/v1/mailings", "").Body; !strings.Contains(body, `"sendAt":"`+at.UTC().Format(time.RFC3339)+`"`) {
		t.Errorf("the mailings are %s, want one with sendAt %s", body, at.UTC().Format(time.RFC3339))
	}
	if faults := p.Faults(); len(faults) > 0 {
		t.Errorf("the console has the errors %q, want none", faults)
	}
}
