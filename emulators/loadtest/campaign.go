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
	// campaignZones is how many time zones the customers of a campaign live in: those of
	// whole hours from 12 before UTC to 12 after it.
	campaignZones = 25
	// campaignHours is how long the hours are.
	campaignHours = 12 * time.Hour
	// campaignLead is how long before the hours of UTC the campaign is handed in.
	campaignLead = 8 * time.Second
	// campaignLife is the lifetime: those whose hours begin later find none.
	campaignLife = 10 * time.Minute
	// onTheMinute is how far from its hours a message may reach FCM: on its way.
	onTheMinute = time.Second
	// mostCampaignWrites is how many writes a token may take.
	mostCampaignWrites = 0.03
)

// campaignMeasured is what became of a campaign.
type campaignMeasured struct {
	Zones       int     `json:"zones"`
	Control     int64   `json:"control"`
	Filtered    int64   `json:"filtered"`
	Targeted    int64   `json:"targeted_tokens"`
	Accepted    int64   `json:"accepted"`
	Expired     int64   `json:"expired"`
	Outside     int     `json:"outside_of_hours"`             // messages that FCM got more than a second outside
	FirstAfter  float64 `json:"first_milliseconds_after"`     // the hours of UTC began
	LastBefore  float64 `json:"last_milliseconds_before"`     // the hours of those 12 hours away ended; negative: after
	StoppedOpen int64   `json:"expired_when_the_hours_ended"` // tokens of these that were not sent in time
	Writes      float64 `json:"writes_a_token"`
	Reads       float64 `json:"reads_a_customer"`
}

// A campaignWatch sees each message at FCM's clock.
type campaignWatch struct {
	base  *campaignBase
	opens time.Time // of UTC, and when the hours of the zones 12 hours away end

	mu      sync.Mutex // guards the fields below
	seen    map[string]int
	outside int
	first   time.Time // to a customer of UTC
	last    time.Time // to a customer 12 hours away
}

