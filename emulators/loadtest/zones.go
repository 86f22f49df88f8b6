package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"carillon.example/emulators/client"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/local"
	"carillon.example/emulators/progress"
	"carillon.example/shared/push"
)

const (
	// zoneCount is the number of time zones of the customers: all whole hours from
	// 12 before UTC to 12 after it.
	zoneCount = 25
	// zonesHours is the length of the hours of the mailing.
	zonesHours = 12 * time.Hour
	// zonesLead is the time from the POST of the mailing to the beginning of its hours in
	// UTC.
	zonesLead = 8 * time.Second
	// zonesLife is the lifetime of the mailing. It has ended when the hours of the later
	// time zones begin.
	zonesLife = 10 * time.Minute
	// onTheMinute is how long before or after its hours a message may reach FCM, because
	// it takes time on the network.
	onTheMinute = time.Second
	// mostZonesWrites is the largest number of Firestore writes a token.
	mostZonesWrites = 0.03
)

// zonesMeasured has the figures of a mailing by time zones.
type zonesMeasured struct {
	Zones       int     `json:"time_zones"`
	Control     int64   `json:"control"`
	Filtered    int64   `json:"filtered"`
	Targeted    int64   `json:"targeted_tokens"`
	Accepted    int64   `json:"accepted"`
	Expired     int64   `json:"expired"`
	Outside     int     `json:"outside_of_hours"`             // messages that FCM got more than onTheMinute outside the hours
	FirstAfter  float64 `json:"first_milliseconds_after"`     // after the hours began in UTC
	LastBefore  float64 `json:"last_milliseconds_before"`     // before the hours ended in the zones 12 hours from UTC; negative: after
	StoppedOpen int64   `json:"expired_when_the_hours_ended"` // tokens of these zones that were not sent in time
	Writes      float64 `json:"writes_a_token"`
	Reads       float64 `json:"reads_a_customer"`
}

// A zonesWatch records when FCM got each message.
type zonesWatch struct {
	base  *zonesBase
	opens time.Time // beginning of the hours in UTC, and their end in the zones 12 hours from UTC

	mu      sync.Mutex // guards the fields below
	seen    map[string]int
	outside int
	first   time.Time // when FCM got the first message to a customer in UTC
	last    time.Time // when FCM got the last message to a customer 12 hours from UTC
}

