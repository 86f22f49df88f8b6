package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/inbox/browser"
)

// TestHeldFlagsAreDecided decides, on the page, about tokens of which FCM said that they are
// invalid, more than can be true: that FCM is wrong flags none, that it is right flags all, and
// both let the mailing end.
func TestHeldFlagsAreDecided(t *testing.T) {
	p := browser.Open(t, 1280, 900)
	w := newHarness(t)
	const customers = 60
	for _, test := range []struct {
		decision  string // the button
		available bool   // whether push can reach the customers afterwards
	}{{"drop-held", true}, {"flag-held", false}} {
		w.cloud.Phones.ClearOutcomes()
		segment := strings.ReplaceAll(test.decision, "-", "")
		var lines strings.Builder
		for i := range customers {
			fmt.Fprintf(&lines, `{"id":"%[1]s%02[2]d","segments":["%[1]s"],"tokens":[{"token":"doubt-%[1]s-%02[2]d:APA91bxxxxxxxxxxxxxxxxxxxxxxxxxx","platform":"android","app":"%[1]s"}]}`+"\n", segment, i)
		}
		w.call("POST", "/v1/imports", lines.String())
		w.cloud.Phones.SetOutcome("doubt-*", "UNREGISTERED")
		id := w.send(map[string]any{"name": test.decision, "message": message("In doubt"), "audience": map[string]any{"segments": map[string]any{"any": []string{segment}}}})
		w.awaitHeld(id)

		p.Go(at(w.url[sender], "#/mailings/"+id))
		p.Click("#do-" + test.decision)
		p.Until(`document.querySelector("#dialog").open && document.querySelector("#dialog").textContent.includes("60 phones")`)
		p.Click("#dialog .buttons button:last-child")
		w.await(id, "completed")
		for _, customer := range []string{"00", "59"} {
			if got := w.call("GET", "/v1/customers/"+segment+customer, nil)["pushAvailable"]; got != test.available {
				t.Errorf("%s: customer %s%s has pushAvailable %v, want %t", test.decision, segment, customer, got, test.available)
			}
		}
	}
	w.cloud.Phones.ClearOutcomes()
}

// awaitHeld waits until a mailing holds flags. It is paused then, unless FCM accepts tokens of
// another app.
func (w *harness) awaitHeld(id string) {
	w.t.Helper()
	for {
		held, _ := w.call("GET", "/v1/mailings/"+id, nil)["held"].(map[string]any)
		for _, n := range held {
			if n.(float64) > 0 {
				return
			}
		}
		select {
		case <-w.t.Context().Done():
			w.t.Fatalf("mailing %s holds %v, want some flags", id, held)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
