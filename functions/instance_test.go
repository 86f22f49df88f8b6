package functions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "cloud.google.com/go/firestore"
	cloudps "cloud.google.com/go/pubsub/v2"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/pubsub"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	tokens      = 150_000
	pushesAside = 20      // requests an instance takes at once, as Terraform sets it
	quota       = 620_000 // a minute: the pace is a little over 10,000 a second
	project     = "demo-instance"
)

// BenchmarkDeliverInstance runs deliver as it is deployed, in a process of its
// own with one CPU, hands it the batches of one mailing as Pub/Sub would, and
// measures messages a second, as many as the quota lets through or fewer, the
// CPU it takes, and the most memory it has had.
// Firestore, Pub/Sub and FCM are emulated in this process, FCM with 50 ms.
func BenchmarkDeliverInstance(b *testing.B) {
	binary := compiled(b, "deliver")
	for b.Loop() {
		c := startCloud(b)
		refs := c.mailing(b)
		deliver := c.instance(b, "deliver", binary, "FCM_ENDPOINT="+c.phones.URL(), fmt.Sprint("FCM_QUOTA_PER_MINUTE=", quota), "MAX_INSTANCES=1", "CALL_TIMEOUT=540s")
		began := time.Now()
		deliver.pushAll(b, refs)
		took := time.Since(began)
		c.check(b)
		cpu, peak := deliver.end(b)
		b.ReportMetric(tokens/took.Seconds(), "messages/s")
		b.ReportMetric(cpu.Seconds()/tokens*1e5, "CPU-s/100,000")
		b.ReportMetric(peak, "peak-MiB")
	}
	b.ReportMetric(0, "ns/op")
}

// A testServices has the servers that an instance reaches.
type testServices struct {
	fs     *firestore.Server
	ps     *pubsub.Server
	phones *fcm.Server
	store  *store.Store
}

func startCloud(b *testing.B) *testServices {
	b.Helper()
	var c testServices
	var err error
	if c.fs, err = firestore.Start("127.0.0.1:0", firestore.Options{}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.fs.Close)
	if c.ps, err = pubsub.Start("127.0.0.1:0", pubsub.Options{}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.ps.Close)
	if c.phones, err = fcm.Start("127.0.0.1:0", fcm.Options{Latency: 50 * time.Millisecond, Keep: 1000}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.phones.Close)
	b.Setenv("FIRESTORE_EMULATOR_HOST", c.fs.Addr())
	db, err := sdk.NewClient(b.Context(), project)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() }) // nothing is asked of it any more
	c.store = store.New(db, store.Options{})
	b.Setenv("PUBSUB_EMULATOR_HOST", c.ps.Addr())
	topics, err := cloudps.NewClient(b.Context(), project)
	if err != nil {
		b.Fatal(err)
	}
	defer topics.Close()
	if _, err := topics.TopicAdminClient.CreateTopic(b.Context(), &pubsubpb.Topic{Name: "projects/" + project + "/topics/push-events"}); err != nil {
		b.Fatal(err)
	}
	return &c
}

// mailing records a mailing of which all batches are created, and returns them.
func (c *testServices) mailing(b *testing.B) []push.BatchRef {
	b.Helper()
	ctx := b.Context()
	d := push.Draft{Message: json.RawMessage(`{"notification":{"title":"Spring sale","body":"Twenty per cent off everything green until Sunday"}}`),
		Audience: push.Audience{Everyone: true}}
	m := push.NewMailing("m", "m", d, time.Now())
	m.Proven = true
	if _, _, err := c.store.CreateMailing(ctx, m); err != nil {
		b.Fatal(err)
	}
	if _, err := c.store.StartMailing(ctx, m.ID, push.AllDevices, nil, []push.Shard{{Mailing: m.ID}}); err != nil {
		b.Fatal(err)
	}
	sh, err := c.store.ReadShard(ctx, m.ID, 0)
	if err != nil {
		b.Fatal(err)
	}
	var refs []push.BatchRef
	for n := 0; n < tokens; n += push.MaxBatch {
		batch := &push.Batch{BatchRef: push.BatchRef{Mailing: m.ID, Batch: fmt.Sprintf("00-%06d", n)}, CreatedAt: time.Now(), Results: make([]push.Result, push.MaxBatch)}
		for i := range push.MaxBatch {
			batch.Targets = append(batch.Targets, push.Target{Customer: fmt.Sprintf("customer-%08d", n+i), Kind: push.KindToken, Platform: push.Android,
				Token: fmt.Sprintf("token-%08d:%s", n+i, strings.Repeat("fGx4Kd9_Tk-", 13))})
		}
		sh.Batches, sh.Targeted, sh.Done = sh.Batches+1, sh.Targeted+push.MaxBatch, n+push.MaxBatch >= tokens
		if err := c.store.CreateBatches(ctx, sh, []*push.Batch{batch}); err != nil {
			b.Fatal(err)
		}
		refs = append(refs, batch.BatchRef)
	}
	if _, err := c.store.MarkMailingDispatched(ctx, m.ID); err != nil {
		b.Fatal(err)
	}
	return refs
}

