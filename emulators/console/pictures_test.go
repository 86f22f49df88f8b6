package console

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"carillon.example/emulators/inbox/browser"
)

var screenshots = flag.String("screenshots", "", "a folder for pictures of every view")

// furnish makes what the views show: mailings in every state, customers and statistics.
// It returns the addresses of all views.
func (w *harness) furnish() map[string]string {
	w.t.Helper()
	w.seed("p", 600)
	w.ninetyDays()
	done := w.send(map[string]any{"name": "Spring sale, Riga", "tags": []string{"spring"}, "audience": map[string]any{"segments": map[string]any{"any": []string{"p"}}}, "variants": []map[string]any{
		{"name": "a", "share": 0.5, "message": message("Spring sale"), "link": "https://shop.example/sale"}, {"name": "b", "share": 0.5, "message": message("Everything 20 % off until Sunday evening, in every shop and online as well")}}})
	w.await(done, "completed")
	w.spread(done, 90)
	everyone := map[string]any{"everyone": true}
	w.send(map[string]any{"name": "Next week", "message": message("Later"), "audience": everyone, "sendAt": time.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339)})
	halted := w.send(map[string]any{"name": "Weekend", "message": message("Weekend"), "audience": everyone, "ratePerMinute": 600, "maxCustomers": 10})
	w.await(halted, "paused")
	running := w.send(map[string]any{"message": message("Slow and steady: a title of about sixty characters, as most are"), "audience": everyone, "ratePerMinute": 600})
	return map[string]string{
		"overview": "#/", "mailings": "#/mailings", "mailing": "#/mailings/" + done, "running": "#/mailings/" + running, "paused": "#/mailings/" + halted,
		"customers": "#/customers", "customer": "#/customers/p0006", "nobody": "#/customers/nobody", "compose": "#/compose?from=" + done, "settings": "#/settings", "nowhere": "#/nowhere",
	}
}

// sizes are those that every view is looked at in.
var sizes = []struct {
	name          string
	width, height int64
}{{"desktop", 1280, 900}, {"phone", 390, 844}}

// TestPictures takes pictures of every view into the folder of -screenshots. Without the
// flag it takes one, so that the way of taking them stays tested.
func TestPictures(t *testing.T) {
	p := browser.Open(t, 1280, 900)
	w := newHarness(t)
	views := w.furnish()
	if *screenshots == "" {
		p.Go(at(w.url[sender], views[slices.Sorted(maps.Keys(views))[0]]))
		checkPicture(t, p.FullPicture(), 1280)
		return
	}

	for name, place := range views {
		for _, size := range sizes {
			for _, scheme := range []string{"light", "dark"} {
				p.Resize(size.width, size.height, scheme)
				p.Go(at(w.url[sender], place))
				browser.Eval[bool](p, `new Promise((done) => setTimeout(() => done(true), 1200))`)
				picture := p.FullPicture()
				checkPicture(t, picture, int(size.width))
				file := filepath.Join(*screenshots, fmt.Sprintf("%s-%s-%s.png", name, size.name, scheme))
				if err := os.WriteFile(file, picture, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// checkPicture checks that a picture is a PNG of the width of the page.
func checkPicture(t *testing.T, picture []byte, width int) {
	t.Helper()
	size, err := png.DecodeConfig(bytes.NewReader(picture))
	if err != nil {
		t.Fatalf("decoding a picture: %v", err)
	}
	if size.Width != width {
		t.Errorf("the picture is %d pixels wide, want %d", size.Width, width)
	}
}
