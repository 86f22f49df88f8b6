package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"carillon.example/emulators/testcloud/check"
)

// TestLogsAreReadableOnATerminal runs commands on a pseudo-terminal, where the logs of the
// functions are text. The report at the end of load stays JSON, for programs.
func TestLogsAreReadableOnATerminal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		json int // lines of JSON
	}{
		{[]string{"demo", "-log", "info", "-fcm-latency", "1ms"}, 0},
		{[]string{"load", "-log", "info", "-customers", "50", "-fcm-latency", "1ms"}, 1},
	} {
		out := runOnTerminal(t, c.args...)
		if !regexp.MustCompile(`(?m)^(.*\r)?\d\d:\d\d:\d\d\.\d{3} INFO `).MatchString(out) {
			t.Errorf("%v: no line of the log is readable:\n%s", c.args, out)
		}
		json := 0
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "{") {
				json++
			}
		}
		check.Equal(t, json, c.json, "lines of JSON of %v", c.args)
	}
}

// runOnTerminal runs a command whose standard output is a terminal, and returns what it prints.
func runOnTerminal(t *testing.T, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("there is no pseudo-terminal: %v", err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatalf("reading the number of the terminal: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatalf("unlocking the terminal: %v", err)
	}
	terminal, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatalf("opening the terminal: %v", err)
	}

	cmd := command(t.Context(), args...)
	cmd.Stdout, cmd.Stderr = terminal, t.Output()
	err = cmd.Start()
	terminal.Close()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	_, _ = io.Copy(&out, master) // the error says that the other side has closed
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %v\n%s", args, err, out.String())
	}
	return out.String()
}
