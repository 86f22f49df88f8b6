package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// startWithin is the longest time until a server listens.
const startWithin = time.Minute

// startAndMeasure starts the server, measures it, and ends it. To the figures it adds how
// long the start took and how much memory the process has after the
// measurements.
func (s server) startAndMeasure(ctx context.Context, measure func(addr string) ([]figure, error)) ([]figure, error) {
	began := time.Now()
	cmd := exec.CommandContext(ctx, s.command[0], s.command[1:]...)
	cmd.Stderr = nil // Google's emulators log much
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.command[0], err)
	}
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // the group: a script may have a child
		_ = cmd.Wait()
	}()
	if err := s.waitUntilListening(ctx); err != nil {
		return nil, err
	}
	start := figure{"from start to listening, s", fmt.Sprintf("%.2f", time.Since(began).Seconds())}

	figures, err := measure(s.addr)
	if err != nil {
		return nil, err
	}
	return append([]figure{start}, append(figures, figure{"resident memory after it, MiB", residentMemory(cmd.Process.Pid)})...), nil
}

// waitUntilListening waits until the server accepts connections.
func (s server) waitUntilListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nothing listens on %s after %v: %w", s.addr, startWithin, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// residentMemory returns the resident memory of a process in MiB, if the system reports
// it.
func residentMemory(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	var kib int
	if _, rest, ok := strings.Cut(string(b), "VmRSS:"); ok {
		_, _ = fmt.Sscan(rest, &kib) // 0 if the text cannot be read
	}
	return formatNumber(kib / 1024)
}

// freePort returns a port on which no process listens.
func freePort(ctx context.Context) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	return port, err
}
