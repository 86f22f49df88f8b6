package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/testcloud"
	"carillon.example/emulators/testcloud/check"
)

// A keeper is a command with -data. Its servers are its own, also if the environment names
// others.
type keeper struct {
	running
	t      *testing.T
	output bytes.Buffer
	lines  *bufio.Scanner
}

// keep starts a command with a data folder, and waits until it is ready.
func keep(t *testing.T, dir string, args ...string) *keeper {
	t.Helper()
	k := &keeper{t: t, running: running{addr: map[string]string{}, cmd: keepCommand(context.Background(), dir, args...)}}
	pipe, err := k.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	k.cmd.Stderr = os.Stderr
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.cmd.Process.Kill() }) // it has ended unless the test failed

	k.lines = bufio.NewScanner(pipe)
	for k.lines.Scan() {
		fmt.Fprintln(&k.output, k.lines.Text())
		if k.lines.Text() == "ready" {
			return k
		}
		if f := strings.Fields(k.lines.Text()); len(f) == 2 {
			k.addr[f[0]] = f[1]
		}
	}
	t.Fatalf("the command ended before it was ready:\n%s", k.output.String())
	return nil
}

func keepCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	free := []string{"-api", "127.0.0.1:0", "-firestore", "127.0.0.1:0", "-pubsub", "127.0.0.1:0", "-fcm", "127.0.0.1:0", "-ui", "", "-log", "error", "-data", dir}
	cmd := command(ctx, append(free, args...)...)
	cmd.Env = append(cmd.Env, "GOOGLE_CLOUD_PROJECT=demo-kept", "FIRESTORE_EMULATOR_HOST=", "PUBSUB_EMULATOR_HOST=", "FIREBASE_AUTH_EMULATOR_HOST=")
	return cmd
}

// interrupt ends the command as Ctrl-C does, and returns what it has printed.
func (k *keeper) interrupt() string {
	k.t.Helper()
	if err := k.cmd.Process.Signal(os.Interrupt); err != nil {
		k.t.Fatal(err)
	}
	for k.lines.Scan() {
		fmt.Fprintln(&k.output, k.lines.Text())
	}
	if err := k.cmd.Wait(); err != nil {
		k.t.Errorf("the command ended with %v, want no error:\n%s", err, k.output.String())
	}
	return k.output.String()
}

// TestDataSurvivesARestart checks a customer, a paused mailing, a message in Pub/Sub and an
// account, and what the command says at its start and its end.
func TestDataSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0", "-clock", "200ms"}
	first := keep(t, dir, args...)
	testcloud.CheckCode(t, first.ask(t, "POST", "/v1/customers/anna/tokens", `{"token":"anna-phone:APA91bExample","platform":"android"}`), http.StatusCreated)
	created := first.ask(t, "POST", "/v1/mailings", `{"message":{"notification":{"title":"Later"}},"audience":{"customers":["anna"]},"sendAt":"`+
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
	testcloud.CheckCode(t, created, http.StatusAccepted)
	mailing := created.Header.Get("Location")
	testcloud.CheckCode(t, testcloud.At(t, "http://"+first.addr["Auth"]).Ask("PUT", "/emulator/accounts/ada", `{"disabled":true}`), http.StatusNoContent)
	topics := "/v1/projects/demo-kept/"
	for _, c := range [][2]string{{"topics/own", `{}`}, {"subscriptions/own", `{"topic":"projects/demo-kept/topics/own"}`}} {
		testcloud.CheckCode(t, testcloud.At(t, "http://"+first.addr["Pub/Sub"]).Ask("PUT", topics+c[0], c[1]), http.StatusOK)
	}
	testcloud.CheckCode(t, testcloud.At(t, "http://"+first.addr["Pub/Sub"]).Ask("POST", topics+"topics/own:publish", `{"messages":[{"data":"eA=="}]}`), http.StatusOK)
	printed := first.interrupt()
	check.Contains(t, printed, dir+" has no data yet", "the start without data")
	check.Contains(t, printed, "saved in "+dir+": ", "the end")
	check.Contains(t, printed, "1 account", "the end")
	check.Contains(t, printed, "stopped; 0 messages that FCM accepted were only in memory and are lost", "the end")

	second := keep(t, dir, args...)
	check.Contains(t, second.output.String(), "read from "+dir+": ", "the start with data")
	check.Contains(t, second.output.String(), " in 1 database, ", "the start with data")
	check.Contains(t, second.ask(t, "GET", "/v1/customers/anna", "").Body, `"pushAvailable":true`, "the customer after the restart")
	check.Contains(t, second.ask(t, "GET", mailing, "").Body, `"state":"scheduled"`, "the mailing after the restart")
	check.Contains(t, testcloud.At(t, "http://"+second.addr["Auth"]).Ask("POST", "/v1/projects/demo-kept/accounts:lookup", `{"localId":["ada"]}`).Body, `"disabled":true`, "the account after the restart")
	check.Contains(t, testcloud.At(t, "http://"+second.addr["Pub/Sub"]).Ask("POST", topics+"subscriptions/own:pull", `{"maxMessages":1}`).Body, `"data":"eA=="`, "the message after the restart")

	// The functions get their messages at their new address.
	sent := second.ask(t, "POST", "/v1/mailings", `{"message":{"notification":{"title":"Now"}},"audience":{"customers":["anna"]}}`)
	testcloud.CheckCode(t, sent, http.StatusAccepted)
	deadline := time.Now().Add(patient)
	for body := ""; !strings.Contains(body, `"state":"completed"`); body = second.ask(t, "GET", sent.Header.Get("Location"), "").Body {
		if time.Now().After(deadline) {
			t.Fatalf("a mailing after the restart has not ended after %s: %s", patient, body)
		}
		time.Sleep(20 * time.Millisecond)
	}
	second.interrupt()
}