// recordRequest records a delivered message. FCM calls it for each request.
func (w *zonesWatch) recordRequest(x fcm.RequestRecord) {
	offset, known := w.base.zoneOf[x.Token]
	if !x.Delivered || !known {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen[x.Token]++
	if !w.inside(offset, x.At.Add(onTheMinute)) && !w.inside(offset, x.At.Add(-onTheMinute)) {
		w.outside++
	}
	switch {
	case offset == 0 && (w.first.IsZero() || x.At.Before(w.first)):
		w.first = x.At
	case (offset == 12 || offset == -12) && x.At.After(w.last):
		w.last = x.At
	}
}

// inside reports whether a time is within the hours by the clock of a zone. offset is the
// zone's hours from UTC.
func (w *zonesWatch) inside(offset int, at time.Time) bool {
	clock := func(t time.Time) time.Duration { return t.Sub(t.Truncate(24 * time.Hour)) } // UTC has no daylight saving time
	from, now := clock(w.opens), clock(at.UTC().Add(time.Duration(offset)*time.Hour))
	since := now - from
	if since < 0 {
		since += 24 * time.Hour
	}
	return since < zonesHours
}

// runZones imports customers of 25 time zones and sends one mailing with two variants, a
// control group, a filter and hours. The hours begin in some zones and end in others while
// the mailing is sent. It compares every sum with the imported customers, and the time of
// every message with the hours.
func (p plan) runZones(ctx context.Context, l *local.Cloud, out io.Writer) (*Result, error) {
	m := &Result{Customers: p.customers, Instances: l.Instances}
	c := client.New(l.APIURL)
	c.HTTP.Timeout = 10 * time.Minute
	base := newZonesBase(p)
	m.Tokens = int64(len(base.zoneOf))
	if err := importLines(ctx, c, out, base.write); err != nil {
		return nil, err
	}

	opens := time.Now().UTC().Add(zonesLead + time.Second).Truncate(time.Minute).Add(time.Minute)
	fmt.Fprintf(out, "the hours begin at %s UTC; the mailing is created %s before\n", opens.Format("15:04"), zonesLead)
	if !client.Sleep(ctx, time.Until(opens.Add(-zonesLead))) {
		return nil, ctx.Err()
	}
	watch := &zonesWatch{base: base, opens: opens, seen: map[string]int{}}
	l.Phones.OnRequest(watch.recordRequest)
	defer l.Phones.OnRequest(nil)
	l.Phones.Clear()

	before, cpu, began := usageOf(l), cpuSeconds(), time.Now()
	id, err := c.SendMailing(ctx, zonesDraft(opens))
	if err != nil {
		return nil, err
	}
	b := progress.NewBar(out, "zones")
	c.Every = 500 * time.Millisecond
	end, err := c.Follow(ctx, id, func(x *client.Mailing) { b.Show(x.Tokens.Targeted-x.Tokens.Pending, m.Tokens, x.State) })
	b.End()
	if err != nil {
		return nil, err
	}
	m.Seconds, m.CPUSeconds, m.PeakRSSMB = time.Since(began).Seconds(), cpuSeconds()-cpu, peakRSS()
	m.setUsage(before, usageOf(l))
	m.recordQuota(l)
	s := l.Phones.Stats()
	m.FCM.Requests, m.FCM.Connections, m.FCM.Duplicates = int64(s.Requests), int64(s.ConnectionsAccepted), int64(s.Duplicates)

	got, err := base.recipients(ctx, c, id)
	if err != nil {
		return nil, err
	}
	want := base.expected(zonesMailing(id, opens))
	m.Zones = watch.measured(end, want, got)
	if m.Firestore != nil {
		m.Zones.Writes = float64(m.Firestore.Writes) / float64(end.Tokens.Targeted)
		m.Zones.Reads = float64(m.Firestore.Reads) / float64(p.customers)
	}
	fmt.Fprintf(out, "%d accepted, %d expired; first message in UTC %.0f ms after the hours began; last message 12 hours from UTC %.0f ms before the hours ended; %.4f writes a token\n",
		m.Zones.Accepted, m.Zones.Expired, m.Zones.FirstAfter, m.Zones.LastBefore, m.Zones.Writes)
	return m, errors.Join(checkZones(m, end, want, got), watch.check(got))
}

// zonesDraft returns the draft of the mailing, with hours that begin at opens.
func zonesDraft(opens time.Time) map[string]any {
	message := func(title string) map[string]any {
		return map[string]any{"notification": map[string]any{"title": title, "body": "Only today"}}
	}
	return map[string]any{
		"variants": []any{
			map[string]any{"name": "a", "share": 0.5, "message": message("Spring sale")},
			map[string]any{"name": "b", "share": 0.5, "message": message("Spring is here")},
		},
		"controlGroup": 0.05, "only": map[string]any{"platforms": []string{"android", "ios"}}, "audience": map[string]any{"everyone": true},
		"window":   map[string]any{"from": opens.Format("15:04"), "to": opens.Add(zonesHours).Format("15:04")},
		"lifetime": zonesLife.String(),
	}
}

// zonesMailing returns the mailing with the fields that decide who gets which message.
func zonesMailing(id string, opens time.Time) *push.Mailing {
	var d push.Draft
	b, _ := json.Marshal(zonesDraft(opens)) // cannot fail: it has only texts and numbers
	_ = json.Unmarshal(b, &d)
	return push.NewMailing(id, id, d, opens)
}

// measured returns the figures of the run.
func (w *zonesWatch) measured(end *client.Mailing, want, got *zonesSums) *zonesMeasured {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := &zonesMeasured{Zones: zoneCount, Control: want.control, Filtered: want.filtered, Targeted: end.Tokens.Targeted,
		Accepted: end.Tokens.Accepted, Expired: end.Tokens.Expired, Outside: w.outside,
		StoppedOpen: got.results[12]["expired"] + got.results[-12]["expired"]}
	if !w.first.IsZero() {
		x.FirstAfter = float64(w.first.Sub(w.opens).Microseconds()) / 1000
	}
	if !w.last.IsZero() {
		x.LastBefore = float64(w.opens.Sub(w.last).Microseconds()) / 1000
	}
	return x
}

// check compares the messages that FCM got with the hours and with the results.
func (w *zonesWatch) check(got *zonesSums) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var faults []error
	if w.outside > 0 {
		faults = append(faults, fmt.Errorf("FCM got %d messages outside the hours of their customers", w.outside))
	}
	accepted := map[int]int64{}
	for token, n := range w.seen {
		accepted[w.base.zoneOf[token]]++
		if n > 1 {
			faults = append(faults, fmt.Errorf("token %s got the mailing %d times, want once", token, n))
		}
	}
	for offset := -zoneCount / 2; offset <= zoneCount/2; offset++ {
		if n := got.results[offset]["accepted"]; n != accepted[offset] {
			faults = append(faults, fmt.Errorf("%s: the recipients list %d accepted, but FCM accepted %d", zoneName(offset), n, accepted[offset]))
		}
	}
	return errors.Join(faults...)
}