func (w *campaignWatch) see(x fcm.Sighting) {
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

// inside reports whether the clock of a zone shows a time within the hours.
func (w *campaignWatch) inside(offset int, at time.Time) bool {
	clock := func(t time.Time) time.Duration { return t.Sub(t.Truncate(24 * time.Hour)) } // UTC has no changes of clocks
	from, now := clock(w.opens), clock(at.UTC().Add(time.Duration(offset)*time.Hour))
	since := now - from
	if since < 0 {
		since += 24 * time.Hour
	}
	return since < campaignHours
}

// runCampaign imports customers of 25 time zones and sends them a campaign with two
// variants, a control group, a filter and hours, which begin in some zones and end in
// others while it is sent. It holds every sum to the base, and every message to the hours.
func (p plan) runCampaign(ctx context.Context, l *local.Cloud, out io.Writer) (*Result, error) {
	m := &Result{Customers: p.customers, Instances: l.Instances}
	c := client.New(l.APIURL)
	c.HTTP.Timeout = 10 * time.Minute
	base := newCampaignBase(p)
	m.Tokens = int64(len(base.zoneOf))
	if err := importLines(ctx, c, out, base.write); err != nil {
		return nil, err
	}

	opens := time.Now().UTC().Add(campaignLead + time.Second).Truncate(time.Minute).Add(time.Minute)
	fmt.Fprintf(out, "hours from %s, handed in %s before\n", opens.Format("15:04"), campaignLead)
	if !client.Sleep(ctx, time.Until(opens.Add(-campaignLead))) {
		return nil, ctx.Err()
	}
	watch := &campaignWatch{base: base, opens: opens, seen: map[string]int{}}
	l.Phones.SetWitness(watch.see)
	defer l.Phones.SetWitness(nil)
	l.Phones.Clear()

	before, cpu, began := usageOf(l), cpuSeconds(), time.Now()
	id, err := c.SendMailing(ctx, campaignDraft(opens))
	if err != nil {
		return nil, err
	}
	b := progress.NewBar(out, "campaign")
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
	want := base.expected(campaignMailing(id, opens))
	m.Campaign = watch.measured(end, want, got)
	if m.Firestore != nil {
		m.Campaign.Writes = float64(m.Firestore.Writes) / float64(end.Tokens.Targeted)
		m.Campaign.Reads = float64(m.Firestore.Reads) / float64(p.customers)
	}
	fmt.Fprintf(out, "%d accepted, %d expired; the first message of UTC %.0f ms after its hours began, the last 12 hours away %.0f ms before they ended; %.4f writes a token\n",
		m.Campaign.Accepted, m.Campaign.Expired, m.Campaign.FirstAfter, m.Campaign.LastBefore, m.Campaign.Writes)
	return m, errors.Join(checkCampaign(m, end, want, got), watch.check(got))
}

// campaignDraft is the campaign as it is handed in.
func campaignDraft(opens time.Time) map[string]any {
	message := func(title string) map[string]any {
		return map[string]any{"notification": map[string]any{"title": title, "body": "Only today"}}
	}
	return map[string]any{
		"variants": []any{
			map[string]any{"name": "a", "share": 0.5, "message": message("Spring sale")},
			map[string]any{"name": "b", "share": 0.5, "message": message("Spring is here")},
		},
		"controlGroup": 0.05, "only": map[string]any{"platforms": []string{"android", "ios"}}, "audience": map[string]any{"everyone": true},
		"window":   map[string]any{"from": opens.Format("15:04"), "to": opens.Add(campaignHours).Format("15:04")},
		"lifetime": campaignLife.String(),
	}
}

// campaignMailing is the campaign as far as it decides who gets what.
func campaignMailing(id string, opens time.Time) *push.Mailing {
	var d push.Draft
	b, _ := json.Marshal(campaignDraft(opens)) // texts and numbers
	_ = json.Unmarshal(b, &d)
	return push.NewMailing(id, id, d, opens)
}

// measured puts together what is reported.
func (w *campaignWatch) measured(end *client.Mailing, want, got *campaignSums) *campaignMeasured {
	w.mu.Lock()
	defer w.mu.Unlock()
	x := &campaignMeasured{Zones: campaignZones, Control: want.control, Filtered: want.filtered, Targeted: end.Tokens.Targeted,
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

// check holds the messages that FCM got to the hours and to the results.
func (w *campaignWatch) check(got *campaignSums) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var faults []error
	if w.outside > 0 {
		faults = append(faults, fmt.Errorf("%d messages came outside of the hours of their customers", w.outside))
	}
	accepted := map[int]int64{}
	for token, n := range w.seen {
		accepted[w.base.zoneOf[token]]++
		if n > 1 {
			faults = append(faults, fmt.Errorf("token %s got the campaign %d times", token, n))
		}
	}
	for offset := -campaignZones / 2; offset <= campaignZones/2; offset++ {
		if n := got.results[offset]["accepted"]; n != accepted[offset] {
			faults = append(faults, fmt.Errorf("%s: the recipients say %d accepted, and FCM accepted %d", zoneName(offset), n, accepted[offset]))
		}
	}
	return errors.Join(faults...)
}

// checkCampaign holds the sums of the campaign to those of the base: of the whole, each
// variant, each platform and each zone.
func checkCampaign(m *Result, end *client.Mailing, want, got *campaignSums) error {
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
	for offset := -campaignZones / 2; offset <= campaignZones/2; offset++ {
		name, results := zoneName(offset), got.results[offset]
		same("recipients in "+name, got.zones[offset], want.zones[offset])
		same("recipients in "+name+" that are accepted or expired", results["accepted"]+results["expired"], want.zones[offset])
		switch {
		case offset >= 0 && offset < 12:
			same("accepted in "+name+", where it was in the hours", results["accepted"], want.zones[offset])
		case offset < 0 && offset > -12:
			same("accepted in "+name+", where it was not", results["accepted"], 0)
		}
		accepted, expired = accepted+results["accepted"], expired+results["expired"]
	}
	same("tokens accepted", end.Tokens.Accepted, accepted)
	same("tokens expired", end.Tokens.Expired, expired)

	if m.Tokens >= large && m.Campaign.Writes > mostCampaignWrites {
		faults = append(faults, fmt.Errorf("a token took %.4f writes, want at most %g", m.Campaign.Writes, mostCampaignWrites))
	}
	return errors.Join(faults...)
}
