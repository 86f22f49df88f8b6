// Package progress shows on a terminal how far a command is, and makes logs readable there.
package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// A Bar shows progress on one line of a terminal. If out is not a terminal, it prints
// only the last state.
type Bar struct {
	out  io.Writer
	what string
	live bool
	last string
}

// NewBar returns a bar that writes to out. what names the work.
func NewBar(out io.Writer, what string) *Bar {
	b := &Bar{out: out, what: what}
	if f, ok := out.(*os.File); ok {
		b.live = IsTerminal(f)
	}
	return b
}

// Show draws the share of all that is done, with a note behind it.
func (b *Bar) Show(done, all int64, note string) {
	part := 0.0
	if all > 0 {
		part = float64(done) / float64(all)
	}
	b.Draw(part, fmt.Sprintf("%d/%d %s", done, all, note))
}

// Draw fills a share of the bar, 0 to 1, with a text behind it.
func (b *Bar) Draw(part float64, text string) {
	const width = 30
	full := int(part * width)
	b.last = fmt.Sprintf("%s [%s%s] %s", b.what, strings.Repeat("=", full), strings.Repeat(" ", width-full), text)
	if b.live {
		fmt.Fprintf(b.out, "\r\033[K%s", b.last)
	}
}

// Say writes a separate line. The next Draw or Show draws the bar again.
func (b *Bar) Say(text string) {
	if b.live {
		fmt.Fprint(b.out, "\r\033[K")
	}
	fmt.Fprintf(b.out, "%s: %s\n", b.what, text)
}

// End ends the line of the bar.
func (b *Bar) End() {
	if b.live {
		fmt.Fprintln(b.out)
	} else if b.last != "" {
		fmt.Fprintln(b.out, b.last)
	}
}
