package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	warm = time.Second
	run  = 3 * time.Second
)

// BenchmarkSend prints, for one latency after the other, what each client does
// in the same run, and reports the ratios that matter.
func BenchmarkSend(b *testing.B) {
	for _, c := range []struct {
		latency     time.Duration
		connections int
	}{{0, 10}, {50 * time.Millisecond, 10}, {100 * time.Millisecond, 20}} {
		b.Run(fmt.Sprintf("latency=%s", c.latency), func(b *testing.B) {
			f := startResponder(b)
			for range b.N {
				compare(b, f, c.latency, c.connections)
			}
		})
	}
}

// A line is one line of the table.
type line struct {
	name string
	figure
}

func compare(b *testing.B, f *far, latency time.Duration, connections int) {
	s := setting{Latency: latency}
	t := task{Client: "carillon", Connections: connections, Warm: warm, Run: run}
	own := f.run(b, t, s)
	t.Client = "nethttp"
	lines := []line{{fmt.Sprintf("carillon, %d connections", connections), own},
		{fmt.Sprintf("net/http, MaxConnsPerHost=%d", connections), f.run(b, t, s)}}
	var best figure
	for _, calls := range []int{1, 4, 16} {
		got := f.run(b, task{Client: "sendeach", Calls: calls, Warm: warm, Run: run}, s)
		lines = append(lines, line{fmt.Sprintf("SendEach, %d calls at once", calls), got})
		if best.Seconds == 0 || got.rate() > best.rate() {
			best = got
		}
	}
	ratio := 0.0
	if path, err := exec.LookPath("h2load"); err == nil {
		h := f.h2load(b, path, s, connections, own.rate())
		lines = append(lines, line{fmt.Sprintf("h2load, %d × 100", connections), h})
		ratio = own.rate() / h.rate()
		b.ReportMetric(ratio, "×h2load")
	}
	if latency > 0 {
		s.Unlucky = 1000
		t.Client = "carillon"
		ill := f.run(b, t, s)
		t.Connections *= 2
		lines = append(lines, line{"carillon, 0.1 % of 503", ill},
			line{fmt.Sprintf("carillon, %d connections", t.Connections), f.run(b, t, setting{Latency: latency})})
		b.ReportMetric(ill.rate()/own.rate(), "×with-503")
	}
	fmt.Print(table(lines)) // b.Log would cut it
	b.ReportMetric(own.rate(), "messages/s")
	b.ReportMetric(own.rate()/best.rate(), "×SendEach")
	b.ReportMetric(own.cpu()/best.cpu(), "×CPU-SendEach")
	b.ReportMetric(own.mallocs(), "allocs/message")
	b.ReportMetric(own.PeakMiB, "peak-MiB")
	b.ReportMetric(float64(own.Connections), "dials")
	b.ReportMetric(0, "ns/op")
}

func table(lines []line) string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n| client | messages/s | CPU s per 100,000 | allocations a message | peak MiB | connections dialled | failed |\n")
	fmt.Fprintf(&out, "|---|---|---|---|---|---|---|\n")
	for _, l := range lines {
		fmt.Fprintf(&out, "| %s | %.0f | %.1f | %.0f | %.0f | %d | %d |\n", l.name, l.rate(), l.cpu(), l.mallocs(), l.PeakMiB, l.Connections, l.Failed)
	}
	return out.String()
}

var finished = regexp.MustCompile(`finished in ([\d.]+)(m?s), ([\d.]+) req/s`)

// h2load sends as many messages as take about as long as the other runs.
func (f *far) h2load(b *testing.B, path string, s setting, connections int, rate float64) figure {
	body := filepath.Join(b.TempDir(), "body.json")
	if err := os.WriteFile(body, request(), 0o600); err != nil {
		b.Fatal(err)
	}
	n := int(rate * run.Seconds())
	f.set(b, s)
	cmd := exec.Command(path, "-n", strconv.Itoa(n), "-c", strconv.Itoa(connections), "-m", "100", "-t", "1", "-d", body,
		"-H", "content-type: application/json", fmt.Sprintf("https://%s/v1/projects/bench/messages:send", f.addr))
	out, err := cmd.Output()
	if err != nil {
		b.Fatal(err)
	}
	m := finished.FindSubmatch(out)
	if m == nil {
		b.Fatalf("h2load says: %s", out)
	}
	seconds, _ := strconv.ParseFloat(string(m[1]), 64) // digits
	if string(m[2]) == "ms" {
		seconds /= 1000
	}
	st := cmd.ProcessState
	return figure{Messages: n, Seconds: seconds, CPU: (st.UserTime() + st.SystemTime()).Seconds(), Connections: f.set(b, s).Connections}
}
