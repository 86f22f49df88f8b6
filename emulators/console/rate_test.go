package console

import (
	"fmt"
	"testing"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/emulators/inbox/browser"
)

// TestRateOverTime checks that the page of a mailing that has ended shows its rate, when FCM
// limited it and when it was paused: in words, and as a picture that is not empty.
func TestRateOverTime(t *testing.T) {
	p := browser.Open(t, 1280, 900)
	w := newHarness(t)
	w.seed("rate", 20)
	id := w.send(map[string]any{"name": "Over time", "message": message("Over time"), "audience": map[string]any{"segments": map[string]any{"any": []string{"rate"}}}})
	w.await(id, "completed")
	w.spread(id, 90)

	p.Go(at(w.url[looker], "#/mailings/"+id))
	p.Until(`document.querySelector("#limited")?.textContent.startsWith("FCM limited the rate 21 times (answer 429)")`)
	p.Until(`document.querySelectorAll("#pauses li").length === 1 && document.querySelector("#pauses li").textContent.endsWith("A person paused it.")`)
	const colours = `(() => {
		const c = document.querySelector(".chart canvas"), all = c.getContext("2d").getImageData(0, 0, c.width, c.height).data, seen = new Set();
		for (let i = 0; i < all.length; i += 4) if (all[i + 3] === 255) seen.add(all.slice(i, i + 3).join());
		return seen.size;
	})()`
	if n := browser.Eval[int](p, colours); n < 5 {
		t.Errorf("the chart has %d colours, want those of its axes, line, pause and dots", n)
	}
	if faults := p.Faults(); len(faults) > 0 {
		t.Errorf("the console has the errors %q, want none", faults)
	}
}

// spread adds n copies of the first batch of a mailing, one settled each second, of which those from 30 to 49 were a pause, and FCM limited 7 of the others.
func (w *harness) spread(id string, n int) {
	w.t.Helper()
	db, err := firestore.NewClient(w.t.Context(), w.cloud.Project)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	mailing := db.Doc("mailings/" + id)
	snaps, err := mailing.Collection("batches").Documents(w.t.Context()).GetAll()
	if err != nil || len(snaps) == 0 {
		w.t.Fatalf("reading the batches of %s: %d, %v, want at least 1", id, len(snaps), err)
	}

	began := time.Now().Add(-2 * time.Minute).Truncate(time.Second)
	for i := range n {
		if i >= 30 && i < 50 {
			continue
		}
		batch := snaps[0].Data()
		batch["settledAt"], batch["limited"] = began.Add(time.Duration(i)*time.Second), 0
		if i >= 60 && i < 67 {
			batch["limited"] = 3
		}
		if _, err := mailing.Collection("batches").Doc(fmt.Sprintf("copy-%03d", i)).Set(w.t.Context(), batch); err != nil {
			w.t.Fatal(err)
		}
	}

	pause := map[string]any{"from": began.Add(30 * time.Second), "to": began.Add(49 * time.Second), "reason": "by_hand"}
	if _, err := mailing.Update(w.t.Context(), []firestore.Update{{Path: "pauses", Value: []any{pause}}}); err != nil {
		w.t.Fatal(err)
	}
}
