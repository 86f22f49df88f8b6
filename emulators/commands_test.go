package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/cli"
	"carillon.example/emulators/local"
	"carillon.example/emulators/official"
	"carillon.example/emulators/progress"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// TestHelp checks that the help of every command has its description, and is not an error.
func TestHelp(t *testing.T) {
	t.Parallel()
	for _, c := range cli.Commands {
		t.Run(c.Name, func(t *testing.T) {
			var helped bytes.Buffer
			if err := runCommand(t.Context(), []string{"help", c.Name}, &helped); err != nil && !errors.Is(err, flag.ErrHelp) {
				t.Fatal(err)
			}
			if !strings.Contains(helped.String(), c.What) {
				t.Errorf("help %s lacks %q:\n%s", c.Name, c.What, helped.String())
			}
			if !strings.Contains(c.Args, "flags") {
				return
			}
			out, err := command(t.Context(), c.Name, "-h").Output()
			if err != nil {
				t.Errorf("%s -h ends with %v, want no error", c.Name, err)
			}
			project := regexp.MustCompile(`\(default "demo-[^"]*"\)`) // each test has its own
			if project.ReplaceAllString(string(out), "") != project.ReplaceAllString(helped.String(), "") {
				t.Errorf("%s -h prints\n%s\nwant what help prints\n%s", c.Name, out, helped.String())
			}
		})
	}
}

func TestHelpOfAll(t *testing.T) {
	t.Parallel()
	out, err := command(t.Context(), "-h").Output()
	if err != nil {
		t.Errorf("-h ends with %v, want no error", err)
	}
	for _, c := range cli.Commands {
		if !strings.Contains(string(out), "emulators "+c.Name) {
			t.Errorf("-h does not name %s", c.Name)
		}
	}
	if !strings.Contains(string(out), "-firestore") {
		t.Errorf("-h lists no flags:\n%s", out)
	}
}

// TestAnUnknownFlagIsReportedOnce checks that the error names an unknown flag once, and is
// not hidden by the list of all flags.
func TestAnUnknownFlagIsReportedOnce(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-colour"}, {"demo", "-colour"}, {"load", "-colour"}, {"events", "-colour"}} {
		out, err := command(t.Context(), args...).CombinedOutput()
		if err == nil {
			t.Errorf("%v: there is no error, want one", args)
		}
		if n := strings.Count(string(out), "colour"); n != 1 {
			t.Errorf("%v: the flag is named %d times, want once:\n%s", args, n, out)
		}
		if n := strings.Count(string(out), "\n"); n != 1 {
			t.Errorf("%v prints %d lines, want one:\n%s", args, n, out)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"version", "-version"} {
		var out bytes.Buffer
		if err := runCommand(t.Context(), []string{name}, &out); err != nil {
			t.Fatal(err)
		}
		if want := "carillon " + push.Version; !strings.HasPrefix(out.String(), want) {
			t.Errorf("%s prints %q, want it to begin with %q", name, out.String(), want)
		}
	}
}

// TestPortsThatAreTakenAreNamedTogether checks that one error names all ports in use, and
// the flag that changes each.
func TestPortsThatAreTakenAreNamedTogether(t *testing.T) {
	t.Parallel()
	var taken []string
	for range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		taken = append(taken, l.Addr().String())
	}
	o := local.Defaults().OnFreePorts()
	o.APIAddr, o.FCMAddr = taken[0], taken[1]
	err := o.CheckFree()
	if err == nil {
		t.Fatal("both are taken, and there is no error")
	}
	for _, want := range []string{"the API cannot listen on " + taken[0], "-api 127.0.0.1:0", "FCM cannot listen on " + taken[1], "-fcm 127.0.0.1:0"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n != 1 {
		t.Errorf("%d lines, want two faults: %v", n+1, err)
	}
	o.APIAddr, o.FCMAddr = "127.0.0.1:0", ""
	if err := o.CheckFree(); err != nil {
		t.Errorf("where nothing is taken: %v", err)
	}
}

// TestEmptyIsOff checks that an empty address switches a server off, and does not open it on
// all interfaces.
func TestEmptyIsOff(t *testing.T) {
	t.Parallel()
	r := serveCommand(t, "-ui", "", "-api", "")
	for _, name := range []string{"Inbox", "API"} {
		if at := r.addr[name]; at != "" {
			t.Errorf("%s is served on %s, and is off", name, at)
		}
	}
	if r.addr["FCM"] == "" {
		t.Error("FCM is not served")
	}
	o := local.Defaults()
	o.FCMAddr, o.LogLevel = "", "loud"
	for _, want := range []string{"-fcm is empty", `-log: unknown level "loud"`} {
		check.Error(t, "options without FCM and with an unknown level", o.Check(), want)
	}
}