// checkZones compares the sums of the mailing, and those of each variant, platform and
// time zone, with the imported customers.
func checkZones(m *Result, end *client.Mailing, want, got *zonesSums) error {
	var faults []error
	same := func(what string, got, want int64) {
		if got != want {
			faults = append(faults, fmt.Errorf("%s: %d, want %d", what, got, want))
		}
	}
	faults = append(faults, end.Reconcile())
	same("customers matched", end.Customers.Matched, int64(m.Customers))
	same("customers in the control group", end.Customers.Excluded.Control, want.control)
	same("customers without a token of these platforms", end.Customers.Excluded.Filtered, want.filtered)
	for _, name := range []string{"a", "b"} {
		same("customers of variant "+name, end.Variants[name].Customers, want.customers[name])
		same("tokens of variant "+name, end.Variants[name].Targeted, want.tokens[name])
		same("recipients of variant "+name, got.tokens[name], want.tokens[name])
	}
	for _, platform := range []push.Platform{push.Android, push.IOS, push.Web} {
		same("tokens of "+platform.NameInSums(), end.Platforms[platform.NameInSums()].Targeted, want.platforms[platform])
		same("recipients with "+platform.NameInSums(), got.platforms[platform], want.platforms[platform])
	}

	var accepted, expired int64
	for offset := -zoneCount / 2; offset <= zoneCount/2; offset++ {
		name, results := zoneName(offset), got.results[offset]
		same("recipients in "+name, got.zones[offset], want.zones[offset])
		same("recipients in "+name+" with the result accepted or expired", results["accepted"]+results["expired"], want.zones[offset])
		switch {
		case offset >= 0 && offset < 12:
			same("accepted in "+name+", whose hours had begun", results["accepted"], want.zones[offset])
		case offset < 0 && offset > -12:
			same("accepted in "+name+", whose hours had not begun", results["accepted"], 0)
		}
		accepted, expired = accepted+results["accepted"], expired+results["expired"]
	}
	same("tokens accepted", end.Tokens.Accepted, accepted)
	same("tokens expired", end.Tokens.Expired, expired)

	if m.Tokens >= large && m.Zones.Writes > mostZonesWrites {
		faults = append(faults, fmt.Errorf("a token needed %.4f writes, want at most %g", m.Zones.Writes, mostZonesWrites))
	}
	return errors.Join(faults...)
}
