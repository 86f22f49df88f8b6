package fcm

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkSend prints the rate at which the server answers sends, including the work of
// the client. It also prints the ratio to a net/http handler that only reads the body
// and answers, in the same run with the same client. The difference to 1 is the cost of
// validating and storing.
func BenchmarkSend(b *testing.B) {
	for _, streams := range []int{8, 400} {
		b.Run(fmt.Sprintf("inflight=%d", streams), func(b *testing.B) {
			s := start(b, Options{})
			bare := bareServer(b)
			n := max(b.N, 200)
			b.ResetTimer()
			ours := load(b, s.URL(), n, streams)
			b.StopTimer()
			theirs := load(b, bare, n, streams)
			b.ReportMetric(ours, "sends/s")
			b.ReportMetric(ours/theirs, "of-bare-net/http")
		})
	}
}

// bareServer starts the net/http handler for the comparison, and returns its URL.
func bareServer(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Protocols: &http.Protocols{}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"name":"projects/p/messages/1"}`)
	})}
	srv.Protocols.SetUnencryptedHTTP2(true)
	go func() { _ = srv.Serve(l) }()
	b.Cleanup(func() { _ = srv.Close() })
	return "http://" + l.Addr().String()
}

// load sends n messages of about 460 bytes over HTTP/2, streams of them at a time. It
// returns the rate per second.
func load(b *testing.B, url string, n, streams int) float64 {
	b.Helper()
	tr := &http.Transport{Protocols: &http.Protocols{}, MaxConnsPerHost: 4}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	ctx := context.Background()
	header := http.Header{"Content-Type": {"application/json"}}
	template, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/projects/p/messages:send", nil)
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	began := time.Now()
	for range streams {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				body := fmt.Sprintf(benchMessage, i, i)
				req := *template
				req.Header, req.ContentLength = header, int64(len(body))
				req.Body = io.NopCloser(strings.NewReader(body))
				resp, err := tr.RoundTrip(&req)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != 200 {
					b.Errorf("status %d", resp.StatusCode)
					return
				}
			}
		})
	}
	wg.Wait()
	return float64(n) / time.Since(began).Seconds()
}

const benchMessage = `{"message":{"token":"dRn1a-2bTzu:APA91bHun4MxP5egoKMwt2KZFBaFUH-1RYqx-%09d",` +
	`"notification":{"title":"Spring sale","body":"Everything that blooms is a third off until Sunday"},` +
	`"data":{"mailing_id":"01J9Z3","customer_id":"c%09d","screen":"sale","link":"https://shop.example/sale"},` +
	`"android":{"priority":"HIGH","ttl":"86400s","notification":{"channel_id":"news"}},` +
	`"apns":{"headers":{"apns-priority":"10"},"payload":{"aps":{"sound":"default","badge":1}}}}}`
