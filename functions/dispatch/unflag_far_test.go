package dispatch

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"carillon.example/emulators/testcloud"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// far is a Firestore that is 20 ms away.
type far struct {
	on              atomic.Bool
	rpcs, now, most atomic.Int64
}

const away = 20 * time.Millisecond

func (f *far) wait() func() {
	if !f.on.Load() {
		return func() {}
	}
	f.rpcs.Add(1)
	n := f.now.Add(1)
	for most := f.most.Load(); n > most && !f.most.CompareAndSwap(most, n); most = f.most.Load() {
	}
	time.Sleep(away)
	return func() { f.now.Add(-1) }
}

func (f *far) unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
	defer f.wait()()
	return next(ctx, method, req, reply, cc, o...)
}

func (f *far) stream(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, o ...grpc.CallOption) (grpc.ClientStream, error) {
	defer f.wait()()
	return next(ctx, d, cc, method, o...)
}

// unflagFar takes back flags over a Firestore that is 20 ms away, in one call.
func unflagFar(t testing.TB, batches, size int) (f *far, took time.Duration) {
	t.Helper()
	f = &far{}
	c := testcloud.Noon()
	s := store.New(testcloud.New(t, grpc.WithUnaryInterceptor(f.unary), grpc.WithStreamInterceptor(f.stream)).DB(), store.Options{Now: c.Now})
	b := &board{now: c.Now, fail: func(string) error { return nil }}
	d := newDispatcher(Deps{Store: s, Queue: b, Log: slog.New(slog.DiscardHandler), CallTimeout: 10 * time.Minute, Now: c.Now})
	w := &world{Store: s, board: b, clock: c, d: d}
	w.flagged(t, "m", batches, size)
	if _, err := w.StartUnflag(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}

	f.on.Store(true)
	began := time.Now()
	if err := d.handleMessage(t.Context(), push.DispatchMessage{Mailing: "m", Shard: push.DispatchUnflag}); err != nil {
		t.Fatal(err)
	}
	took = time.Since(began)
	f.on.Store(false)
	m, err := w.ReadMailingHeader(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	if m.Unflag.Unflagged != int64(batches*size) {
		t.Fatalf("%d flags were taken back, want %d", m.Unflag.Unflagged, batches*size)
	}
	return f, took
}

// TestAMillionFlagsInTenMinutes reckons it by what does not depend on the
// machine: how many requests a flag costs, and how many are under way at once.
func TestAMillionFlagsInTenMinutes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ batches, size int }{
		"an old base: every token of a batch": {3, 1000},
		"a bad hour: 3 % of each batch":       {64, 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _ := unflagFar(t, c.batches, c.size)
			each := float64(f.rpcs.Load()) / float64(c.batches*c.size)
			reckoned := time.Duration(1e6 * each * float64(away) / float64(f.most.Load()))
			t.Logf("%.3f requests a flag, %d at once: %s for 1,000,000", each, f.most.Load(), reckoned.Round(time.Second))
			if reckoned > 10*time.Minute {
				t.Errorf("1,000,000 flags take %s at %s a request, want less than 10 minutes", reckoned, away)
			}
		})
	}
}

// BenchmarkUnflag measures it, on a Firestore that is 20 ms away.
func BenchmarkUnflag(b *testing.B) {
	const flags = 16_000
	for b.Loop() {
		f, took := unflagFar(b, flags/1000, 1000)
		b.ReportMetric(flags/took.Seconds(), "flags/s")
		b.ReportMetric(float64(f.rpcs.Load())/flags*1000, "requests/1,000")
		b.ReportMetric(took.Seconds()*1e6/flags, "s/1,000,000")
	}
	b.ReportMetric(0, "ns/op")
}
