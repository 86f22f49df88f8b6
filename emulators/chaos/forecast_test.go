package chaos

import (
	"testing"
	"time"

	"carillon.example/emulators/instances"
	"carillon.example/shared/push"
)

func TestForecast(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"usual":                "blackouts,fcm,firestore,kills,pubsub,slow-firestore",
		"none":                 "",
		"poison, kills":        "kills,poison",
		"usual,-kills,-fcm":    "blackouts,firestore,pubsub,slow-firestore",
		"usual,migration":      "blackouts,fcm,firestore,kills,migration,pubsub,slow-firestore",
		"all,-base404,-poison": "blackouts,fcm,firestore,kills,migration,other-project,pubsub,resume,slow-firestore,undecodable,unflag,unknown-fids",
	} {
		f, err := ParseWeather(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if f.String() != want {
			t.Errorf("%q is %s, want %s", text, f, want)
		}
	}
	if _, err := ParseWeather("usual,rain"); err == nil {
		t.Error("rain is a weather")
	}
}

// TestAKindForEachWeather: what a weather needs is handed in first.
func TestAKindForEachWeather(t *testing.T) {
	t.Parallel()
	f := forecast{weatherPoison: true, weatherResume: true, weatherKills: true}
	if k := f.kinds(); k[0] != weatherPoison || k[1] != weatherResume || k[2] != "everyone" {
		t.Errorf("kinds are %v, want those of poison and resume first", k)
	}
}

// examined is an examination of one mailing in which phones rang at times.
func examined(f forecast, p *post, rang map[who][]time.Time) *one {
	o := &one{exam: newExam(&people{}, instances.NewCallLog(), f), p: p, b: &book{batches: map[string]*cut{}, seen: map[who]*sights{}}, places: map[who]place{}}
	for k, times := range rang {
		s := &sights{}
		for _, at := range times {
			s.delivered = append(s.delivered, sight{at: at})
		}
		o.b.seen[k] = s
	}
	return o
}

func TestAPhoneRingsFiveTimesAtMost(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for rings, want := range map[int]int{1: 0, 5: 0, 6: 1} {
		times := make([]time.Time, rings)
		for i := range times {
			times[i] = now.Add(time.Duration(i) * time.Second)
		}
		o := examined(forecast{}, &post{id: "m"}, map[who][]time.Time{{"c", "t"}: times})
		o.rings()
		if got := o.counts[brokenRings]; got != want {
			t.Errorf("%d rings: %d findings, want %d", rings, got, want)
		}
		if o.count.MostRings != rings {
			t.Errorf("%d rings are told as %d", rings, o.count.MostRings)
		}
	}
}

func TestAResumedMailingGoesOnSoon(t *testing.T) {
	t.Parallel()
	resumed := time.Now()
	storm := forecast{weatherKills: true, weatherResume: true}
	for _, c := range []struct {
		name  string
		f     forecast
		after []time.Duration
		want  int
	}{
		{"at once", forecast{weatherResume: true}, []time.Duration{-time.Second, time.Second}, 0},
		{"late", forecast{weatherResume: true}, []time.Duration{-time.Second, resumesWithin + time.Second}, 1},
		{"late, in a storm", storm, []time.Duration{resumesWithin + time.Second}, 0},
		{"too late in a storm", storm, []time.Duration{resumesInStorm + time.Second}, 1},
		{"nothing was left", forecast{weatherResume: true}, []time.Duration{-time.Second}, 0},
	} {
		var times []time.Time
		for _, d := range c.after {
			times = append(times, resumed.Add(d))
		}
		o := examined(c.f, &post{id: "m", resumed: resumed}, map[who][]time.Time{{"c", "t"}: times})
		o.resumption()
		if got := o.counts[brokenSlow]; got != c.want {
			t.Errorf("%s: %d findings, want %d", c.name, got, c.want)
		}
	}
}

