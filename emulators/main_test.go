package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon.example/emulators/loadtest"
	"carillon.example/emulators/official"
)

// TestMain lets the test binary stand for the command itself: a process each,
// as it is used.
func TestMain(m *testing.M) {
	if os.Getenv("CARILLON_RUN_COMMAND") != "" {
		main()
		return
	}
	flag.Parse()
	if parallel := flag.Lookup("test.parallel").Value; parallel.String() == fmt.Sprint(runtime.GOMAXPROCS(0)) {
		_ = parallel.Set("8") // they wait for other processes most of the time
	}
	os.Exit(m.Run())
}

// patient is how long a mailing may take: on a slow machine, and on servers that
// other tests use at the same time.
const patient = 5 * time.Minute

// command is `go run ./emulators args…`.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = ".." // the repository's root
	// A project of its own, for external servers outlive the command.
	project := "demo-test-" + strings.ToLower(rand.Text()[:8])
	cmd.Env = append(os.Environ(), "CARILLON_RUN_COMMAND=1", "GOOGLE_CLOUD_PROJECT="+project)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// theDemo runs the demo once for the tests that look at it, for most of it is
// waiting for a quota: what it says, and what the functions log meanwhile.
var theDemo = sync.OnceValue(func() (d struct {
	said, logged string
	err          error
}) {
	out, err := command(context.Background(), "demo", "-log", "debug").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "{") && strings.Contains(line, `"severity":`) {
			d.logged += line
		} else {
			d.said += line
		}
	}
	d.err = err
	return d
})

func TestDemoEndsWithEverySumRight(t *testing.T) {
	t.Parallel()
	d := theDemo()
	out := d.said
	if d.err != nil {
		t.Fatalf("the demo failed: %v\n%s\n%s", d.err, out, d.logged)
	}
	for _, want := range []string{"1000 customers imported", "first mailing", "UNREGISTERED", "INVALID_ARGUMENT",
		"cannot be reached any more", "now belongs to customer newcomer alone", "second mailing", "skipped", "422", "Every sum adds up."} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
}

func TestLoadReportsWhatItTook(t *testing.T) {
	t.Parallel()
	out, err := command(t.Context(), "load", "-customers", "3000", "-fcm-latency", "5ms").CombinedOutput()
	if err != nil {
		t.Fatalf("load failed: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var m loadtest.Result
	dec := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		t.Fatalf("the last line is no report: %v\n%s", err, out)
	}
	if m.Customers != 3000 {
		t.Errorf("%d customers, want 3000", m.Customers)
	}
	if m.Tokens < 3000 {
		t.Errorf("%d tokens, want at least 3000", m.Tokens)
	}
	if m.FCM.Requests < m.Tokens {
		t.Errorf("%d requests to FCM, want at least %d", m.FCM.Requests, m.Tokens)
	}
	if m.FCM.Duplicates != 0 {
		t.Errorf("%d duplicates, want 0", m.FCM.Duplicates)
	}
	switch external := official.External(official.Firestore); {
	case external && m.Firestore != nil:
		t.Errorf("reported %+v, which only the embedded server counts", *m.Firestore)
	case !external && (m.Firestore == nil || m.Firestore.Reads < 3000):
		t.Errorf("reported %+v, want a read a customer at least", m.Firestore)
	}
}

// TestLoadOnInstances: processes of deliver share a quota, some answers are 429,
// and a mailing to one customer is measured beside two large ones and three that
// have a rate.
func TestLoadOnInstances(t *testing.T) {
	t.Parallel()
	out, err := command(t.Context(), "load", "-customers", "1000", "-fcm-latency", "5ms", "-instances", "2", "-beside", "-mailings", "2", "-rated", "3",
		"-quota", "60000", "-quota-shape", "bucket", "-stray", "UNAVAILABLE=0.002/1s").CombinedOutput()
	if err != nil {
		t.Fatalf("load failed: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var m loadtest.Result
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m); err != nil {
		t.Fatalf("the last line is no report: %v\n%s", err, out)
	}
	if m.Instances != 2 {
		t.Errorf("%d instances, want 2", m.Instances)
	}
	if m.QuotaShare <= 0 {
		t.Errorf("a share of %g of the quota, want more than 0", m.QuotaShare)
	}
	if m.Beside == nil || m.Beside.Mailings == 0 || m.Beside.NotSent != 0 || m.Beside.Max <= 0 {
		t.Errorf("beside it %+v, want some mailings, all of them sent", m.Beside)
	}
	for _, want := range []string{"of the quota used", "mailings to one customer beside it: p50"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("load does not say %q:\n%s", want, out)
		}
	}
}

func TestCommandsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"dance", `there is no command "dance"`},
		{"-only firebase", `there is no emulator "firebase"`},
		{"load -customers 0", "at least one customer"},
		{"import", "name one file"},
		{"import -format xml -", `unknown format "xml": use ndjson or csv`},
		{"load -mailings 0", "-mailings is at least 1"},
		{"import /does/not/exist", "no such file"},
		{"import -to 127.0.0.1:5001 -", "-to: \"127.0.0.1:5001\" is no URL"},
		{"export", "name one file"},
		{"export a b", "name one file"},
		{"export -format xml -", `unknown format "xml": use ndjson or csv`},
		{"export -from ftp://host -", `-from: "ftp://host" is no URL`},
		{"export -from http://127.0.0.1:1 -", "behind 0 customers: dial tcp"},
		{"export -continue -", "-continue is for files"},
		{"export -continue /does/not/exist", "there is no /does/not/exist.part"},
		{"export /does/not/exist", "no such file"},
		{"export /dev/null", "- is standard output"},
		{"export -colour red -", "not defined: -colour"},
	} {
		var out bytes.Buffer
		if err := runCommand(t.Context(), strings.Fields(c.args), &out); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.args, err, c.want)
		}
	}
}
