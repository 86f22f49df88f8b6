package fcm

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"carillon.example/shared/push"
)

var epoch = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

// A simulation simulates the senders of one project against a quota: their limiters
// are the real ones, everything else is arithmetic on a clock of its own.
type simulation struct {
	perMinute int
	quota     quotaModel
	instances []*simulatedInstance
	stored    map[*simulatedInstance]storedDemand // what the peers have announced
	now       time.Time
	accepted  int
	limited   int
}

type storedDemand struct {
	push.Demand
	at time.Time
}

// An simulatedInstance is one sender of the simulation.
type simulatedInstance struct {
	limiter
	wants    float64 // messages a second that it has to send; 0: idle
	credit   float64 // messages it has to send now
	flights  []arriving
	exchange struct {
		turn exchangeStep
		at   time.Time // when it will have been done; zero: none is under way
		from time.Time
	}
	writes int
}

// An arriving is an answer on its way.
type arriving struct {
	at, began  time.Time
	ok         bool
	retryAfter time.Duration
}

const (
	simQuota    = 60_000
	simStep     = 5 * time.Millisecond
	simLatency  = 100 * time.Millisecond
	simExchange = 60 * time.Millisecond
	endless     = 1e9
)

// A quotaModel is how FCM may count a quota.
type quotaModel interface {
	// allowMessage counts a message and says whether it is within the quota, and what
	// Retry-After the answer has if not.
	allowMessage(now time.Time) (ok bool, retryAfter time.Duration)
}

// A minuteWindow begins with its first message.
type minuteWindow struct {
	quota      int
	retryAfter bool
	began      time.Time
	used       int
}

func (w *minuteWindow) allowMessage(now time.Time) (bool, time.Duration) {
	if now.Sub(w.began) >= time.Minute {
		w.began, w.used = now, 0
	}
	w.used++
	switch {
	case w.used <= w.quota:
		return true, 0
	case w.retryAfter:
		return false, w.began.Add(time.Minute).Sub(now).Truncate(time.Second) + time.Second
	}
	return false, 0
}

// A tokenBucket is refilled all the time.
type tokenBucket struct {
	perSecond, most, level float64
	at                     time.Time
}

func (b *tokenBucket) allowMessage(now time.Time) (bool, time.Duration) {
	if !b.at.IsZero() {
		b.level += b.perSecond * now.Sub(b.at).Seconds()
	}
	b.level, b.at = min(b.level, b.most), now
	if b.level < 1 {
		return false, 0
	}
	b.level--
	return true, 0
}

func newSimulation(perMinute int, model func(int) quotaModel) *simulation {
	return &simulation{perMinute: perMinute, quota: model(perMinute), stored: map[*simulatedInstance]storedDemand{}, now: epoch}
}

// startInstance adds an instance that has so many messages a second to send.
func (c *simulation) startInstance(wants float64) *simulatedInstance {
	i := &simulatedInstance{limiter: newLimiter(c.perMinute, 10, false, c.now), wants: wants}
	c.instances = append(c.instances, i)
	return i
}

// killInstance ends an instance without a word.
func (c *simulation) killInstance(dead *simulatedInstance) {
	for n, i := range c.instances {
		if i == dead {
			c.instances = append(c.instances[:n], c.instances[n+1:]...)
			return
		}
	}
}

// runFor lets the time pass.
func (c *simulation) runFor(d time.Duration) {
	for end := c.now.Add(d); c.now.Before(end); c.now = c.now.Add(simStep) {
		for _, i := range c.instances {
			c.deliverAnswers(i)
			if c.now.UnixMilli()%100 == 0 {
				c.exchangeDemands(i)
			}
			c.sendMessages(i)
		}
	}
}

func (c *simulation) deliverAnswers(i *simulatedInstance) {
	for len(i.flights) > 0 && !i.flights[0].at.After(c.now) {
		f := i.flights[0]
		i.flights = i.flights[1:]
		if f.ok {
			i.quota.countOther(f.began, c.now)
		} else {
			i.quota.countLimited(f.began, c.now, f.retryAfter, true)
		}
	}
}