// TestAKilledProcessLeavesAConsistentSnapshot kills a process again and again while a client
// writes. Each commit writes the same number to ten documents, so a snapshot must have one number
// in all of them, and never a smaller one than the snapshot before.
func TestAKilledProcessLeavesAConsistentSnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var last, acknowledged int64
	for range 6 {
		k := keep(t, dir, "-only", "firestore", "-data-every", "5ms")
		conn, err := grpc.NewClient(k.addr["Firestore"], grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		c, err := firestore.NewClient(t.Context(), "demo-kept", option.WithGRPCConn(conn))
		if err != nil {
			t.Fatal(err)
		}

		n := commonNumber(t, c)
		check.Between(t, n, last, acknowledged+1, "the number after a kill, from that of the kill before to the last one written")
		last = n
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Duration(50+rand.IntN(400))*time.Millisecond, func() { _ = k.cmd.Process.Kill(); cancel() })
		acknowledged = writeUntil(ctx, c, n)
		t.Logf("found %d, wrote up to %d until the kill", n, acknowledged)
		_ = k.cmd.Wait() // it was killed
		c.Close()
	}
	if last == 0 {
		t.Error("no snapshot of any process had a number, want one")
	}
}

// commonNumber returns the number that all documents have, 0 if there are none.
func commonNumber(t *testing.T, c *firestore.Client) int64 {
	t.Helper()
	docs, err := c.Collection("numbers").Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(docs) == 0 {
		return 0
	}
	check.MustEqual(t, len(docs), 10, "the number of documents")
	n := docs[0].Data()["n"].(int64)
	for _, d := range docs {
		check.MustEqual(t, d.Data()["n"].(int64), n, "the number in %s", d.Ref.ID)
	}
	return n
}

// writeUntil writes greater and greater numbers until ctx ends, and returns the last one that
// the server acknowledged.
func writeUntil(ctx context.Context, c *firestore.Client, n int64) int64 {
	for {
		err := c.RunTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
			for i := range 10 {
				if err := tx.Set(c.Doc(fmt.Sprintf("numbers/%d", i)), map[string]any{"n": n + 1, "large": strings.Repeat("x", 10_000)}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return n
		}
		n++
	}
}

// TestADataFolderIsForOneProcess starts a second command with the folder of a running one.
func TestADataFolderIsForOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := keep(t, dir, "-only", "firestore")
	out, err := keepCommand(t.Context(), dir, "-only", "pubsub").CombinedOutput()
	if err == nil {
		t.Error("a second process with the same folder starts, want an error")
	}
	check.Contains(t, string(out), fmt.Sprintf("the folder %s is in use by the process %d", dir, k.cmd.Process.Pid), "the output of the second process")
	k.interrupt()
}

// TestABrokenDataFileIsRefused checks that a command does not start with a file that was cut, and
// leaves it as it is.
func TestABrokenDataFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "pubsub.ndjson")
	const text = `{"snapshot":"pubsub","version":1,"at":"2026-11-28T00:00:00Z"}` + "\n" + `{"topic":{"name":"projects/p/topics/a`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := keepCommand(t.Context(), dir).CombinedOutput()
	if err == nil {
		t.Error("the command starts, want an error")
	}
	check.Contains(t, string(out), path+" cannot be used and was not changed", "the output")
	left, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check.Equal(t, string(left), text, "the file afterwards")
}
