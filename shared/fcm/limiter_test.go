package fcm

import (
	"errors"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

var errUnreachable = errors.New("out of reach")

// sendUntil sends as fast as l allows from at on for d, up to most messages a
// second, and returns how many that were.
func sendUntil(l *limiter, at time.Time, d time.Duration, most int) (n int) {
	for end := at.Add(d); at.Before(end); at = at.Add(time.Millisecond) {
		for range max(most/1000, 1) {
			if l.waitTime(at) > 0 {
				break
			}
			l.countSent(at)
			n++
		}
	}
	return n
}

// setOthers tells l what the others want.
func setOthers(l *limiter, now time.Time, others ...push.Demand) {
	l.recordExchange(exchangeStep{read: true}, exchangeResult{others: others}, now, now)
}

// TestLimiterRamps: a project that was idle starts with a part of the quota and
// has all of it a minute later.
func TestLimiterRamps(t *testing.T) {
	t.Parallel()
	l := newLimiter(610_000, 10, false, epoch) // 10,000 a second in all
	setOthers(&l, epoch)
	n := sendUntil(&l, epoch, time.Second, 100_000)
	check.Between(t, n, 1000, 1000+int(1000*burst)+1, "messages in the first second")
	for s := 1; s < 70; s++ {
		at := epoch.Add(time.Duration(s) * time.Second)
		setOthers(&l, at)
		if n := sendUntil(&l, at, time.Second, 100_000); s < 50 && n > 1000+(s+1)*10_000/rampSeconds {
			t.Errorf("%d in second %d: it grows too fast", n, s)
		}
	}

	if got := l.rate(); got != 10_000 {
		t.Errorf("after 70 s %v a second, want 10,000", got)
	}
}

func TestLimiterForgetsWhenIdle(t *testing.T) {
	t.Parallel()
	l := newLimiter(610_000, 10, false, epoch)
	setOthers(&l, epoch)
	l.ramp = 1
	half := epoch.Add(30 * time.Second)
	setOthers(&l, half)
	l.waitTime(half)
	got := l.rate()
	check.Between(t, got, 4900, 5100, "messages a second after half a minute of idling")
	idle := half.Add(61 * time.Second)
	setOthers(&l, idle)
	l.waitTime(idle)
	if got := l.rate(); got != 1000 {
		t.Errorf("after idling %v a second, want 1,000", got)
	}
}

func TestLimiterDoesNotGrowUnused(t *testing.T) {
	t.Parallel()
	l := newLimiter(610_000, 10, false, epoch)
	for i := range 120 {
		at := epoch.Add(time.Duration(i) * time.Second)
		setOthers(&l, at)
		if d := l.waitTime(at); d != 0 {
			t.Fatalf("a message a second has to wait %s", d)
		}
		l.countSent(at)
	}

	if got := l.rate(); got != 1000 {
		t.Errorf("%v a second, want 1,000", got)
	}
}

// TestLimiterWithoutPeers: senders that do not hear of each other keep to equal
// parts.
func TestLimiterWithoutPeers(t *testing.T) {
	t.Parallel()
	l := newLimiter(610_000, 10, true, epoch)
	n := sendUntil(&l, epoch, 2*time.Minute, 100_000)
	check.Between(t, n, 119_000, 121_000, "messages in two minutes")
	if d := l.exchangeDue(epoch.Add(2 * time.Minute)); !d.isEmpty() {
		t.Errorf("without peers it wants to exchange %+v", d)
	}
}

// TestProjectQuotaIsUsedUp: when most answers are 429 nothing is sent but a
// message now and then, until one is accepted or the window ends.
func TestProjectQuotaIsUsedUp(t *testing.T) {
	t.Parallel()
	use := func() (limiter, time.Time) {
		l := newLimiter(610_000, 1, true, epoch)
		l.waitTime(epoch)
		l.countSent(epoch) // begins the window
		now := epoch.Add(20 * time.Second)
		for n := 1; !l.quota.usedUp(now); n++ {
			l.quota.countLimited(now.Add(-50*time.Millisecond), now, 0, true)
			if n > recentAnswers {
				t.Fatal("all answers are 429, and it goes on")
			}
		}
		return l, now
	}

	l, now := use()
	if got := l.heldUntil().Sub(now); got != 40*time.Second {
		t.Errorf("held for %s, want the 40 s that are left of the window", got)
	}
	if got := l.waitTime(now); got != probeEvery {
		t.Errorf("the first probe is in %s, want %s", got, probeEvery)
	}

	probe := now.Add(probeEvery)
	if got := l.waitTime(probe); got != 0 {
		t.Errorf("the probe waits %s", got)
	}

	l.countSent(probe)
	if got := l.waitTime(probe); got != probeEvery {
		t.Errorf("the second probe is in %s, want %s", got, probeEvery)
	}

	l.quota.countLimited(probe, probe, 0, true)
	if !l.quota.usedUp(probe) {
		t.Error("a probe that is answered 429 ends the hold")
	}

	l.quota.countOther(now.Add(-time.Second), probe)
	if !l.quota.usedUp(probe) {
		t.Error("a late answer to a message sent before ends the hold")
	}

	l.quota.countOther(probe, probe)
	if l.quota.usedUp(probe) {
		t.Error("a probe that is accepted does not end the hold")
	}
	if got := l.quota.windowEnd(probe.Add(50 * time.Second)); !got.Equal(probe.Add(time.Minute)) {
		t.Errorf("the next window ends at %s, want a minute after this one began", got.Sub(epoch))
	}

	l, now = use()
	end := now.Add(40 * time.Second)
	l.waitTime(end)
	n := sendUntil(&l, end, time.Second, 100_000)
	check.Between(t, n, 9_000, 10_000, "messages in the second after the hold")
}

func TestRetryAfterEndsTheHold(t *testing.T) {
	t.Parallel()
	for asked, want := range map[time.Duration]time.Duration{7 * time.Second: 7 * time.Second, time.Hour: time.Minute} {
		l := newLimiter(610_000, 1, true, epoch)
		for !l.quota.usedUp(epoch) {
			l.quota.countLimited(epoch, epoch, asked, true)
		}
		if got := l.waitTime(epoch); got != want {
			t.Errorf("Retry-After %s: the next message waits %s, want %s", asked, got, want)
		}
	}
}

// TestOccasionalQuotaAnswers: single 429 cost the rate no more than their share.
func TestOccasionalQuotaAnswers(t *testing.T) {
	t.Parallel()
	for every, want := range map[int]struct{ least, most int }{1000: {990, 1000}, 100: {980, 995}, 10: {850, 930}} {
		for _, retryAfter := range []time.Duration{0, time.Second, time.Hour} {
			l := newLimiter(61_000, 1, true, epoch)
			n := 0
			for ms := range 5 * 60 * 1000 {
				now := epoch.Add(time.Duration(ms) * time.Millisecond)
				if l.waitTime(now) > 0 {
					continue
				}
				l.countSent(now)
				if n++; n%every == 0 {
					l.quota.countLimited(now, now, retryAfter, true)
				} else {
					l.quota.countOther(now, now)
				}
			}

			n /= 5 * 60
			check.Between(t, n, want.least, want.most, "with a 429 each %d messages and Retry-After %s: messages a second", every, retryAfter)
		}
	}
}

// TestUnnamedQuotaIsTheProjects: a 429 that does not name a quota does not lower the rate,
// until nearly all answers are 429.
func TestUnnamedQuotaIsTheProjects(t *testing.T) {
	t.Parallel()
	l := newLimiter(610_000, 1, true, epoch)
	for i := range 3000 {
		if i%3 == 0 {
			l.quota.countLimited(epoch, epoch, 0, false)
		} else {
			l.quota.countOther(epoch, epoch)
		}
	}

	if l.quota.usedUp(epoch) {
		t.Error("a third of the answers holds everybody")
	}

	l.quota.endSecond()
	if got := l.quota.limitedShare; got != 0 {
		t.Errorf("they cost the rate a share of %v", got)
	}

	for range recentAnswers {
		l.quota.countLimited(epoch, epoch, 0, false)
	}

	if !l.quota.usedUp(epoch) {
		t.Error("all answers are 429, and it goes on")
	}
}

func TestLimiterHoldsInAnOutage(t *testing.T) {
	t.Parallel()
	l := newLimiter(610_000, 1, true, epoch)
	for range 40 {
		l.observeFailure(epoch)
	}

	l.outage.good += 20_000
	for range 40 {
		l.observeFailure(epoch)
	}

	if d := l.waitTime(epoch); d != 0 {
		t.Errorf("a few failed answers among many good ones hold everybody for %s", d)
	}

	now := epoch.Add(2 * time.Second)
	l.waitTime(now)
	for range outageLeast {
		l.observeFailure(now)
	}

	if d := l.waitTime(now); d < firstWait {
		t.Errorf("waits %s in an outage of all, want %s", d, firstWait)
	}
	if got := l.ramp; got != 0.5 {
		t.Errorf("it goes on with %v of the rate, want half", got)
	}
}

func TestBackOffWait(t *testing.T) {
	t.Parallel()
	for n := 1; n < 80; n++ {
		d := backOffWait(n)
		base := min(firstWait<<min(n-1, 10), longestWait)
		if d < base {
			t.Errorf("attempt %d waits %v, want at least %v", n, d, base)
		}
		if d >= base*3/2 {
			t.Errorf("attempt %d waits %v, want less than %v", n, d, base*3/2)
		}
		if d < firstWait {
			t.Errorf("attempt %d waits %v, want at least %v", n, d, firstWait)
		}
	}
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	var l latencies
	for i := range 1000 {
		l.addLatency(50*time.Millisecond + time.Duration(i)*50*time.Microsecond)
	}

	l.computeP95()
	check.Between(t, l.p95, 90*time.Millisecond, 110*time.Millisecond, "p95")
	for range 20 {
		l.computeP95()
	}

	if l.total != 0 {
		t.Errorf("%v of old observations are left", l.total)
	}
}
