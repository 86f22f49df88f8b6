package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	firebase "firebase.google.com/go/v4"
	"firebase.google.com/go/v4/messaging"
	"golang.org/x/oauth2"
	"google.golang.org/api/option"

	"carillon.example/shared/fcm"
)

// A meter counts what happens between begin and finish.
type meter struct {
	on           atomic.Bool
	good, failed atomic.Int64
	since        time.Time
	cpu          float64
	mallocs      uint64
	figure       figure
	done         sync.WaitGroup
}

func (m *meter) begin() {
	m.since, m.cpu, m.mallocs = time.Now(), cpu(), mallocs()
	m.on.Store(true)
}

func (m *meter) finish() {
	m.on.Store(false)
	m.figure = figure{Messages: int(m.good.Load()), Failed: int(m.failed.Load()), Seconds: time.Since(m.since).Seconds(),
		CPU: cpu() - m.cpu, Mallocs: mallocs() - m.mallocs}
}

func (m *meter) count(ok bool) {
	switch {
	case !m.on.Load():
	case ok:
		m.good.Add(1)
	default:
		m.failed.Add(1)
	}
}

// clients make what sends until the time it is given.
var clients = map[string]func(task, *meter) func(stop time.Time){
	"carillon": carillon,
	"sendeach": sendEach,
	"nethttp":  netHTTP,
}

const (
	title    = "Spring sale"
	text     = "Twenty per cent off everything green until Sunday evening, in all our shops and online"
	link     = "https://shop.example/sale?utm_source=push&utm_campaign=spring"
	mailing  = "0c9d3f5e8a7b4c6d9e1f2a3b4c5d6e7f"
	customer = "customer-0123456789"
)

// target is as long as tokens of 2026 are.
var target = strings.Repeat("fGx4Kd9_Tk-", 15)

// object is the message; with ids and target the request is about 785 bytes.
func object() []byte {
	b, err := json.Marshal(map[string]any{
		"notification": map[string]string{"title": title, "body": text, "image": "https://shop.example/s.png"},
		"data":         map[string]string{"screen": "sale", "filler": strings.Repeat("x", 120)},
		"android":      map[string]any{"priority": "high", "ttl": "86400s"},
	})
	if err != nil {
		panic(err)
	}
	return b
}

func carillon(t task, m *meter) func(time.Time) {
	s, err := fcm.New(context.Background(), fcm.Config{Project: "bench", Endpoint: "https://" + t.Addr, QuotaPerMinute: 1_000_000_000,
		MaxInstances: 1, Connections: t.Connections, MaxConnections: t.Connections})
	if err != nil {
		panic(err)
	}
	msg, err := fcm.Compile(object(), fcm.Extra{MailingID: mailing, Link: link})
	if err != nil {
		panic(err)
	}
	return func(stop time.Time) {
		var answer func(fcm.Answer)
		over := make(chan struct{})
		var left atomic.Int64
		it := fcm.Item{Message: msg, Customer: customer, Target: target}
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		answer = func(a fcm.Answer) {
			if ctx.Err() == nil {
				m.count(a.Class == fcm.Accepted)
			}
			if time.Now().Before(stop) {
				s.Send(ctx, it, answer)
			} else if left.Add(-1) == 0 {
				close(over)
			}
		}
		n := 150 * t.Connections // half as much again as the connections carry
		left.Store(int64(n))
		for range n {
			s.Send(ctx, it, answer)
		}
		time.Sleep(time.Until(stop))
		cancel() // what waits for its second attempt
		<-over
		m.done.Wait()
	}
}

func sendEach(t task, m *meter) func(time.Time) {
	ctx := context.Background()
	app, err := firebase.NewApp(ctx, &firebase.Config{ProjectID: "bench"}, option.WithEndpoint("https://"+t.Addr+"/v1"),
		option.WithTokenSource(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "bench"})))
	if err != nil {
		panic(err)
	}
	c, err := app.Messaging(ctx)
	if err != nil {
		panic(err)
	}
	one := &messaging.Message{
		Notification: &messaging.Notification{Title: title, Body: text, ImageURL: "https://shop.example/s.png"},
		Data: map[string]string{"screen": "sale", "filler": strings.Repeat("x", 120), "link": link, "mailing_id": mailing,
			"customer_id": customer},
		Android: &messaging.AndroidConfig{Priority: "high"},
		Fid:     target, // beside Token, which the SDK calls deprecated; as long
	}
	batch := make([]*messaging.Message, 500) // as many as SendEach takes
	for i := range batch {
		batch[i] = one
	}
	return func(stop time.Time) {
		var mu sync.Mutex
		var calls []call
		sideBySide(t.Calls, stop, func() {
			began := time.Now()
			r, err := c.SendEach(ctx, batch)
			if err != nil {
				panic(err)
			}
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, call{began, time.Now(), r.SuccessCount, r.FailureCount})
		})
		m.done.Wait()
		for _, c := range calls {
			share := c.within(m.since, m.since.Add(time.Duration(m.figure.Seconds*float64(time.Second))))
			m.figure.Messages += int(share * float64(c.good))
			m.figure.Failed += int(share * float64(c.failed))
		}
	}
}

// A call is one of SendEach. It tells nothing before its last answer has come:
// its messages are taken to be spread evenly over it.
type call struct {
	began, ended time.Time
	good, failed int
}

// within is the share of the call that lies between from and to.
func (c call) within(from, to time.Time) float64 {
	if c.began.After(from) {
		from = c.began
	}
	if c.ended.Before(to) {
		to = c.ended
	}
	return max(0, to.Sub(from).Seconds()/c.ended.Sub(c.began).Seconds())
}

// sideBySide calls f again and again in n goroutines.
func sideBySide(n int, stop time.Time, f func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for time.Now().Before(stop) {
				f()
			}
		})
	}
	wg.Wait()
}

func netHTTP(t task, m *meter) func(time.Time) {
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.MaxConnsPerHost = t.Connections
	c := &http.Client{Transport: tr, Timeout: 15 * time.Second}
	url := fmt.Sprintf("https://%s/v1/projects/bench/messages:send", t.Addr)
	body := request()
	return func(stop time.Time) {
		sideBySide(100*t.Connections, stop, func() {
			resp, err := c.Post(url, "application/json", bytes.NewReader(body))
			if err != nil {
				m.count(false)
				return
			}
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			m.count(err == nil && resp.StatusCode == http.StatusOK)
		})
		m.done.Wait()
	}
}

// request is the body of a request as a client without any structure sends it.
func request() []byte {
	var o map[string]any
	if err := json.Unmarshal(object(), &o); err != nil {
		panic(err)
	}
	data := o["data"].(map[string]any)
	data["link"], data["mailing_id"], data["customer_id"], o["token"] = link, mailing, customer, target
	b, err := json.Marshal(map[string]any{"message": o})
	if err != nil {
		panic(err)
	}
	return b
}
