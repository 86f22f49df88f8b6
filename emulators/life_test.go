package main

import (
	"context"
	"encoding/json"
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
	t.Run("dry run", l.dryRun)
	t.Run("latest", l.latest)
	t.Run("scheduled", l.scheduled)
	t.Run("paused and resumed", l.paused)
	t.Run("cancelled in the middle", l.cancelled)
}

type life struct {
	*client.Client
	t         *testing.T
	fcm       *client.Client
	customers int64
}

// hand sends a mailing to everyone, changed.
func (l *life) hand(t *testing.T, more map[string]any) string {
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

func (l *life) end(t *testing.T, id string) *client.Mailing {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	m, err := l.Follow(ctx, id, func(*client.Mailing) {})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// accepted counts what FCM accepted of everything so far.
func (l *life) accepted(t *testing.T) int64 {
	t.Helper()
	var s struct{ Accepted, Duplicates int64 }
	if err := l.fcm.Call(t.Context(), http.MethodGet, "/emulator/stats", nil, &s); err != nil {
		t.Fatal(err)
	}
	if s.Duplicates != 0 {
		t.Errorf("FCM saw %d messages twice", s.Duplicates)
	}
	return s.Accepted
}

// dryRun goes the whole way and rings no phone.
func (l *life) dryRun(t *testing.T) {
	before := l.accepted(t)
	m := l.end(t, l.hand(t, map[string]any{"dryRun": true}))
	if m.Tokens.Accepted != 2*l.customers || l.accepted(t) != before {
		t.Errorf("%+v; %d phones rang", m.Tokens, l.accepted(t)-before)
	}
}

// latest goes to one token a customer, by the setting or by the mailing.
func (l *life) latest(t *testing.T) {
	if m := l.end(t, l.hand(t, map[string]any{"devices": "latest"})); m.Tokens.Accepted != l.customers {
		t.Errorf("%+v", m.Tokens)
	}
	for devices, want := range map[string]int64{"latest": l.customers, "all": 2 * l.customers} {
		if err := l.Call(t.Context(), http.MethodPut, "/v1/settings", map[string]string{"devices": devices}, nil); err != nil {
			t.Fatal(err)
		}
		if m := l.end(t, l.hand(t, nil)); m.Tokens.Accepted != want {
			t.Errorf("with the setting %s: %+v", devices, m.Tokens)
		}
	}
	if err := l.Call(t.Context(), http.MethodPut, "/v1/settings", map[string]string{"devices": "all"}, nil); err != nil {
		t.Fatal(err)
	}
}

func (l *life) scheduled(t *testing.T) {
	at := time.Now().Add(time.Second).UTC()
	id := l.hand(t, map[string]any{"sendAt": at.Format(time.RFC3339Nano), "audience": map[string]any{"customers": []string{"c1"}}})
	var m client.Mailing
	if err := l.Call(t.Context(), http.MethodGet, "/v1/mailings/"+id, nil, &m); err != nil {
		t.Fatal(err)
	}
	if m.State != "scheduled" {
		t.Errorf("it is %s before its time", m.State)
	}
	var done struct {
		StartedAt time.Time `json:"startedAt"`
	}
	l.end(t, id)
	if err := l.Call(t.Context(), http.MethodGet, "/v1/mailings/"+id, nil, &done); err != nil {
		t.Fatal(err)
	}
	if done.StartedAt.Before(at) {
		t.Errorf("it started at %s, due at %s", done.StartedAt, at)
	}
}

// act posts an action and returns the state it answers.
func (l *life) act(t *testing.T, id, what string) string {
	t.Helper()
	var m client.Mailing
	if err := l.Call(t.Context(), http.MethodPost, "/v1/mailings/"+id+"/"+what, nil, &m); err != nil {
		t.Fatal(err)
	}
	return m.State
}

// paused holds a slow mailing, sees it stand still, and lets it go on.
func (l *life) paused(t *testing.T) {
	before := l.accepted(t)
	id := l.hand(t, map[string]any{"ratePerMinute": 60_000})
	if got := l.act(t, id, "pause"); got != "paused" {
		t.Fatalf("it is %s", got)
	}
	if got := l.act(t, id, "resume"); got == "paused" {
		t.Errorf("it is still %s", got)
	}
	if m := l.end(t, id); m.State != "completed" || m.Tokens.Accepted != 2*l.customers || l.accepted(t)-before != 2*l.customers {
		t.Errorf("%s: %+v", m.State, m.Tokens)
	}
	var p *client.Problem
	err := l.Call(t.Context(), http.MethodPost, "/v1/mailings/"+id+"/pause", nil, nil)
	if p = client.AsProblem(err); p == nil || p.Status != http.StatusConflict {
		t.Errorf("pausing what has ended: %v", err)
	}
}

// cancelled stops within five seconds, and its sums say exactly who was rung.
func (l *life) cancelled(t *testing.T) {
	before := l.accepted(t)
	id := l.hand(t, map[string]any{"ratePerMinute": 12_000}) // a quarter of a minute
	for l.accepted(t) == before {
		time.Sleep(10 * time.Millisecond) // until the first phone rings
	}
	began := time.Now()
	if got := l.act(t, id, "cancel"); got != "cancelled" {
		t.Fatalf("it is %s", got)
	}
	m := l.end(t, id)
	// Google's emulators answer slowly beside other tests; ours hold the promise.
	if took := time.Since(began); took > 5*time.Second && !official.External(official.Firestore) {
		t.Errorf("it took %s to stop", took)
	}
	if rung := l.accepted(t) - before; m.Tokens.Accepted != rung || rung == 0 || rung == 2*l.customers {
		t.Errorf("%d phones rang; %+v", rung, m.Tokens)
	}
	b, err := json.Marshal(m)
	if err != nil || m.Tokens.Pending != 0 {
		t.Errorf("%s %v", b, err)
	}
}