func TestAddressesOpenToOtherMachinesAreWarnedOf(t *testing.T) {
	t.Parallel()
	o := local.Defaults()
	o.APIAddr, o.UIAddr, o.FCMAddr, o.FirestoreAddr, o.PubSubAddr = "0.0.0.0:5001", "localhost:1", "[::1]:2", ":3", ""
	got := o.Exposed()
	wants := []string{"the API listens on 0.0.0.0:5001"}
	if !official.External(official.Firestore) { // else ours does not listen
		wants = append(wants, "Firestore listens on :3")
	}
	if len(got) != len(wants) {
		t.Fatalf("warnings %q, want %d", got, len(wants))
	}
	for _, want := range wants {
		if !slices.ContainsFunc(got, func(text string) bool { return strings.HasPrefix(text, want) }) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}

// TestOnlyAsksForNoIndexes checks that -only requires no indexes unless a flag does: the
// list of this repository does not fit the queries of other projects.
func TestOnlyAsksForNoIndexes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		only  string
		given []string
		want  string
	}{
		{"", nil, "list.json"}, {"firestore", nil, ""}, {"firestore", []string{"require-indexes"}, "list.json"},
	} {
		o := local.Options{Indexes: "list.json", Given: c.given}
		if err := o.ChooseEmulators(c.only); err != nil {
			t.Fatal(err)
		}
		if o.Indexes != c.want {
			t.Errorf("-only %q with %v asks for the indexes of %q, want %q", c.only, c.given, o.Indexes, c.want)
		}
	}
}

// TestAMissingIndexNamesTheFile checks that the refusal of a query says in which file its index is
// missing: that of -require-indexes. Google's emulator requires none, and answers the query.
func TestAMissingIndexNamesTheFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "shop.json")
	if err := os.WriteFile(file, []byte(`{"indexes": []}`), 0o600); err != nil {
		t.Fatal(err)
	}
	addr, status, text := os.Getenv(official.Firestore), http.StatusOK, ""
	if !official.External(official.Firestore) {
		addr = serveCommand(t, "-only", "firestore", "-require-indexes", file).addr["Firestore"]
		status, text = http.StatusBadRequest, "Declare it in "+file
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/v1/projects/p/databases/(default)/documents:runQuery",
		strings.NewReader(`{"structuredQuery": {"from": [{"collectionId": "c"}], "orderBy": [{"field": {"fieldPath": "a"}}, {"field": {"fieldPath": "b"}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer owner") // Google's emulator has security rules
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, resp.StatusCode, status, "status of the query")
	check.Contains(t, string(body), text, "the answer")
}

// stopper ends a command when it prints that it is ready, and keeps its output.
type stopper struct {
	bytes.Buffer
	stop context.CancelFunc
}

func (s *stopper) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "ready") {
		s.stop()
	}
	return s.Buffer.Write(b)
}

// TestTheEndSaysWhatIsLost checks the last line of the command, and the line about indexes
// at its start.
func TestTheEndSaysWhatIsLost(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out := &stopper{stop: cancel}
	args := []string{"-only", "firestore,fcm,auth", "-firestore", "127.0.0.1:0", "-fcm", "127.0.0.1:0", "-auth", "127.0.0.1:0", "-ui", "", "-require-indexes", "../firestore.indexes.json"}
	if err := runCommand(ctx, args, out); err != nil {
		t.Fatal(err)
	}
	wants := []string{"../firestore.indexes.json declares", "stopped; the documents in Firestore, the accounts in Auth, 0 messages that FCM accepted"}
	if official.External(official.Firestore) { // what it keeps is not lost
		wants = []string{"0 messages that FCM accepted"}
	}
	for _, want := range wants {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

// TestFollowEvents checks that the command events prints the event of a registration.
func TestFollowEvents(t *testing.T) {
	t.Parallel()
	r := serveCommand(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := command(ctx, "events", "-pubsub", r.addr["Pub/Sub"], "-project", r.addr["project"], "-type", push.AvailabilityChanged)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first, err := bufio.NewReader(stderr).ReadString('\n')
	if err != nil {
		t.Fatalf("reading the first line: %v", err)
	}
	if want := "printing the events"; !strings.HasPrefix(first, want) {
		t.Fatalf("the first line is %q, want it to begin with %q", first, want)
	}
	if a := r.ask(t, "POST", "/v1/customers/anna/tokens", `{"token":"anna-phone:APA91b","platform":"android"}`); a.Code != http.StatusCreated {
		t.Fatalf("registering: %v", a)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	type event struct {
		Type, Subject string
		Data          struct{ PushAvailable bool }
	}
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		t.Fatalf("%v in %s", err, line)
	}
	want := event{Type: push.AvailabilityChanged, Subject: "customers/anna"}
	want.Data.PushAvailable = true
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("the first event (-want +got):\n%s", diff)
	}
	cancel()
	_ = cmd.Wait() // the end of ctx has interrupted it
}

func TestReadableLines(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 1, 2, 3, 4e6, time.Local).Format(time.RFC3339Nano)
	for line, want := range map[string]string{
		`{"time":"` + at + `","severity":"INFO","message":"tick done","started":2,"mailing":"m1","ok":true}` + "\n": "01:02:03.004 INFO    tick done mailing=m1 ok=true started=2\n",
		"ready\n":              "ready\n",
		"{\"a\":1}\n":          "{\"a\":1}\n",
		"{broken\n":            "{broken\n",
		"the last, without it": "the last, without it",
	} {
		var out bytes.Buffer
		progress.CopyReadable(&out, strings.NewReader(line))
		if out.String() != want {
			t.Errorf("%s becomes %q, want %q", line, out.String(), want)
		}
	}
}
