package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// A bar shows progress on one line where out is a terminal, and only the end
// of it elsewhere.
type bar struct {
	out  io.Writer
	what string
	live bool
	last string
}

func newBar(out io.Writer, what string) *bar {
	b := &bar{out: out, what: what}
	if f, ok := out.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			b.live = info.Mode()&os.ModeCharDevice != 0
		}
	}
	return b
}

func (b *bar) show(done, all int64, note string) {
	const width = 30
	full := 0
	if all > 0 {
		full = int(done * width / all)
	}
	b.last = fmt.Sprintf("%s [%s%s] %d/%d %s", b.what, strings.Repeat("=", full), strings.Repeat(" ", width-full), done, all, note)
	if b.live {
		fmt.Fprintf(b.out, "\r\033[K%s", b.last)
	}
}

func (b *bar) end() {
	if b.live {
		fmt.Fprintln(b.out)
	} else if b.last != "" {
		fmt.Fprintln(b.out, b.last)
	}
}
