package pubsub_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	pb "cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"

	"carillon.example/emulators/pubsub"
)

// BenchmarkPush publishes through the client, 1,000 messages per request, and pushes
// each message to an HTTP server in this process. For comparison it sends the same
// number of plain POST requests from as many goroutines, which is the best possible
// rate.
func BenchmarkPush(b *testing.B) {
	url := serve(b, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	w := start(b, pubsub.Options{Keep: -1})
	w.subscribe("bench", &pb.Subscription{PushConfig: to(url)})
	batch := make([]*pb.PubsubMessage, 1000)
	for i := range batch {
		batch[i] = &pb.PubsubMessage{Data: fmt.Appendf(nil, `{"mailing":"m","batch":"%04d"}`, i)}
	}
	before := heap()
	began, cpu := time.Now(), cpuTime()
	for left := b.N; left > 0; left -= 1000 {
		w.publishAll(batch[:min(left, 1000)]...)
	}
	w.idle()
	pushing, pushCPU := time.Since(began), cpuTime()-cpu
	b.ReportMetric((heap()-before)/1e6, "MB-kept")
	began, cpu = time.Now(), cpuTime()
	barePosts(b, url)
	bare, bareCPU := time.Since(began), cpuTime()-cpu
	b.ReportMetric(float64(b.N)/pushing.Seconds(), "pushes/s")
	b.ReportMetric(float64(b.N)/bare.Seconds(), "bare-posts/s")
	b.ReportMetric(bare.Seconds()/pushing.Seconds(), "of-bare-rate")
	b.ReportMetric(pushCPU.Seconds()/bareCPU.Seconds(), "of-bare-cpu")
}

// heap returns the size of reachable memory in bytes.
func heap() float64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func barePosts(b *testing.B, url string) {
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	defer c.CloseIdleConnections()
	work := make(chan struct{}, b.N)
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range work {
				resp, err := c.Post(url, "application/json", nil)
				if err != nil {
					b.Error(err)
					return
				}
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