// exchangeDemands does what Sender.startExchangesLocked and the store do.
func (c *simulation) exchangeDemands(i *simulatedInstance) {
	x := &i.exchange
	if x.at.IsZero() {
		x.turn = i.exchangeDue(c.now)
		if x.turn.isEmpty() {
			return
		}
		x.from, x.at = c.now, c.now.Add(simExchange)
		if x.turn.store {
			c.stored[i] = storedDemand{x.turn.demand, c.now}
			i.writes++
		}
		if x.turn.leave {
			delete(c.stored, i)
		}
		return
	}
	if c.now.Before(x.at) {
		return
	}

	h := exchangeResult{stored: true}
	for other, d := range c.stored {
		if d.Age = c.now.Sub(d.at); other != i && d.Age < push.DemandLife {
			h.others = append(h.others, d.Demand)
		}
	}

	i.recordExchange(x.turn, h, x.from, c.now)
	x.at = time.Time{}
}

func (c *simulation) sendMessages(i *simulatedInstance) {
	i.credit = min(i.credit+i.wants*simStep.Seconds(), max(1, i.wants))
	for i.credit >= 1 && i.waitTime(c.now) == 0 {
		i.credit--
		i.countSent(c.now)
		ok, retryAfter := c.quota.allowMessage(c.now)
		if ok {
			c.accepted++
		} else {
			c.limited++
		}
		i.flights = append(i.flights, arriving{c.now.Add(simLatency), c.now, ok, retryAfter})
	}
}

// models are the ways in which FCM may count, as far as is known.
var models = map[string]func(quota int) quotaModel{
	"minute window":                  func(n int) quotaModel { return &minuteWindow{quota: n} },
	"minute window with Retry-After": func(n int) quotaModel { return &minuteWindow{quota: n, retryAfter: true} },
	"token bucket of a minute": func(n int) quotaModel {
		return &tokenBucket{perSecond: float64(n) / 60, most: float64(n), level: float64(n)}
	},
	"token bucket of a second": func(n int) quotaModel {
		return &tokenBucket{perSecond: float64(n) / 60, most: float64(n) / 60, level: float64(n) / 60}
	},
}

// inAllModels runs what instances do against each model.
func inAllModels(t *testing.T, do func(t *testing.T, c *simulation)) {
	t.Helper()
	for name, model := range models {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			do(t, newSimulation(simQuota, model))
		})
	}
}

// measureShares are how much of the quota was sent, and how much of what was sent was
// answered 429.
func (c *simulation) measureShares() (used, limited float64) {
	return float64(c.accepted) / (c.now.Sub(epoch).Minutes() * float64(c.perMinute)), float64(c.limited) / float64(c.accepted+c.limited)
}

// checkShares holds what was sent to what instances together are to reach.
func (c *simulation) checkShares(t *testing.T, least, most float64) {
	t.Helper()
	used, limited := c.measureShares()
	t.Logf("%.1f %% of the quota, %.2f %% of 429", 100*used, 100*limited)
	if used < least {
		t.Errorf("%.1f %% of the quota, want %.0f %%", 100*used, 100*least)
	}
	if limited > most {
		t.Errorf("%.2f %% of 429, want at most %.1f %%", 100*limited, 100*most)
	}

	for n, i := range c.instances {
		if perTenSeconds := float64(i.writes) / c.now.Sub(epoch).Seconds() * 10; c.now.Sub(epoch) > 5*time.Minute && perTenSeconds > 1 {
			t.Errorf("instance %d stored its demand %d times", n, i.writes)
		}
	}
}

func TestInstancesShareTheQuota(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 5, 10} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			inAllModels(t, func(t *testing.T, c *simulation) {
				for range n {
					c.startInstance(endless)
				}
				c.runFor(10 * time.Minute)
				c.checkShares(t, 0.92, 0.005)
			})
		})
	}
}

