package fcm

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

// A demandBoard is Peers in memory.
type demandBoard struct {
	mu     sync.Mutex
	stored []push.Demand
	others []push.Demand
	left   int
}

func (b *demandBoard) StoreDemand(_ context.Context, d push.Demand) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stored = append(b.stored, d)
	return nil
}

func (b *demandBoard) ReadDemands(context.Context) ([]push.Demand, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.others, nil
}

func (b *demandBoard) DeleteDemand(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left++
	return nil
}

// TestSenderSharesWithItsPeers: another instance wants all, and then ends.
func TestSenderSharesWithItsPeers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		all := push.Demand{Rate: 200, Known: 200, Ramp: 1}
		peers := &demandBoard{others: []push.Demand{all}}
		var n atomic.Int64
		s, end := newPipedSender(t, Config{QuotaPerMinute: 12_200, Peers: peers}, func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			writeReply(w, r, 200, taken)
		})
		defer end()
		ctx, cancel := context.WithCancel(t.Context())
		b := newAnswerBook(t, s)
		b.sendMany(ctx, 8_000, time.Time{})
		during := func(d time.Duration) int64 {
			before := n.Load()
			time.Sleep(d)
			return (n.Load() - before) / int64(d/time.Second)
		}
		time.Sleep(20 * time.Second)
		got := during(5 * time.Second)
		check.Between(t, got, 97, 103, "messages a second beside another instance")
		peers.mu.Lock()
		peers.others = nil
		if len(peers.stored) < 2 {
			t.Fatalf("%d demands announced, want at least 2", len(peers.stored))
		}

		check.Equal(t, peers.stored[1].Rate, 200, "the rate of the second demand announced")
		peers.mu.Unlock()
		time.Sleep(10 * time.Second)
		got = during(5 * time.Second)
		check.Between(t, got, 195, 203, "messages a second alone")

		s.ReleaseQuota()
		time.Sleep(10 * time.Second)
		peers.mu.Lock()
		defer peers.mu.Unlock()
		if got := peers.left; got != 1 {
			t.Errorf("it left %d times, want once", got)
		}

		cancel()
		b.countClasses()
	})
}
