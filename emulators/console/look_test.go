package console

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/inbox/browser"
)

// TestWhoLooksChangesNothing tries every operation that changes something as somebody who
// may only look: the page offers none, and a request of the page itself is refused.
func TestWhoLooksChangesNothing(t *testing.T) {
	p := browser.Open(t, 1280, 900)
	w := newHarness(t)
	w.seed("l", 20)
	id := w.send(map[string]any{"name": "Not theirs", "message": message("Not theirs"), "audience": map[string]any{"segments": map[string]any{"any": []string{"l"}}}, "maxCustomers": 1})
	w.await(id, "paused")
	state := func() map[string]any {
		m := w.call("GET", "/v1/mailings/"+id, nil)
		return map[string]any{"state": m["state"], "tokens": m["tokens"], "settings": w.call("GET", "/v1/settings", nil), "customer": w.call("GET", "/v1/customers/l0000", nil)["tokens"],
			"mailings": len(w.call("GET", "/v1/mailings?pageSize=500", nil)["mailings"].([]any))}
	}
	before := state()

	for place, offered := range map[string]string{
		"#/": "[data-view=compose]:not([hidden])", "#/mailings": "main a[href='#/compose']", "#/mailings/" + id: ".actions button", "#/customers/l0000": "#erase", "#/settings": "#save, main select:not(:disabled), main input:not(:disabled)", "#/compose": "main form",
	} {
		p.Go(at(w.url[looker], place))
		if n := browser.Eval[int](p, fmt.Sprintf(`document.querySelectorAll(%q).length`, offered)); n != 0 {
			t.Errorf("%s offers %d of %s", place, n, offered)
		}
	}
	p.Go(at(w.url[looker], "#/mailings/"+id))
	p.Click("#recipients") // a browser follows the link itself, without a script
	if got := w.saved(); got != 200 {
		t.Errorf("the recipients are answered with %d, want 200", got)
	}
	draft := map[string]any{"message": message("x"), "audience": map[string]any{"everyone": true}}
	for _, o := range []struct {
		method, path string
		body         any
	}{
		{"POST", "/v1/mailings", draft}, {"POST", "/v1/mailings/" + id + "/pause", nil}, {"POST", "/v1/mailings/" + id + "/resume", nil}, {"POST", "/v1/mailings/" + id + "/cancel", nil}, {"POST", "/v1/mailings/" + id + "/unflag", nil},
		{"POST", "/v1/mailings/" + id + "/flag-held", nil}, {"POST", "/v1/mailings/" + id + "/drop-held", nil},
		{"POST", "/v1/messages", map[string]any{"customer": "l0000", "message": message("x")}}, {"DELETE", "/v1/customers/l0000", nil}, {"PUT", "/v1/settings", map[string]any{"devices": "latest"}},
	} {
		b, err := json.Marshal(o.body)
		if err != nil {
			t.Fatal(err)
		}
		script := fmt.Sprintf(`fetch(%q, { method: %q, headers: { "X-Carillon-Console": "1", "Content-Type": "application/json" }, body: %q }).then((a) => a.status)`, o.path, o.method, b)
		if got := browser.Eval[int](p, script); got != 403 {
			t.Errorf("%s %s in the page answered %d, want 403", o.method, o.path, got)
		}
		if got, _ := w.try(w.url[looker], o.method, o.path, o.body); got != 403 {
			t.Errorf("%s %s without the page answered %d, want 403", o.method, o.path, got)
		}
	}
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Errorf("something has changed (-before +after):\n%s", diff)
	}
}

// TestHostileText: what senders and customers wrote is shown as it is, and runs nothing.
func TestHostileText(t *testing.T) {
	p := browser.Open(t, 1280, 900)
	w := newHarness(t)
	const script = `<img src=x onerror="document.title='run'"><script>document.title='run'</script>`
	id := "h-" + script
	b, err := json.Marshal(map[string]any{"id": id, "segments": []string{"hostile"}, "attributes": map[string]any{"x": script}, "tokens": []map[string]any{{"token": "fine-hostile:APA91bxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "platform": "web", "app": script}}})
	if err != nil {
		t.Fatal(err)
	}
	w.call("POST", "/v1/imports", string(b)+"\n")
	m := w.send(map[string]any{"name": script, "message": map[string]any{"notification": map[string]any{"title": script, "body": script}}, "audience": map[string]any{"customers": []string{id}}})
	w.await(m, "completed")
	for place, ready := range map[string]string{
		"#/": "", "#/mailings": contains("main", "<img src=x"), "#/mailings/" + m: contains("h1", "<img src=x"), "#/compose?from=" + m: `document.querySelector("#title").value.startsWith("<img")`,
		"#/customers/" + browser.Eval[string](p, fmt.Sprintf(`encodeURIComponent(%q)`, id)): contains("#why", "h-<img") + " && " + contains("#messages", "<img"),
	} {
		p.Go(at(w.url[sender], place))
		if ready != "" {
			p.Until(ready)
		}
		if n := browser.Eval[int](p, `document.querySelectorAll("main img, main script").length`); n != 0 {
			t.Errorf("%s: %d elements were made of text", place, n)
		}
		if got := browser.Eval[string](p, `document.title`); got == "run" {
			t.Errorf("%s: a text ran", place)
		}
		if browser.Eval[bool](p, `document.documentElement.scrollWidth > innerWidth`) {
			t.Errorf("%s is wider than its window", place)
		}
	}
	if faults := p.Faults(); len(faults) > 0 {
		t.Errorf("the browser's console says %q", faults)
	}
}
