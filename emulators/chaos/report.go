package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// last examines everybody, and what is left over.
func (c *chaos) last(ctx context.Context) error {
	stored, err := c.archive.customers(ctx)
	if err != nil {
		return err
	}

	c.events.mu.Lock()
	defer c.events.mu.Unlock()
	if err := c.exam.everybody(ctx, c.client, c.events, stored); err != nil {
		return err
	}

	c.exam.completion(c.events)
	c.exam.falseAlarms(c.events)
	c.panics.examine(c.exam)
	for _, s := range c.ledger.strays() {
		c.exam.say(brokenTwice, "%s", s)
	}

	for _, text := range c.people.wrong {
		c.exam.say(brokenOther, "%s", text)
	}
	return nil
}

// report prints the figures, and fails when a promise was broken.
func (c *chaos) report() error {
	x, out := c.exam, c.out
	x.openRings(c.ledger)
	fmt.Fprintln(out)
	table := func(title string, m map[string]int) {
		fmt.Fprintln(out, title)
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(out, "  %8d  %s\n", m[k], k)
		}
	}

	table("faults made", c.weather.Counts())
	table("FCM's outcomes while it stormed", c.weather.fcm)
	table("instances ended", c.fleet.Counts())
	table("changes of tokens", c.people.made)
	for _, t := range x.texts {
		fmt.Fprintln(out, "BROKEN ", t)
	}

	broken := 0
	promises := map[string]int{}
	for _, k := range []string{brokenLost, brokenTwice, brokenMany, brokenSums, brokenFlagged, brokenUnflagged, brokenReach, brokenEvents, brokenAlarm, brokenRings, brokenSlow, brokenOther} {
		promises[k] = 0
	}

	maps.Copy(promises, x.counts)
	for _, n := range promises {
		broken += n
	}

	table("promises broken", promises)
	line := struct {
		Seed    uint64  `json:"seed"`
		Minutes float64 `json:"minutes"`
		Weather string  `json:"weather"`
		Seconds float64 `json:"seconds"`
		tallied
		DeadLetters int            `json:"dead_letters"`
		Events      int            `json:"events"`
		EventsTwice int            `json:"events_twice"`
		Broken      map[string]int `json:"broken"`
	}{c.Seed, c.Minutes, c.Weather.String(), float64(int(time.Since(c.began).Seconds())), x.sum, len(c.pubsub.Messages(c.laptop.TopicName("deliver-dead"))),
		len(c.events.ids), c.events.twice, promises}
	if err := json.NewEncoder(out).Encode(line); err != nil {
		return err
	}
	if broken > 0 {
		return fmt.Errorf("%d promises were broken; seed %d", broken, c.Seed)
	}

	return nil
}
