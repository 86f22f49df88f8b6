package dispatch

import (
	"fmt"
	"strings"
	"time"

	"carillon.example/shared/push"
)

const (
	// pagesByZone is how many pages of a mailing with hours are in one commit at most. With
	// 25 time zones, 20,000 customers fill batches of a few hundred targets each.
	pagesByZone = 20
	// zoneMemory bounds the bytes of their targets if these have attributes.
	zoneMemory = 3 * pageMemory
)

// zoneBytes returns how many bytes of targets one commit of a mailing with hours may have.
func (c *shardRun) zoneBytes() int {
	if len(c.attributes) > 0 {
		return zoneMemory
	}
	return pageBytes
}

// A zoneGroup has the targets of time zones whose hours are at the same times until the
// mailing expires.
type zoneGroup struct {
	zone    string      // one of them
	first   push.Period // in which it is sent; the zero Period if there is none
	targets []push.Target
}

// zoneGroups divides the targets of a mailing by the hours of their time zones.
type zoneGroups struct {
	m      *push.Mailing
	now    time.Time
	byZone map[string]*zoneGroup
	byTime map[string]*zoneGroup
	inUse  []*zoneGroup // in the order of their first target
}

func newZoneGroups(m *push.Mailing, now time.Time) *zoneGroups {
	return &zoneGroups{m: m, now: now, byZone: map[string]*zoneGroup{}, byTime: map[string]*zoneGroup{}}
}

// addTargets puts each target into the group of its zone.
func (z *zoneGroups) addTargets(targets []push.Target) {
	for _, t := range targets {
		g := z.byZone[t.Zone]
		if g == nil {
			g = z.groupOfZone(t.Zone)
			z.byZone[t.Zone] = g
		}
		if len(g.targets) == 0 {
			z.inUse = append(z.inUse, g)
		}
		g.targets = append(g.targets, t)
	}
}

// groupOfZone returns the group of the zones that have the same hours as a zone.
func (z *zoneGroups) groupOfZone(zone string) *zoneGroup {
	location := z.m.Hours.ZoneFor(zone)
	periods := z.m.Hours.PeriodsBetween(z.now, z.m.ExpiresAt, location)

	var key strings.Builder
	for _, p := range periods {
		fmt.Fprintf(&key, "%d-%d ", p.Opens.Unix(), p.Closes.Unix())
	}

	g := z.byTime[key.String()]
	if g == nil {
		g = &zoneGroup{zone: location.String()}
		if len(periods) > 0 {
			g.first = periods[0]
		}
		z.byTime[key.String()] = g
	}
	return g
}

// splitByZone makes the batches of each group. They wait for the hours of their zone, if
// these have not begun. Those of a mailing with a rate all wait for tick, which gives them
// slots. All batches have the range of keys of all of them together: customers of different
// zones alternate, and a customer's batches are found by the end of their range.
func (c *shardRun) splitByZone(zones *zoneGroups) []*push.Batch {
	var out []*push.Batch
	first, last := "", ""
	for _, g := range zones.inUse {
		for _, b := range c.splitIntoBatches(g.targets) {
			b.Zone = g.zone
			c.setWaiting(b, g.first)
			out = append(out, b)
		}

		begin, end := push.CustomerKey(g.targets[0].Customer), push.CustomerKey(g.targets[len(g.targets)-1].Customer)
		if first == "" || begin < first {
			first = begin
		}
		last = max(last, end)
	}

	for _, b := range out {
		b.First, b.Last = first, last
	}

	return out
}

// setWaiting decides whether a batch waits for its hours. A batch without hours before the
// mailing expires is published at once: deliver settles it as expired.
func (c *shardRun) setWaiting(b *push.Batch, hours push.Period) {
	switch {
	case hours.Opens.After(b.CreatedAt):
		b.WaitUntil, b.PublishedAt = hours.Opens, time.Time{}
	case c.mailing.RateLimit() > 0 && !hours.Opens.IsZero():
		b.WaitUntil, b.PublishedAt = b.CreatedAt, time.Time{}
	default:
		c.countReady(len(b.Targets))
	}
}
