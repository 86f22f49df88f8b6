package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/demo"
	"carillon.example/emulators/official"
)

// TestLifeOfMailings drives mailings through their states over the real wire.
func TestLifeOfMailings(t *testing.T) {
	t.Parallel()
	r := serveCommand(t, "-clock", "200ms", "-fcm-latency", "100ms")
	c := client.New(r.addr["API"])
	var lines strings.Builder
	const customers = 1500
	for i := range customers {
		fmt.Fprintf(&lines, "{\"id\":\"c%d\",\"tokens\":[{\"token\":\"c%d-old:token\",\"platform\":\"android\",\"addedAt\":\"2026-01-01T00:00:00Z\"},"+
			"{\"token\":\"c%d-new:token\",\"platform\":\"ios\",\"addedAt\":\"2026-02-01T00:00:00Z\"}]}\n", i, i, i)
	}
	if err := c.Call(t.Context(), http.MethodPost, "/v1/imports", strings.NewReader(lines.String()), nil); err != nil {
		t.Fatal(err)
	}
	l := &life{t: t, Client: c, fcm: client.New(r.addr["FCM"]), customers: customers}
	t.Run("dry run", l.testDryRun)
	t.Run("latest", l.testLatest)
	t.Run("scheduled", l.testScheduled)
	t.Run("paused and resumed", l.testPaused)
	t.Run("cancelled in the middle", l.testCancelled)
}

type life struct {
	*client.Client
	t         *testing.T
	fcm       *client.Client
	customers int64
}

