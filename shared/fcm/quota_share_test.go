package fcm

import (
	"slices"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

func TestDivide(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ wants, parts []float64 }{
		"alone":                   {[]float64{900}, []float64{900}},
		"more than there is":      {[]float64{5000}, []float64{1000}},
		"equal parts":             {[]float64{1000, 1000, 1000, 1000}, []float64{250, 250, 250, 250}},
		"what one does not need":  {[]float64{1000, 100, 1000}, []float64{450, 100, 450}},
		"an idle one":             {[]float64{0, 1000}, []float64{0, 1000}},
		"enough for all":          {[]float64{10, 20, 30}, []float64{10, 20, 30}},
		"less than an equal part": {[]float64{300, 400, 1000}, []float64{300, 350, 350}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := divideFairly(1000, c.wants); !slices.Equal(got, c.parts) {
				t.Errorf("%v divide into %v, want %v", c.wants, got, c.parts)
			}
		})
	}
}

// TestShare is one sender's part of 1,000 messages a second, of which it would
// have 100 without its peers and 10 at the least.
func TestShare(t *testing.T) {
	t.Parallel()
	all := push.Demand{Rate: 1000, Known: 1000}
	since := func(d push.Demand, age time.Duration) push.Demand { d.Age = age; return d }
	for name, c := range map[string]struct {
		mine   push.Demand   // announced
		for_   time.Duration // so long ago
		others []push.Demand
		read   time.Duration // so long ago
		want   float64
	}{
		"nobody is there":                     {all, time.Second, nil, 0, 1000},
		"two want all":                        {all, 10 * time.Second, []push.Demand{all}, 0, 500},
		"another is idle":                     {all, 10 * time.Second, []push.Demand{{}}, 0, 1000},
		"another wants little":                {all, 10 * time.Second, []push.Demand{{Rate: 50, Known: 50}}, 0, 950},
		"this one wants little":               {push.Demand{Rate: 50, Known: 50}, 10 * time.Second, []push.Demand{{Rate: 600, Known: 600}}, 0, 400},
		"the other has not read it yet":       {all, time.Second, []push.Demand{all}, 0, 10},
		"both are new":                        {all, time.Second, []push.Demand{{Rate: 1000}}, 0, 500},
		"the other was new":                   {all, time.Second, []push.Demand{since(push.Demand{Rate: 1000}, knownAfter)}, 0, 10},
		"it has not stored its own for long":  {all, leaseFor + time.Second, []push.Demand{all}, 0, 10},
		"nor read the others, and is careful": {all, time.Second, nil, leaseFor + time.Second, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := share{full: 1000, static: 100, floor: 10}
			now := epoch
			s.recordStored(c.mine, now.Add(-c.for_), now.Add(-c.for_))
			s.recordOthers(c.others, now.Add(-c.read))
			if got := s.allowedRate(now); got != c.want {
				t.Errorf("%v a second, want %v", got, c.want)
			}
		})
	}
}

// TestADemandThatGrowsIsKnownLater: one that shrinks is known at once.
func TestADemandThatGrowsIsKnownLater(t *testing.T) {
	t.Parallel()
	s := share{full: 1000, static: 100}
	s.recordStored(push.Demand{Rate: 100}, epoch, epoch)
	steps := []struct {
		after, rate time.Duration
		want        float64
	}{{knownAfter, 0, 100}, {11 * time.Second, 900, 100}, {11*time.Second + knownAfter, 0, 900}, {22 * time.Second, 300, 300}}
	for _, step := range steps {
		at := epoch.Add(step.after)
		if step.rate > 0 {
			s.recordStored(push.Demand{Rate: float64(step.rate)}, at, at)
		}
		if got := s.knownRate(at); got != step.want {
			t.Errorf("after %s all know of %v, want %v", step.after, got, step.want)
		}
	}
}

// TestExchange is when a limiter stores its demand and reads the others'.
func TestExchange(t *testing.T) {
	t.Parallel()
	l := newLimiter(61_000, 10, false, epoch)
	if d := l.exchangeDue(epoch); !d.isEmpty() {
		t.Fatalf("before anything was sent it wants to exchange %+v", d)
	}

	var stores, reads int
	busy := func(from, to int) {
		for s := from; s < to; s++ {
			at := epoch.Add(time.Duration(s) * time.Second)
			sendUntil(&l, at, 100*time.Millisecond, 10_000)
			if d := l.exchangeDue(at); !d.isEmpty() {
				l.recordExchange(d, exchangeResult{stored: d.store}, at, at)
				if d.store {
					stores++
				}
				reads++
			}
		}
	}
	busy(0, 120)
	check.Between(t, stores, 8, 12, "stores in two minutes")
	check.Between(t, reads, 28, 45, "reads in two minutes")

	// An attempt that fails is repeated soon, and the part is given up meanwhile.
	at := epoch.Add(131 * time.Second)
	l.countSent(at)
	d := l.exchangeDue(at)
	if !d.store {
		t.Fatalf("after eleven seconds nothing is stored: %+v", d)
	}

	l.recordExchange(d, exchangeResult{err: errUnreachable}, at, at)
	l.recordExchange(exchangeStep{read: true}, exchangeResult{}, at, at) // reading works
	if d := l.exchangeDue(at.Add(retryEvery)); !d.store {
		t.Errorf("what could not be stored is not tried again: %+v", d)
	}

	// Idle, it leaves once.
	gone := at.Add(leaveAfter + time.Second)
	d = l.exchangeDue(gone)
	if !d.leave {
		t.Fatalf("idle, it does not leave: %+v", d)
	}

	l.recordExchange(d, exchangeResult{stored: true}, gone, gone)
	if d := l.exchangeDue(gone.Add(time.Minute)); !d.isEmpty() {
		t.Errorf("it has left and wants to exchange %+v", d)
	}
}

// TestADemandThatSwingsIsNotStoredMoreOften: what changes a lot is stored before
// its time, but no more often than once in ten seconds in the long run.
func TestADemandThatSwingsIsNotStoredMoreOften(t *testing.T) {
	t.Parallel()
	var x exchangeTimes
	var stored []time.Duration
	for d := time.Duration(0); d < 10*time.Minute; d += 250 * time.Millisecond {
		if now := epoch.Add(d); x.mayStore(now, true) {
			x.stored = now
			x.writes--
			stored = append(stored, d)
		}
	}

	if len(stored) > 60 {
		t.Errorf("stored %d times in ten minutes", len(stored))
	}
	if stored[1] > 3*time.Second {
		t.Errorf("the first change is stored after %s", stored[1])
	}
}
