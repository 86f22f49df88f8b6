package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon.example/emulators/loadtest"
	"carillon.example/emulators/official"
	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

// TestMain makes the test binary run the command if a test asks for it, so that each command
// of a test is a process of its own.
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

// patient is the time limit of a mailing. It is long, because the machine may be slow and
// other tests use the same servers.
const patient = 5 * time.Minute

// command returns the command `go run ./emulators args…`.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Dir = ".." // the repository's root
	// Each command has its own project, because external servers outlive it.
	project := "demo-test-" + strings.ToLower(rand.Text()[:8])
	cmd.Env = append(os.Environ(), "CARILLON_RUN_COMMAND=1", "GOOGLE_CLOUD_PROJECT="+project)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// theDemo runs the demo once for all tests of it, because most of its time is a wait for a
// quota. It returns the output of the demo and the logs of the functions.
var theDemo = sync.OnceValue(func() (d struct {
	output, logged string
	err            error
}) {
	out, err := command(context.Background(), "demo", "-log", "debug").CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "{") && strings.Contains(line, `"severity":`) {
			d.logged += line
		} else {
			d.output += line
		}
	}
	d.err = err
	return d
})

func TestDemoEndsWithEverySumRight(t *testing.T) {
	t.Parallel()
	d := theDemo()
	out := d.output
	if d.err != nil {
		t.Fatalf("the demo failed: %v\n%s\n%s", d.err, out, d.logged)
	}
	for _, want := range []string{"1000 customers imported", "first mailing", `"refused" means that FCM does not accept the message`, "UNREGISTERED", "INVALID_ARGUMENT",
		"cannot be reached any more", "now belongs only to customer newcomer", "second mailing", "skipped", "422", "All sums are correct."} {
		if !strings.Contains(out, want) {
			t.Errorf("the demo does not say %q:\n%s", want, out)
		}
	}
}

// TestDemoKeep checks that demo -keep leaves its servers running until Ctrl-C, and then says what
// is lost.
func TestDemoKeep(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	cmd := command(ctx, "demo", "-keep", "-fcm-latency", "1ms")
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}

	last := regexp.MustCompile(`^(http://\S+) shows the phones, (http://\S+) is the API\. Ctrl-C ends the demo\.$`)
	var addresses []string
	lines := bufio.NewScanner(pipe)
	for addresses == nil && lines.Scan() {
		addresses = last.FindStringSubmatch(lines.Text())
	}
	if addresses == nil {
		t.Fatalf("the demo ended (%v) before it said that Ctrl-C ends it", cmd.Wait())
	}
	check.Contains(t, testcloud.At(t, addresses[2]).Ask("GET", "/v1/customers/newcomer", "").Body, `"pushAvailable":true`, "a customer after the demo")
	testcloud.CheckCode(t, testcloud.At(t, addresses[1]).Ask("GET", "/", ""), http.StatusOK)

	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var end strings.Builder
	for lines.Scan() {
		fmt.Fprintln(&end, lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after Ctrl-C the demo ended with %v, want no error", err)
	}
	want := "stopped; the documents in Firestore, the messages in Pub/Sub, "
	if official.External(official.Firestore) { // what it keeps is not lost
		want = "stopped; "
	}
	check.Contains(t, end.String(), want, "the end")
	check.Contains(t, end.String(), " messages that FCM accepted were only in memory and are lost", "the end")
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
		t.Fatalf("the last line is not a report: %v\n%s", err, out)
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
	case external:
	case m.Firestore == nil:
		t.Error("the report has no counts of Firestore")
	case m.Firestore.Reads < 3000:
		t.Errorf("the report has %d reads, want at least 3000, one for each customer", m.Firestore.Reads)
	}
}

// TestLoadOnInstances measures a mailing to one customer beside two large mailings and three
// with a rate, while two processes of deliver share a quota.
func TestLoadOnInstances(t *testing.T) {
	t.Parallel()
	out, err := command(t.Context(), "load", "-customers", "1000", "-fcm-latency", "5ms", "-instances", "2", "-beside", "-mailings", "2", "-rated", "3",
		"-quota", "60000", "-quota-shape", "bucket", "-errors", "UNAVAILABLE=0.002/1s").CombinedOutput()
	if err != nil {
		t.Fatalf("load failed: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var m loadtest.Result
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &m); err != nil {
		t.Fatalf("the last line is not a report: %v\n%s", err, out)
	}
	if m.Instances != 2 {
		t.Errorf("%d instances, want 2", m.Instances)
	}
	if m.QuotaShare <= 0 {
		t.Errorf("a share of %g of the quota, want more than 0", m.QuotaShare)
	}
	switch b := m.Beside; {
	case b == nil:
		t.Error("the report has no figures of mailings beside the large ones")
	case b.Mailings == 0:
		t.Error("there was no mailing beside the large ones, want at least one")
	case b.NotSent != 0:
		t.Errorf("%d mailings beside the large ones were not sent, want 0", b.NotSent)
	case b.Max <= 0:
		t.Errorf("the longest time of a mailing beside the large ones is %g s, want more than 0", b.Max)
	}
	for _, want := range []string{"of the quota used", "mailings to one customer at the same time: p50"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("load does not say %q:\n%s", want, out)
		}
	}
}

func TestCommandsNameWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"dance", `unknown command "dance"`},
		{"-only firebase", `unknown emulator "firebase"`},
		{"load -customers 0", "-customers must be at least 1"},
		{"import", "give one file"},
		{"import -format xml -", `unknown format "xml": use ndjson or csv`},
		{"load -mailings 0", "-mailings must be at least 1"},
		{"import /does/not/exist", "no such file"},
		{"import -to 127.0.0.1:5001 -", `-to: "127.0.0.1:5001" is not a URL`},
		{"export", "give one file"},
		{"export a b", "give one file"},
		{"export -format xml -", `unknown format "xml": use ndjson or csv`},
		{"export -from ftp://host -", `-from: "ftp://host" is not a URL`},
		{"export -from http://127.0.0.1:1 -", "after 0 customers: dial tcp"},
		{"export -continue -", "-continue needs a file"},
		{"export -continue /does/not/exist", "/does/not/exist.part does not exist"},
		{"export /does/not/exist", "no such file"},
		{"export /dev/null", "use - for standard output"},
		{"export -colour red -", "not defined: -colour"},
	} {
		var out bytes.Buffer
		check.Error(t, c.args, runCommand(t.Context(), strings.Fields(c.args), &out), c.want)
	}
}