// TestInstancesComeAndGo: of four instances one falls idle and wakes up, one
// ends with and one without a word, and others come.
func TestInstancesComeAndGo(t *testing.T) {
	t.Parallel()
	inAllModels(t, func(t *testing.T, c *simulation) {
		idle, dies, leaves := c.startInstance(endless), c.startInstance(endless), c.startInstance(endless)
		c.startInstance(endless)
		c.runFor(2 * time.Minute)
		c.startInstance(endless)
		c.runFor(2 * time.Minute)
		c.killInstance(dies)
		c.runFor(2 * time.Minute)
		idle.wants = 0
		c.runFor(time.Minute)
		leaves.stopExchange()
		leaves.wants = 0
		c.runFor(time.Minute)
		c.killInstance(leaves)
		idle.wants = endless
		c.startInstance(20)
		c.runFor(2 * time.Minute)
		c.checkShares(t, 0.92, 0.005)
	})
}

// TestHalfOfTheInstancesDie: the worst case, of two instances one dies, three
// times in ten minutes.
func TestHalfOfTheInstancesDie(t *testing.T) {
	t.Parallel()
	inAllModels(t, func(t *testing.T, c *simulation) {
		dies := c.startInstance(endless)
		c.startInstance(endless)
		for range 3 {
			c.runFor(2 * time.Minute)
			c.killInstance(dies)
			c.runFor(time.Minute)
			dies = c.startInstance(endless)
		}
		c.runFor(time.Minute)
		c.checkShares(t, 0.88, 0.005)
	})
}

// TestAnIdleInstanceKeepsNoQuota: what an instance does not need the others use.
func TestAnIdleInstanceKeepsNoQuota(t *testing.T) {
	t.Parallel()
	inAllModels(t, func(t *testing.T, c *simulation) {
		busy := c.startInstance(endless)
		for range 4 {
			c.startInstance(endless)
		}

		c.runFor(time.Minute)
		for _, i := range c.instances[1:] {
			i.wants = 3
		}

		c.runFor(time.Minute)
		if got, want := busy.rate(), 0.95*busy.share.full; got < want {
			t.Errorf("the busy one of five may send %.0f a second, want %.0f", got, want)
		}

		c.checkShares(t, 0, 0.005)
	})
}

// TestInstancesWakeTogether: instances that become busy in the same moment do
// not each take all of the quota.
func TestInstancesWakeTogether(t *testing.T) {
	t.Parallel()
	inAllModels(t, func(t *testing.T, c *simulation) {
		for range 10 {
			c.startInstance(1)
		}
		c.runFor(2 * time.Minute)
		for _, i := range c.instances {
			i.wants = endless
		}
		c.runFor(2 * time.Minute)
		c.checkShares(t, 0.3, 0.005)
	})
}

// TestOthersUseTheQuotaToo: another program uses half of the quota.
func TestOthersUseTheQuotaToo(t *testing.T) {
	t.Parallel()
	for name, model := range models {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newSimulation(simQuota, func(n int) quotaModel { return model(n / 2) })
			c.startInstance(endless)
			c.startInstance(endless)
			c.runFor(10 * time.Minute)
			c.checkShares(t, 0.92/2, 0.3)
		})
	}
}

// BenchmarkInstances prints what instances reach together of Google's default
// quota in ten minutes from idle.
func BenchmarkInstances(b *testing.B) {
	for range b.N {
		for _, name := range slices.Sorted(maps.Keys(models)) {
			for _, n := range []int{1, 2, 5, 10} {
				c := newSimulation(600_000, models[name])
				for range n {
					c.startInstance(endless)
				}
				c.runFor(10 * time.Minute)
				used, limited := c.measureShares()
				fmt.Printf("%-30s %2d instances: %.1f %% of the quota, %.2f %% of 429\n", name, n, 100*used, 100*limited) // b.Log would cut it
			}
		}
	}
}
