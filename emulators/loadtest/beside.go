package loadtest

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/local"
)

const (
	// besideEvery is the interval between two mailings to one customer beside the
	// large one.
	besideEvery = 3 * time.Second
	// besideCustomers is the number of customers who get these mailings in turn. Each
	// has one good token and also gets the large mailing.
	besideCustomers = 20
	// besideTimeout is the time after which such a mailing counts as not sent if it has
	// not reached FCM.
	besideTimeout = 5 * time.Minute
)

// besideMeasured has the times of mailings to one customer beside a large one, from
// their POST to FCM, in seconds.
type besideMeasured struct {
	Mailings int     `json:"mailings"`
	P50      float64 `json:"p50_seconds"`
	Max      float64 `json:"max_seconds"`
	Late     int     `json:"over_a_second"`
	NotSent  int     `json:"not_sent"` // did not reach FCM in besideTimeout
}

// beside creates mailings to one customer, and records when FCM gets each.
type beside struct {
	client *client.Client

	// mu guards the fields below.
	mu      sync.Mutex
	seen    map[string]time.Time // when FCM got the first request, by mailing id
	changed chan struct{}        // closed when seen changes
	took    []time.Duration
	missing int
	failed  error
}

func besideCustomer(i int) string { return fmt.Sprintf("beside-%02d", i%besideCustomers) }

// recordRequest records the first request of a mailing. FCM calls it for each request.
func (b *beside) recordRequest(s fcm.RequestRecord) {
	if !strings.HasPrefix(s.Customer, "beside-") || s.Validated {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, known := b.seen[s.Mailing]; known {
		return
	}
	b.seen[s.Mailing] = s.At
	close(b.changed)
	b.changed = make(chan struct{})
}

// startBeside creates mailings until stop is called. stop waits for those that have not
// reached FCM yet, and returns the times.
func startBeside(ctx context.Context, l *local.Cloud, out io.Writer) (stop func() (*besideMeasured, error)) {
	b := &beside{client: client.New(l.APIURL), seen: map[string]time.Time{}, changed: make(chan struct{})}
	l.Phones.OnRequest(b.recordRequest)
	creating, stopCreating := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		for i := 0; ; i++ {
			all.Go(func() { b.sendAndWait(ctx, i) })
			if !client.Sleep(creating, besideEvery) {
				return
			}
		}
	})

	return func() (*besideMeasured, error) {
		stopCreating()
		all.Wait()
		l.Phones.OnRequest(nil)
		if b.failed != nil {
			return nil, b.failed
		}
		m := b.summarize()
		fmt.Fprintf(out, "%d mailings to one customer at the same time: p50 %.2f s, max %.2f s from POST to FCM; %d took more than a second; %d did not reach FCM in %s\n",
			m.Mailings, m.P50, m.Max, m.Late, m.NotSent, besideTimeout)
		return m, nil
	}
}

// sendAndWait creates a mailing and waits until FCM gets it.
func (b *beside) sendAndWait(ctx context.Context, i int) {
	ctx, cancel := context.WithTimeout(ctx, besideTimeout)
	defer cancel()
	began := time.Now()
	id, err := b.client.SendMailing(ctx, map[string]any{"message": demo.Message, "audience": map[string]any{"customers": []string{besideCustomer(i)}}})
	if err != nil {
		b.mu.Lock()
		b.failed = fmt.Errorf("creating a mailing beside the large one: %w", err)
		b.mu.Unlock()
		return
	}

	for {
		b.mu.Lock()
		at, ok := b.seen[id]
		changed := b.changed
		if ok {
			b.took = append(b.took, at.Sub(began))
		}
		b.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			b.mu.Lock()
			b.missing++
			b.mu.Unlock()
			return
		}
	}
}

func (b *beside) summarize() *besideMeasured {
	b.mu.Lock()
	defer b.mu.Unlock()
	m := &besideMeasured{Mailings: len(b.took) + b.missing, NotSent: b.missing}
	if len(b.took) > 0 {
		slices.Sort(b.took)
		first, _ := slices.BinarySearch(b.took, time.Second+1)
		m.Late = len(b.took) - first
		m.P50, m.Max = b.took[len(b.took)/2].Seconds(), b.took[len(b.took)-1].Seconds()
	}
	return m
}