// createMailing creates a mailing to everyone, with more fields of the draft.
func (l *life) createMailing(t *testing.T, more map[string]any) string {
	t.Helper()
	d := map[string]any{"message": demo.Message, "audience": map[string]any{"everyone": true}}
	for k, v := range more {
		d[k] = v
	}
	id, err := l.SendMailing(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (l *life) waitForEnd(t *testing.T, id string) *client.Mailing {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	m, err := l.Follow(ctx, id, func(*client.Mailing) {})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// countAccepted returns how many messages FCM has accepted so far.
func (l *life) countAccepted(t *testing.T) int64 {
	t.Helper()
	var s struct{ Accepted, Duplicates int64 }
	if err := l.fcm.Call(t.Context(), http.MethodGet, "/emulator/stats", nil, &s); err != nil {
		t.Fatal(err)
	}
	if s.Duplicates != 0 {
		t.Errorf("FCM got %d messages twice", s.Duplicates)
	}
	return s.Accepted
}

// testDryRun: a dry run runs to its end, and no phone gets a message.
func (l *life) testDryRun(t *testing.T) {
	before := l.countAccepted(t)
	m := l.waitForEnd(t, l.createMailing(t, map[string]any{"dryRun": true}))
	if want := 2 * l.customers; m.Tokens.Accepted != want {
		t.Errorf("%d tokens accepted, want %d", m.Tokens.Accepted, want)
	}
	if sent := l.countAccepted(t) - before; sent != 0 {
		t.Errorf("phones got %d messages, want 0", sent)
	}
}

// testLatest: a mailing goes to one token a customer if the setting or the mailing says
// so.
func (l *life) testLatest(t *testing.T) {
	if m := l.waitForEnd(t, l.createMailing(t, map[string]any{"devices": "latest"})); m.Tokens.Accepted != l.customers {
		t.Errorf("with devices latest in the draft: tokens %+v, want %d accepted", m.Tokens, l.customers)
	}
	for devices, want := range map[string]int64{"latest": l.customers, "all": 2 * l.customers} {
		if err := l.Call(t.Context(), http.MethodPut, "/v1/settings", map[string]string{"devices": devices}, nil); err != nil {
			t.Fatal(err)
		}
		if m := l.waitForEnd(t, l.createMailing(t, nil)); m.Tokens.Accepted != want {
			t.Errorf("with the setting %s: tokens %+v, want %d accepted", devices, m.Tokens, want)
		}
	}
	if err := l.Call(t.Context(), http.MethodPut, "/v1/settings", map[string]string{"devices": "all"}, nil); err != nil {
		t.Fatal(err)
	}
}

func (l *life) testScheduled(t *testing.T) {
	at := time.Now().Add(time.Second).UTC()
	id := l.createMailing(t, map[string]any{"sendAt": at.Format(time.RFC3339Nano), "audience": map[string]any{"customers": []string{"c1"}}})
	var m client.Mailing
	if err := l.Call(t.Context(), http.MethodGet, "/v1/mailings/"+id, nil, &m); err != nil {
		t.Fatal(err)
	}
	if m.State != "scheduled" {
		t.Errorf("before its time the state is %s, want scheduled", m.State)
	}
	var done struct {
		StartedAt time.Time `json:"startedAt"`
	}
	l.waitForEnd(t, id)
	if err := l.Call(t.Context(), http.MethodGet, "/v1/mailings/"+id, nil, &done); err != nil {
		t.Fatal(err)
	}
	if done.StartedAt.Before(at) {
		t.Errorf("it started at %s, want not before %s", done.StartedAt, at)
	}
}

// postAction posts an action and returns the state in the response.
func (l *life) postAction(t *testing.T, id, what string) string {
	t.Helper()
	var m client.Mailing
	if err := l.Call(t.Context(), http.MethodPost, "/v1/mailings/"+id+"/"+what, nil, &m); err != nil {
		t.Fatal(err)
	}
	return m.State
}

// testPaused pauses a slow mailing and resumes it.
func (l *life) testPaused(t *testing.T) {
	before := l.countAccepted(t)
	id := l.createMailing(t, map[string]any{"ratePerMinute": 60_000})
	if got := l.postAction(t, id, "pause"); got != "paused" {
		t.Fatalf("after pause the state is %s, want paused", got)
	}
	if got := l.postAction(t, id, "resume"); got == "paused" {
		t.Errorf("after resume the state is %s, want another", got)
	}
	m, want := l.waitForEnd(t, id), 2*l.customers
	if m.State != "completed" {
		t.Errorf("the mailing is %s, want completed", m.State)
	}
	if m.Tokens.Accepted != want {
		t.Errorf("%d tokens accepted, want %d", m.Tokens.Accepted, want)
	}
	if sent := l.countAccepted(t) - before; sent != want {
		t.Errorf("phones got %d messages, want %d", sent, want)
	}
	err := l.Call(t.Context(), http.MethodPost, "/v1/mailings/"+id+"/pause", nil, nil)
	switch p := client.AsProblem(err); {
	case p == nil:
		t.Errorf("pausing a mailing that has ended: the error is %v, want a problem", err)
	case p.Status != http.StatusConflict:
		t.Errorf("pausing a mailing that has ended: status %d, want %d", p.Status, http.StatusConflict)
	}
}

// testCancelled: a cancelled mailing ends within five seconds, and its totals agree with
// the messages that phones got.
func (l *life) testCancelled(t *testing.T) {
	before := l.countAccepted(t)
	id := l.createMailing(t, map[string]any{"ratePerMinute": 12_000}) // a quarter of a minute
	for l.countAccepted(t) == before {
		time.Sleep(10 * time.Millisecond) // until FCM has accepted the first message
	}
	began := time.Now()
	if got := l.postAction(t, id, "cancel"); got != "cancelled" {
		t.Fatalf("after cancel the state is %s, want cancelled", got)
	}
	m := l.waitForEnd(t, id)
	// Google's emulators answer slowly while other tests use them.
	if took := time.Since(began); took > 12*time.Second && !official.External(official.Firestore) {
		t.Errorf("the cancelled mailing ended after %s, want less than the 15s of its rate", took)
	}
	sent := l.countAccepted(t) - before
	if m.Tokens.Accepted != sent {
		t.Errorf("%d tokens accepted, want %d, as FCM counts", m.Tokens.Accepted, sent)
	}
	if sent == 0 {
		t.Error("phones got no message, want at least one before the cancel")
	}
	if sent == 2*l.customers {
		t.Errorf("phones got all %d messages, want fewer because of the cancel", sent)
	}
	if m.Tokens.Pending != 0 {
		t.Errorf("%d tokens are pending, want 0", m.Tokens.Pending)
	}
}
