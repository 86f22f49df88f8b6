package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"carillon.example/emulators/progress"
)

// startApart starts the emulators in this process, and every function in
// processes of its own, so that their memory can be told apart.
func startApart(ctx context.Context, o options) (l *laptop, f *fleet, err error) {
	l = &laptop{options: o}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if err := l.emulators(); err != nil {
		return nil, nil, err
	}
	if l.instances == 0 {
		l.instances = deliverApart
	}
	if err := l.environment(); err != nil {
		return nil, nil, err
	}
	if f, err = l.startFleet(ctx, fleetSizes(l.instances)); err != nil {
		return nil, nil, err
	}
	if err := l.serve(f.handler, nil); err != nil {
		return nil, nil, err
	}
	if err := l.subscribe(ctx); err != nil {
		return nil, nil, err
	}

	return l, f, l.clockwork(ctx)
}

// startFleet starts processes of functions, as many of each as sizes says.
func (l *laptop) startFleet(ctx context.Context, sizes map[string]int) (*fleet, error) {
	f, err := newFleet(sizes, functionTimeout, nil, fleetLog())
	if err != nil {
		return nil, err
	}
	l.onClose(f.Close)
	return f, f.startAll(ctx)
}

// fleetLog is where processes of functions log: for people where that is a
// terminal.
func fleetLog() io.Writer {
	if !progress.IsTerminal(os.Stderr) {
		return os.Stderr
	}
	r, w := io.Pipe()
	go progress.CopyReadable(os.Stderr, r)
	return w
}

// peaks is the most memory a process of each function has had, in MiB; nothing
// where the system does not tell.
func (f *fleet) peaks() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int64{}
	for _, x := range f.all {
		if x.cmd == nil {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.cmd.Process.Pid))
		if err != nil {
			continue
		}
		var kib int64
		if _, rest, ok := strings.Cut(string(b), "VmHWM:"); ok {
			_, _ = fmt.Sscan(rest, &kib) // 0 is not listed
		}
		if mib := kib / 1024; mib > out[x.fn] {
			out[x.fn] = mib
		}
	}

	return out
}
