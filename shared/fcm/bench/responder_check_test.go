package bench

import (
	"testing"
	"time"
)

// TestResponder: what the benchmark measures against answers like FCM, to every
// kind of client, and counts right.
func TestResponder(t *testing.T) {
	t.Parallel()
	f := startResponder(t)
	for _, name := range []string{"carillon", "nethttp", "sendeach"} {
		t.Run(name, func(t *testing.T) {
			got := figure{}
			for run := 200 * time.Millisecond; got.Messages == 0 && run < time.Minute; run *= 4 { // a slow machine needs longer
				got = f.run(t, task{Client: name, Calls: 1, Connections: 1, Warm: run / 4, Run: run}, setting{Latency: 5 * time.Millisecond})
			}
			if got.Messages == 0 || got.Failed != 0 || got.Connections == 0 || name == "carillon" && got.Connections != 1 {
				t.Errorf("%s: %+v", name, got)
			}
		})
	}
}
