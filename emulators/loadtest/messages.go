package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/local"
)

const (
	// messageClients is the largest number of concurrent requests.
	messageClients = 256
	// mostMessageWrites is the largest number of Firestore writes a message. Each message
	// needs two; an instance adds a few for all messages together.
	mostMessageWrites = 2.1
	// messagesTimeout is how long a run waits for the last messages to reach FCM.
	messagesTimeout = time.Minute
)

// A region costs half of a multi-region in Firestore's list prices. A message is two
// requests to Cloud Run, and one document that is deleted in the end.
const (
	regional   = 0.5
	usdRequest = 0.40 / 1e6
)

// messagesMeasured has the figures of messages to one customer. The times are from the
// POST to FCM's acceptance, in milliseconds.
type messagesMeasured struct {
	Messages      int     `json:"messages"`
	Rate          float64 `json:"messages_per_second"` // rate of the POST requests
	P50           float64 `json:"p50_milliseconds"`
	P99           float64 `json:"p99_milliseconds"`
	Max           float64 `json:"max_milliseconds"`
	MostWaiting   int64   `json:"most_waiting"`                       // posted, and not accepted by FCM yet
	LastWaiting   int64   `json:"last_waiting"`                       // when the last one was posted
	Reads         float64 `json:"reads"`                              // a message
	Writes        float64 `json:"writes"`                             // a message
	Requests      float64 `json:"fcm_requests"`                       // a message
	USDPerMillion float64 `json:"usd_per_million_messages,omitempty"` // in a region, as Terraform sets the database up

	USDMultiRegion float64 `json:"usd_per_million_messages_multi_region,omitempty"`
}

// A messageRun posts messages at a rate, and records when FCM accepts each.
type messageRun struct {
	url     string
	http    *http.Client
	latency time.Duration // of FCM: the time between its decision and its answer

	waiting atomic.Int64
	most    atomic.Int64

	// mu guards the fields below.
	mu     sync.Mutex
	begun  map[string]time.Time // when the message was posted, by token; zero after FCM accepted it
	took   []time.Duration
	twice  int
	failed error
}

func newMessageRun(l *local.Cloud) *messageRun {
	return &messageRun{
		url:     l.APIURL + "/v1/messages",
		latency: l.FCMLatency,
		http:    &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: messageClients}},
		begun:   map[string]time.Time{},
	}
}

// recordAccepted records an accepted message. FCM calls it for each request.
func (r *messageRun) recordAccepted(x fcm.RequestRecord) {
	if !x.Delivered || !strings.HasPrefix(x.Mailing, "s") { // the mailing beside the messages goes to the same customers
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	began, ok := r.begun[x.Token]
	switch {
	case !ok: // not a message of this run
	case began.IsZero():
		r.twice++
	default:
		r.took = append(r.took, x.At.Add(r.latency).Sub(began))
		r.begun[x.Token] = time.Time{}
		r.waiting.Add(-1)
	}
}

// messageCustomer returns the customer of the nth message, who has one good token.
func messageCustomer(n int) string { return fmt.Sprintf("trigger-%07d", n) }

func messageToken(n int) string { return messageCustomer(n) + ":phone-ok" }

// sendAtRate posts n messages at a rate, in messages a second, and returns the rate that
// it reached.
func (r *messageRun) sendAtRate(ctx context.Context, n int, rate float64) float64 {
	began := time.Now()
	var all sync.WaitGroup
	slots := make(chan struct{}, messageClients)
	sent := 0
	for i := range n {
		due := began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 && !client.Sleep(ctx, wait) {
			break
		}
		slots <- struct{}{}
		sent++
		all.Go(func() {
			r.sendMessage(ctx, i)
			<-slots
		})
	}
	all.Wait()
	return float64(sent) / time.Since(began).Seconds()
}

func (r *messageRun) sendMessage(ctx context.Context, n int) {
	body, err := json.Marshal(map[string]any{
		"customer": messageCustomer(n), "message": demo.TriggerMessage, "values": map[string]any{"points": n}, "category": "points",
	})
	if err == nil {
		r.mu.Lock()
		r.begun[messageToken(n)] = time.Now()
		r.most.Store(max(r.most.Load(), r.waiting.Add(1)))
		r.mu.Unlock()
		err = r.postBody(ctx, body)
	}
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.failed = errors.Join(r.failed, err)
	}
}