// check: everything was accepted, and nothing twice.
func (c *testServices) check(b *testing.B) {
	b.Helper()
	m, err := c.store.ReadMailing(b.Context(), "m")
	if err != nil {
		b.Fatal(err)
	}
	s := c.phones.Stats()
	if m.Totals == nil {
		b.Fatalf("the mailing is %s: Totals is nil, want it set", m.State)
	}
	if m.Totals.Tokens.Accepted != tokens {
		b.Fatalf("the mailing is %s: tokens accepted is %v, want %v", m.State, m.Totals.Tokens.Accepted, tokens)
	}
	if s.Accepted != tokens {
		b.Fatalf("the mailing is %s: messages that FCM accepted is %v, want %v", m.State, s.Accepted, tokens)
	}
	if s.Duplicates != 0 {
		b.Fatalf("the mailing is %s: messages that FCM got twice is %v, want 0", m.State, s.Duplicates)
	}
}

// An instance is a function's process.
type instance struct {
	url string
	cmd *exec.Cmd
}

// instance starts a function as it is deployed, with one CPU and further settings.
func (c *testServices) instance(b *testing.B, name, binary string, settings ...string) *instance {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := ln.Addr().(*net.TCPAddr)
	ln.Close()
	i := &instance{url: "http://" + addr.String() + "/", cmd: exec.Command(binary)}
	i.cmd.Env = append([]string{fmt.Sprint("PORT=", addr.Port), "FUNCTION_TARGET=" + name, "PATH=" + os.Getenv("PATH"), "GOMAXPROCS=1",
		"GOOGLE_CLOUD_PROJECT=" + project, "FIRESTORE_EMULATOR_HOST=" + c.fs.Addr(), "PUBSUB_EMULATOR_HOST=" + c.ps.Addr(), "LOG_LEVEL=error"}, settings...)
	i.cmd.Stderr = os.Stderr
	if err := i.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = i.cmd.Process.Kill() }) // it may have ended
	for range 5000 {
		if conn, err := net.Dial("tcp", addr.String()); err == nil {
			conn.Close()
			return i
		}
		time.Sleep(time.Millisecond)
	}
	b.Fatal("the instance does not answer")
	return nil
}

// pushAll posts the batches as a push subscription does, some side by side.
func (i *instance) pushAll(b *testing.B, refs []push.BatchRef) {
	queue := make(chan push.BatchRef)
	var wg sync.WaitGroup
	for range pushesAside {
		wg.Go(func() {
			for ref := range queue {
				if err := i.push(ref); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for _, ref := range refs {
		queue <- ref
	}
	close(queue)
	wg.Wait()
}

func (i *instance) push(ref push.BatchRef) error {
	data, err := json.Marshal(ref)
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"message": map[string]any{"data": data, "messageId": ref.Batch}, "subscription": "projects/p/subscriptions/deliver"})
	if err != nil {
		return err
	}
	resp, err := http.Post(i.url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("batch %s: %s", ref.Batch, resp.Status)
	}
	return nil
}

// end ends the process and says what CPU it took and the most memory it had.
func (i *instance) end(b *testing.B) (cpu time.Duration, peakMiB float64) {
	b.Helper()
	if err := i.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		b.Fatal(err)
	}
	_ = i.cmd.Wait() // killed
	use, ok := i.cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		b.Fatal("this system does not tell what a process used")
	}
	return i.cmd.ProcessState.UserTime() + i.cmd.ProcessState.SystemTime(), float64(use.Maxrss) / 1024
}