// TestOnePhoneRingsOnceWhileItMigrates: its token and its FID are one phone.
func TestOnePhoneRingsOnceWhileItMigrates(t *testing.T) {
	t.Parallel()
	now := []time.Time{time.Now()}
	for _, c := range []struct {
		name string
		rang map[who][]time.Time
		want int
	}{
		{"two phones", map[who][]time.Time{{"c", "fid-1:rest"}: now, {"c", "fid-2"}: now}, 0},
		{"one phone twice", map[who][]time.Time{{"c", "fid-1:rest"}: now, {"c", "fid-1"}: now}, 1},
		{"moved to another customer", map[who][]time.Time{{"c", "fid-1:rest"}: now, {"d", "fid-1:rest"}: now}, 0},
		{"asked for, not rung", map[who][]time.Time{{"c", "fid-1:rest"}: nil, {"c", "fid-1"}: now}, 0},
	} {
		o := examined(forecast{weatherMigration: true}, &post{id: "m"}, c.rang)
		o.migrated()
		if got := o.counts[brokenTwice]; got != c.want {
			t.Errorf("%s: %d findings, want %d", c.name, got, c.want)
		}
	}
}

// TestFlagsThatAreTakenBackStayBack: of a token that only a mailing whose flags
// were taken back has found dead, no flag may stand; of one that another found
// dead, too, either may.
func TestFlagsThatAreTakenBackStayBack(t *testing.T) {
	t.Parallel()
	cut := time.Now()
	q, gone := &person{id: "c"}, &phone{token: "t", gone: true}
	k := who{"c", "t"}
	for _, c := range []struct {
		name         string
		undone, dead bool
		valid        bool
		want         string
	}{
		{"taken back", true, false, true, ""},
		{"taken back, and stands", true, false, false, brokenFlagged},
		{"found by another, too, flagged", true, true, false, ""},
		{"found by another, too, valid", true, true, true, ""},
		{"found, and valid", false, true, true, brokenUnflagged},
		{"found, and flagged", false, true, false, ""},
		{"never found, and flagged", false, false, false, brokenFlagged},
	} {
		x := newExam(&people{}, instances.NewCallLog(), forecast{})
		if c.undone {
			x.undone[k] = true
		}
		if c.dead {
			x.dead[k] = cut
		}
		x.flag(q, gone, c.valid, cut.Add(-time.Hour))
		if c.want == "" && len(x.counts) != 0 || c.want != "" && x.counts[c.want] != 1 {
			t.Errorf("%s: findings %v, want %q", c.name, x.counts, c.want)
		}
	}
}

// TestFalseAlarms: who was reachable all the while is told as such.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	q := &person{id: "c", stable: true, before: 3, phones: []*phone{{token: "live"}, {token: "dead", gone: true}}}
	for _, c := range []struct {
		name string
		tell func(*events)
		want int
	}{
		{"nothing", func(*events) {}, 0},
		{"out of reach", func(e *events) { e.availability[told2{"c", 4}] = false }, 1},
		{"out of reach, by the import", func(e *events) { e.availability[told2{"c", 2}] = false }, 0},
		{"in reach", func(e *events) { e.availability[told2{"c", 4}] = true }, 0},
		{"a live token", func(e *events) { e.invalidated[told3{"c", push.TokenID("live"), "m"}] = true }, 1},
		{"a dead token", func(e *events) { e.invalidated[told3{"c", push.TokenID("dead"), "m"}] = true }, 0},
	} {
		e := newEvents()
		c.tell(e)
		x := newExam(&people{all: []*person{q}}, instances.NewCallLog(), forecast{weatherBase404: true})
		x.falseAlarms(e)
		if got := x.counts[brokenAlarm]; got != c.want {
			t.Errorf("%s: %d findings, want %d", c.name, got, c.want)
		}
	}
}

// TestACrashIsAKill: a call whose process ended by itself explains what was sent
// again, as one whose process was killed does.
func TestACrashIsAKill(t *testing.T) {
	t.Parallel()
	for _, crashed := range []bool{false, true} {
		c, x, ref := instances.NewCallLog(), &instances.Instance{Life: 1}, push.BatchRef{Mailing: "m", Batch: "b"}
		ended := c.Begin(x, 1, ref)
		if busy := c.BusyWith(ref); len(busy) != 1 || busy[0] != x {
			t.Errorf("busy with the batch are %v, want the instance", busy)
		}
		ended(crashed)
		if got := !c.Of(ref)[0].Killed.IsZero(); got != crashed {
			t.Errorf("crashed %t: killed %t", crashed, got)
		}
		if busy := c.BusyWith(ref); len(busy) != 0 {
			t.Errorf("busy after the end: %v", busy)
		}
	}
}
