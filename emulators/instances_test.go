package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
)

// children returns the process ids of the instances of a function.
func (r *running) children(t *testing.T, fn string) (out []int) {
	t.Helper()
	pid := r.cmd.Process.Pid
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Skipf("this system does not list the children of a process: %v", err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			continue // the thread has ended
		}
		for id := range strings.FieldsSeq(string(b)) {
			n, _ := strconv.Atoi(id)
			line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", n))
			if strings.Contains(string(line), "function\x00"+fn+"\x00") {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestInstancesOfDeliver checks that deliver runs in its own processes, and that a process
// that ends by itself is started again.
func TestInstancesOfDeliver(t *testing.T) {
	t.Parallel()
	r := serveCommand(t, "-instances", "2", "-quota", "6000")
	before := r.children(t, "deliver")
	if len(before) != 2 {
		t.Fatalf("%d processes of deliver, want 2", len(before))
	}
	if others := r.children(t, "dispatch"); len(others) != 0 {
		t.Errorf("%d processes of dispatch, want none: it runs in the command", len(others))
	}

	for _, pid := range before {
		p, err := os.FindProcess(pid)
		if err != nil {
			t.Fatalf("finding process %d: %v", pid, err)
		}
		if err := p.Kill(); err != nil {
			t.Fatalf("killing process %d: %v", pid, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		now := r.children(t, "deliver")
		if len(now) == 2 && !slices.Contains(now, before[0]) && !slices.Contains(now, before[1]) {
			break
		}
		if !client.Sleep(ctx, 50*time.Millisecond) {
			t.Fatalf("processes of deliver are %v, were %v, want two new ones", now, before)
		}
	}

	if a := r.ask(t, "POST", "/v1/customers/anna/tokens", `{"token":"anna-phone:APA91b","platform":"android"}`); a.Code != http.StatusCreated {
		t.Fatalf("registering: %v", a)
	}
	c := client.New(r.addr["API"])
	id, err := c.SendMailing(ctx, map[string]any{"message": demo.Message, "audience": map[string]any{"everyone": true}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Follow(ctx, id, func(*client.Mailing) {})
	if err != nil {
		t.Fatal(err)
	}
	if m.Tokens.Accepted != 1 {
		t.Errorf("%d messages accepted, want 1", m.Tokens.Accepted)
	}

	var s struct{ QuotaPerMinute int }
	if err := client.New(r.addr["FCM"]).Call(ctx, http.MethodGet, "/emulator/settings", nil, &s); err != nil {
		t.Fatal(err)
	}
	if s.QuotaPerMinute != 6000 {
		t.Errorf("FCM's quota is %d, want 6000", s.QuotaPerMinute)
	}
}

// TestNumbersOfTheFleetAreChecked checks that wrong values of flags get an error that names
// them.
func TestNumbersOfTheFleetAreChecked(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-instances -1":                    "-instances: -1 processes",
		"-instances 1000":                  "-instances: 1000 processes",
		"-quota 0":                         "-quota: 0 messages a minute",
		"load -dispatch-calls -1":          "-dispatch-calls: -1 calls",
		"-only fcm -instances 2":           "-instances does not go with -only",
		"-only fcm -quota-shape hour":      "quotaShape: must be one of minute-retry-after, minute, bucket",
		"load -errors QUOTA_PROJECT":       "is not NAME=SHARE",
		"load -errors QUOTA_PROJECT=2":     "is not NAME=SHARE",
		"load -errors QUOTA_PROJECT=0.1/x": "Retry-After is not a duration",
		"load -beside -cancel 0.5":         "do not go with -cancel",
		"load -chaos 1 -faults rain":       `unknown name "rain"`,
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			fields := strings.Fields(args)
			if fields[0] != "load" {
				fields = append(fields, "-api", "127.0.0.1:0", "-firestore", "127.0.0.1:0", "-pubsub", "127.0.0.1:0", "-fcm", "127.0.0.1:0", "-ui", "127.0.0.1:0")
			}
			out, err := command(t.Context(), fields...).CombinedOutput()
			if err == nil {
				t.Error("the command succeeds, want an error")
			}
			if !strings.Contains(string(out), want) {
				t.Errorf("the command prints %s, want %q in it", out, want)
			}
		})
	}
}
