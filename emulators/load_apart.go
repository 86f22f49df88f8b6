package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// apartTimeout is what a function's call may take: deliver's in Terraform, and
// within the ack deadline of subscribe.
const apartTimeout = 2 * time.Minute

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
	err = errors.Join(l.environment(), l.setenv("CALL_TIMEOUT", apartTimeout.String()), l.setenv("MAX_INSTANCES", fmt.Sprint(instances["deliver"])))
	if err != nil {
		return nil, nil, err
	}
	if f, err = newFleet(apartTimeout, newCalls(), os.Stderr); err != nil {
		return nil, nil, err
	}
	l.onClose(f.Close)
	if err := f.startAll(ctx); err != nil {
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