func (r *messageRun) postBody(ctx context.Context, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("posting a message: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("posting a message: %s: %s", resp.Status, answer)
	}
	return err
}

// runMessages imports a customer for each message and posts the messages. With
// -beside-mailing it also sends one mailing to everyone.
func (p plan) runMessages(ctx context.Context, l *local.Cloud, out io.Writer) (*Result, error) {
	m := &Result{Customers: p.customers + p.messages, Instances: l.Instances}
	c := client.New(l.APIURL)
	c.HTTP.Timeout = 10 * time.Minute
	if _, err := p.importCustomers(ctx, c, m, out); err != nil {
		return nil, err
	}
	r := newMessageRun(l)
	l.Phones.OnRequest(r.recordAccepted)
	defer l.Phones.OnRequest(nil)

	var mailing string
	if p.besideMailing {
		var err error
		mailing, err = c.SendMailing(ctx, map[string]any{"message": demo.Message, "audience": map[string]any{"everyone": true}})
		if err != nil {
			return nil, err
		}
	}
	before, requests, cpu := usageOf(l), l.Phones.Stats().Requests, cpuSeconds()
	x := &messagesMeasured{Messages: p.messages}
	x.Rate = r.sendAtRate(ctx, p.messages, p.messageRate)
	x.LastWaiting = r.waiting.Load()

	for end := time.Now().Add(messagesTimeout); r.waiting.Load() > 0 && time.Now().Before(end) && client.Sleep(ctx, 50*time.Millisecond); {
	}
	time.Sleep(time.Second) // the last results are being stored
	m.CPUSeconds, m.PeakRSSMB = cpuSeconds()-cpu, peakRSS()
	m.setUsage(before, usageOf(l))
	if mailing != "" {
		if err := c.Call(ctx, http.MethodPost, "/v1/mailings/"+mailing+"/cancel", nil, nil); err != nil {
			return nil, err
		}
	}
	m.Messages = x
	return m, x.computeFigures(m, r, int64(l.Phones.Stats().Requests-requests), mailing == "", out)
}

// computeFigures computes the figures and prints them. It returns an error if a message
// was lost, was sent twice, or needed too many operations.
func (x *messagesMeasured) computeFigures(m *Result, r *messageRun, requests int64, alone bool, out io.Writer) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return r.failed
	}
	if len(r.took) != x.Messages || r.twice > 0 {
		return fmt.Errorf("FCM accepted %[2]d of %[1]d messages, %[3]d of them twice", x.Messages, len(r.took), r.twice)
	}

	slices.Sort(r.took)
	milliseconds := func(share float64) float64 {
		return float64(r.took[int(share*float64(len(r.took)-1))].Microseconds()) / 1000
	}
	x.P50, x.P99, x.Max, x.MostWaiting = milliseconds(0.5), milliseconds(0.99), milliseconds(1), r.most.Load()
	m.USDPerMillion = 0
	if n := float64(x.Messages); alone && m.Firestore != nil {
		x.Reads, x.Writes, x.Requests = float64(m.Firestore.Reads)/n, float64(m.Firestore.Writes)/n, float64(requests)/n
		if m.PubSub != nil {
			x.USDMultiRegion = (m.costInDollars() + n*(usdDelete+2*usdRequest)) / n * 1e6
			firestore := m.costInDollars() - 2*float64(m.PubSub.Bytes)*usdPubSubByte + n*usdDelete
			x.USDPerMillion = x.USDMultiRegion - (1-regional)*firestore/n*1e6
		}
	}
	if x.Reads > 3 || x.Writes > mostMessageWrites {
		return fmt.Errorf("a message needed %.2f reads and %.2f writes, want at most 3 and %g", x.Reads, x.Writes, mostMessageWrites)
	}
	fmt.Fprintf(out, "%d messages at %.0f a second: p50 %.0f ms, p99 %.0f ms, max %.0f ms from POST to FCM; at most %d waited at the same time; %.2f reads and %.2f writes a message, $%.2f a million ($%.2f in a multi-region)\n",
		x.Messages, x.Rate, x.P50, x.P99, x.Max, x.MostWaiting, x.Reads, x.Writes, x.USDPerMillion, x.USDMultiRegion)
	return nil
}
