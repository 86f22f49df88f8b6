// Package browser drives Chromium for the tests of the inbox. It gives each
// test its own page, and records the errors and warnings of the console.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// names are the names of the Chromium command in Debian and elsewhere.
var names = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

// A Page is a page of a browser. The browser ends with its test.
type Page struct {
	t   testing.TB
	ctx context.Context

	// mu guards faults: the browser's goroutine adds to it.
	mu     sync.Mutex
	faults []string
}

// Open starts a browser with an empty page of the given size in CSS pixels. It
// skips the test when no browser is installed.
func Open(t testing.TB, width, height int) *Page {
	t.Helper()
	path := ""
	for _, n := range names {
		if p, err := exec.LookPath(n); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skipf("no browser: none of %v is in PATH (Debian: apt-get install chromium)", names)
	}

	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path), chromedp.WindowSize(width, height),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-GB"), chromedp.WSURLReadTimeout(time.Minute))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to run as root with its sandbox
	}

	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	p := &Page{t: t}
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithListener(p.listen))
	t.Cleanup(func() {
		cancel()
		stop()
	})

	p.ctx = ctx
	// The first call starts the browser, which runs until its context ends.
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatalf("starting %s: %v", path, err)
	}
	return p
}

// listen records the errors and warnings of the console.
func (p *Page) listen(event any) {
	say := func(format string, a ...any) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = append(p.faults, fmt.Sprintf(format, a...))
	}

	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if o := e.ExceptionDetails.Exception; o != nil {
			text += " " + o.Description
		}
		say("exception: %s", text)
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			for _, a := range e.Args {
				say("console.%s: %s %s", e.Type, a.Value, a.Description)
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			say("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	}
}

// Faults returns the errors and warnings of the console so far.
func (p *Page) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// actionTimeout is the time limit of one action. It is long, so that no test
// fails because a machine is slow.
const actionTimeout = 3 * time.Minute

// Run runs an action and returns its value. The test fails at once when the
// action fails.
func Run[T any](p *Page, what string, a chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, actionTimeout)
	defer cancel()
	v, err := chromedp.Run(ctx, a)
	if err != nil {
		p.t.Fatalf("%s: %v; the console says %q; the page shows %.3000q", what, err, p.Faults(), p.text())
	}
	return v
}

// Eval evaluates a JavaScript expression. It waits for the value of a promise.
func Eval[T any](p *Page, expression string) T {
	p.t.Helper()
	return Run(p, expression, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

func (p *Page) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body?.innerText || ""`))
	if err != nil {
		return err.Error()
	}
	return text
}

// Go loads an address and waits until the page is ready.
func (p *Page) Go(url string) {
	p.t.Helper()
	Run(p, "going to "+url, chromedp.Navigate(url))
	p.Until(`document.body.dataset.ready === "yes"`)
}

// Until waits until a JavaScript expression is true. It checks once per frame.
// An expression that throws counts as false.
func (p *Page) Until(expression string) {
	p.t.Helper()
	Eval[bool](p, `new Promise((done) => {
		const holds = () => { try { return `+expression+`; } catch { return false; } };
		const look = () => holds() ? done(true) : requestAnimationFrame(look);
		look();
	})`)
}

// Click clicks the element that a selector finds, as a mouse does. When the page
// replaces the element after it was found, the new one is clicked: nothing has been
// clicked then.
func (p *Page) Click(selector string) {
	p.t.Helper()
	click := chromedp.Click(selector, chromedp.NodeVisible)
	Run(p, "clicking "+selector, chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for {
			_, err := click(ctx, t)
			if !isReplaced(err) || ctx.Err() != nil {
				return err
			}
		}
	}))
}

// isReplaced reports whether an element was replaced after it was found.
func isReplaced(err error) bool {
	fault, ok := errors.AsType[*cdproto.Error](err)
	return ok && fault.Message == "Could not find node with given id"
}

// Type types into the element that a selector finds, as a keyboard does.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	Run(p, "typing into "+selector, chromedp.SendKeys(selector, text, chromedp.NodeVisible))
}

// Key presses keys in the focused element.
func (p *Page) Key(keys string) {
	p.t.Helper()
	Run(p, "pressing "+keys, chromedp.KeyEvent(keys))
}

// Resize changes the size of the page, in CSS pixels, and its colour scheme:
// light or dark.
func (p *Page) Resize(width, height int64, scheme string) {
	p.t.Helper()
	Run(p, "resizing", chromedp.EmulateViewport(width, height))
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, media); err != nil {
		p.t.Fatalf("changing to %s: %v", scheme, err)
	}
	Eval[bool](p, `new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))`)
}

// Offline cuts the connections of the page, or lets it connect again. The page gets the event
// offline or online.
func (p *Page) Offline(off bool) {
	p.t.Helper()
	if _, err := chromedp.Call(p.ctx, network.Enable, network.EnableParams{}); err != nil {
		p.t.Fatalf("following the network: %v", err)
	}
	conditions := []*network.Conditions{{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}}
	if _, err := chromedp.Call(p.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{MatchedNetworkConditions: conditions}); err != nil {
		p.t.Fatalf("switching the network: %v", err)
	}
	state := network.OverrideNetworkStateParams{Offline: off, DownloadThroughput: -1, UploadThroughput: -1}
	if _, err := chromedp.Call(p.ctx, network.OverrideNetworkState, state); err != nil {
		p.t.Fatalf("telling the page about the network: %v", err)
	}
}

// Picture returns a screenshot of the page as a PNG.
func (p *Page) Picture() []byte {
	p.t.Helper()
	return Run(p, "taking a picture", chromedp.CaptureScreenshot())
}

// FullPicture returns a screenshot of the whole page, also of what is below the window,
// as a PNG.
func (p *Page) FullPicture() []byte {
	p.t.Helper()
	return Run(p, "taking a picture", chromedp.FullScreenshot(100))
}
