package fcm

import (
	"testing"
	"time"
)

var epoch = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

// spend sends as fast as p allows from at on for d, up to most messages a
// second, and returns how many that were.
func spend(p *pace, at time.Time, d time.Duration, most int) (n int) {
	for end := at.Add(d); at.Before(end); at = at.Add(time.Millisecond) {
		for range max(most/1000, 1) {
			if p.wait(at) > 0 {
				break
			}
			p.take()
			n++
		}
	}
	return n
}

func TestPaceStartsAtItsShareAndRampsToAll(t *testing.T) {
	t.Parallel()
	p := newPace(610_000, 10, epoch) // 10,000 a second in all
	if p.rate != 1000 {
		t.Fatalf("starts at %v a second, want 1,000", p.rate)
	}
	if n := spend(&p, epoch, time.Second, 100_000); n < 1000 || n > 1000+int(1000*burst)+1 {
		t.Errorf("%d in the first second", n)
	}
	if n := spend(&p, epoch.Add(time.Second), 3*time.Second, 100_000); n < 3000 {
		t.Errorf("%d in the next three: a first mailing of a few thousand must not crawl", n)
	}
	n := spend(&p, epoch.Add(4*time.Second), 66*time.Second, 100_000)
	if p.rate != p.full {
		t.Errorf("after 70 s the rate is %v, want %v (%d sent)", p.rate, p.full, n)
	}
	if n := spend(&p, epoch.Add(70*time.Second), time.Minute, 100_000); n > 610_000 || n < 590_000 {
		t.Errorf("%d in a minute at full rate, the quota is 610,000", n)
	}
}

func TestPaceForgetsWhenIdle(t *testing.T) {
	t.Parallel()
	p := newPace(610_000, 10, epoch)
	spend(&p, epoch, 70*time.Second, 100_000)
	at := epoch.Add(70*time.Second + 30*time.Second)
	p.wait(at)
	if p.rate < 4000 || p.rate > 6000 {
		t.Errorf("after half a minute of idling %v a second", p.rate)
	}
	p.wait(at.Add(61 * time.Second))
	if p.rate != p.start {
		t.Errorf("after idling %v a second, want %v", p.rate, p.start)
	}
}

func TestPaceDoesNotGrowUnused(t *testing.T) {
	t.Parallel()
	p := newPace(610_000, 10, epoch)
	for i := range 120 {
		at := epoch.Add(time.Duration(i) * time.Second)
		if p.wait(at) != 0 {
			t.Fatal("a message a second has to wait")
		}
		p.take()
	}
	if p.rate != p.start {
		t.Errorf("%v a second", p.rate)
	}
}

func TestPaceHalvesOnceAQuotaAnswer(t *testing.T) {
	t.Parallel()
	p := newPace(610_000, 1, epoch)
	now := epoch.Add(5 * time.Second)
	for range 100 { // a hundred were under way
		p.quota(now.Add(-50*time.Millisecond), now, 0)
	}
	if p.rate != p.full/2 {
		t.Errorf("rate %v, want half of %v", p.rate, p.full)
	}
	if d := p.wait(now); d != time.Minute {
		t.Errorf("waits %s, want a minute", d)
	}
	after := now.Add(time.Minute)
	if n := spend(&p, after, 10*time.Second, 100_000); n < 45_000 || n > 60_000 {
		t.Errorf("%d in the ten seconds after it, want about half of 100,000", n)
	}
	at := after.Add(11 * time.Second)
	p.quota(at.Add(-time.Millisecond), at, 7*time.Second)
	if d := p.wait(at); d != 7*time.Second {
		t.Errorf("waits %s, want what FCM asks for", d)
	}
	if p.rate > p.full*0.3 {
		t.Errorf("rate %v after two", p.rate)
	}
	for i := range 1000 {
		at := at.Add(time.Duration(i) * time.Minute)
		p.quota(at, at.Add(time.Second), 0)
	}
	if p.rate < p.floor || p.rate <= 0 {
		t.Errorf("rate %v: it must not come to rest", p.rate)
	}
}

// TestPaceShares: instances that do not talk to each other come to share what
// FCM gives, and get most of it.
func TestPaceShares(t *testing.T) {
	t.Parallel()
	const quota = 61_000 // 1,000 a second
	ps := []pace{newPace(quota, 4, epoch), newPace(quota, 4, epoch), newPace(quota, 4, epoch)}
	var got [3]int
	total, window := 0, 0
	for ms := range 20 * 60 * 1000 {
		now := epoch.Add(time.Duration(ms) * time.Millisecond)
		if ms%60_000 == 0 {
			window = 0
		}
		for i := range ps {
			if ps[i].wait(now) > 0 {
				continue
			}
			ps[i].take()
			if window++; window > quota {
				ps[i].quota(now, now.Add(time.Millisecond), time.Duration(60_000-ms%60_000)*time.Millisecond)
				continue
			}
			got[i]++
			total++
		}
	}
	if total < 20*quota*7/10 {
		t.Errorf("%d of %d sent", total, 20*quota)
	}
	for i, n := range got {
		if n < total/6 {
			t.Errorf("instance %d sent %d of %d: %v", i, n, total, got)
		}
	}
}

func TestPaceHoldsInAnOutage(t *testing.T) {
	t.Parallel()
	p := newPace(610_000, 1, epoch)
	for range 40 {
		p.outage(true, epoch)
	}
	for range 20_000 {
		p.outage(false, epoch)
	}
	for range 40 {
		p.outage(true, epoch)
	}
	if p.wait(epoch) != 0 {
		t.Error("a few bad answers among many good ones hold everybody")
	}
	now := epoch.Add(2 * time.Second)
	p.wait(now)
	for range outageLeast {
		p.outage(true, now)
	}
	if d := p.wait(now); d < firstWait {
		t.Errorf("waits %s in an outage of all", d)
	}
}

func TestBackOffWait(t *testing.T) {
	t.Parallel()
	for n := 1; n < 80; n++ {
		d := backOffWait(n)
		base := min(firstWait<<min(n-1, 10), longestWait)
		if d < base || d >= base*3/2 || d < firstWait {
			t.Errorf("attempt %d waits %s", n, d)
		}
	}
}

func TestLatencies(t *testing.T) {
	t.Parallel()
	var l latencies
	for i := range 1000 {
		l.observe(50*time.Millisecond + time.Duration(i)*50*time.Microsecond)
	}
	l.age()
	if l.p95 < 90*time.Millisecond || l.p95 > 110*time.Millisecond {
		t.Errorf("p95 %s, want about 97 ms", l.p95)
	}
	for range 20 {
		l.age()
	}
	if l.total != 0 {
		t.Errorf("%v of old observations are left", l.total)
	}
}
