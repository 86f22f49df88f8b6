package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// checkFinalState checks every customer, the events, and what is left over.
func (c *chaosRun) checkFinalState(ctx context.Context) error {
	stored, err := c.reader.readCustomers(ctx)
	if err != nil {
		return err
	}

	c.events.mu.Lock()
	defer c.events.mu.Unlock()
	if err := c.checker.checkCustomers(ctx, c.client, c.events, stored); err != nil {
		return err
	}

	if err := c.checkRosters(ctx); err != nil {
		return err
	}

	c.checker.checkCompletedEvents(c.events)
	c.checker.checkFalseEvents(c.events)
	c.panicLog.addFindings(c.checker)
	for _, s := range c.sendLog.unexpectedRequests() {
		c.checker.addFinding(brokenDuplicates, "%s", s)
	}

	for _, text := range c.customers.errorTexts {
		c.checker.addFinding(brokenOther, "%s", text)
	}
	return nil
}

// printReport prints the figures. It returns an error if a promise was broken.
func (c *chaosRun) printReport() error {
	x, out := c.checker, c.out
	x.checkOpenMailings(c.sendLog)
	fmt.Fprintln(out)
	table := func(title string, m map[string]int) {
		fmt.Fprintln(out, title)
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(out, "  %8d  %s\n", m[k], k)
		}
	}

	table("injected faults", c.injector.Counts())
	table("FCM's outcomes during the faults", c.injector.fcmOutcomes)
	table("instances ended", c.fleet.Counts())
	table("changes of tokens", c.customers.changes)
	for _, t := range x.texts {
		fmt.Fprintln(out, "BROKEN ", t)
	}

	broken := 0
	promises := map[string]int{}
	for _, k := range []string{brokenLost, brokenDuplicates, brokenTooManyAtKill, brokenSums, brokenFlagged, brokenMissedFlags, brokenAvailability, brokenErased, brokenRosters, brokenEvents, brokenFalseEvents, brokenSendCount, brokenSlow, brokenOther} {
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
		Faults  string  `json:"faults"`
		Seconds float64 `json:"seconds"`
		runTotals
		DeadLetters int            `json:"dead_letters"`
		Events      int            `json:"events"`
		EventsTwice int            `json:"events_twice"`
		Broken      map[string]int `json:"broken"`
	}{c.Seed, c.Minutes, c.Faults.String(), float64(int(time.Since(c.startedAt).Seconds())), x.totals, len(c.pubsub.Messages(c.cloud.TopicName("deliver-dead"))),
		len(c.events.ids), c.events.duplicates, promises}
	if err := json.NewEncoder(out).Encode(line); err != nil {
		return err
	}
	if broken > 0 {
		return fmt.Errorf("%d findings; seed %d", broken, c.Seed)
	}

	return nil
}
