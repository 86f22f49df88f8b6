package chaos

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"carillon.example/emulators/client"
	"carillon.example/emulators/instances"
	"carillon.example/emulators/testcloud/check"
	"carillon.example/shared/push"
)

func TestParseFaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"usual":                "blackouts,fcm,firestore,kills,pubsub,slow-firestore",
		"none":                 "",
		"poison, kills":        "kills,poison",
		"usual,-kills,-fcm":    "blackouts,firestore,pubsub,slow-firestore",
		"usual,migration":      "blackouts,fcm,firestore,kills,migration,pubsub,slow-firestore",
		"all,-base404,-poison": "blackouts,fcm,firestore,kills,migration,other-project,pubsub,resume,slow-firestore,undecodable,unflag,unknown-fids",
	} {
		t.Run(text, func(t *testing.T) {
			f, err := ParseFaults(text)
			if err != nil {
				t.Errorf("%q: %v", text, err)
			}
			if f.String() != want {
				t.Errorf("%q is %s, want %s", text, f, want)
			}
		})
	}
	if _, err := ParseFaults("usual,unknown"); err == nil {
		t.Error("ParseFaults accepts unknown, want an error")
	}
}

// TestAKindForEachFault: the mailings that belong to a kind of faults come first.
func TestAKindForEachFault(t *testing.T) {
	t.Parallel()
	f := faultSet{faultPoison: true, faultResume: true, faultKills: true}
	want := []string{faultPoison, faultResume, "everyone"}
	if d := cmp.Diff(want, f.mailingKinds()[:len(want)]); d != "" {
		t.Errorf("the first kinds (-want +got):\n%s", d)
	}
}

// newTestCheck returns the check of a mailing that FCM accepted at these times.
func newTestCheck(f faultSet, p *testMailing, rang map[tokenKey][]time.Time) *mailingCheck {
	o := &mailingCheck{checker: newChecker(&testCustomers{}, instances.NewCallLog(), f), mailing: p, log: &mailingLog{batches: map[string]*committedBatch{}, tokens: map[tokenKey]*tokenLog{}}, targets: map[tokenKey]targetResult{}}
	for k, times := range rang {
		s := &tokenLog{}
		for _, at := range times {
			s.accepted = append(s.accepted, acceptedSend{at: at})
		}
		o.log.tokens[k] = s
	}
	return o
}

func TestAPhoneRingsFiveTimesAtMost(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for sends, want := range map[int]int{1: 0, 5: 0, 6: 1} {
		t.Run(fmt.Sprint(sends), func(t *testing.T) {
			times := make([]time.Time, sends)
			for i := range times {
				times[i] = now.Add(time.Duration(i) * time.Second)
			}

			o := newTestCheck(faultSet{}, &testMailing{id: "m"}, map[tokenKey][]time.Time{{"c", "t"}: times})
			o.checkSendCounts()
			if got := o.counts[brokenSendCount]; got != want {
				t.Errorf("%d sends: %d findings, want %d", sends, got, want)
			}
			if o.figures.MostSends != sends {
				t.Errorf("after %d sends MostSends is %d", sends, o.figures.MostSends)
			}
		})
	}
}

func TestAResumedMailingGoesOnSoon(t *testing.T) {
	t.Parallel()
	resumed := time.Now()
	otherFaults := faultSet{faultKills: true, faultResume: true}
	for _, c := range []struct {
		name  string
		f     faultSet
		after []time.Duration
		want  int
	}{
		{"at once", faultSet{faultResume: true}, []time.Duration{-time.Second, time.Second}, 0},
		{"late", faultSet{faultResume: true}, []time.Duration{-time.Second, maxResumeDelay + time.Second}, 1},
		{"late, beside other faults", otherFaults, []time.Duration{maxResumeDelay + time.Second}, 0},
		{"too late beside other faults", otherFaults, []time.Duration{maxResumeDelayUnderFaults + time.Second}, 1},
		{"nothing was left", faultSet{faultResume: true}, []time.Duration{-time.Second}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var times []time.Time
			for _, d := range c.after {
				times = append(times, resumed.Add(d))
			}

			o := newTestCheck(c.f, &testMailing{id: "m", resumedAt: resumed}, map[tokenKey][]time.Time{{"c", "t"}: times})
			o.checkResume()
			if got := o.counts[brokenSlow]; got != c.want {
				t.Errorf("%s: %d findings, want %d", c.name, got, c.want)
			}
		})
	}
}

// TestOnePhoneRingsOnceWhileItMigrates: a token and the FID in it are one device.
func TestOnePhoneRingsOnceWhileItMigrates(t *testing.T) {
	t.Parallel()
	now := []time.Time{time.Now()}
	for _, c := range []struct {
		name string
		rang map[tokenKey][]time.Time
		want int
	}{
		{"two phones", map[tokenKey][]time.Time{{"c", "fid-1:rest"}: now, {"c", "fid-2"}: now}, 0},
		{"one phone twice", map[tokenKey][]time.Time{{"c", "fid-1:rest"}: now, {"c", "fid-1"}: now}, 1},
		{"moved to another customer", map[tokenKey][]time.Time{{"c", "fid-1:rest"}: now, {"d", "fid-1:rest"}: now}, 0},
		{"validated, not sent", map[tokenKey][]time.Time{{"c", "fid-1:rest"}: nil, {"c", "fid-1"}: now}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := newTestCheck(faultSet{faultMigration: true}, &testMailing{id: "m"}, c.rang)
			o.checkMigration()
			if got := o.counts[brokenDuplicates]; got != c.want {
				t.Errorf("%s: %d findings, want %d", c.name, got, c.want)
			}
		})
	}
}

// TestFlagsThatAreTakenBackStayBack: a token that only an unflagged mailing found
// invalid must have no flag. A token that another mailing also found invalid may have one.
func TestFlagsThatAreTakenBackStayBack(t *testing.T) {
	t.Parallel()
	cut := time.Now()
	q, gone := &testCustomer{id: "c"}, &testToken{token: "t", unregistered: true}
	k := tokenKey{"c", "t"}
	for _, c := range []struct {
		name            string
		undone, invalid bool
		dropped         bool // its batch dropped the flag
		valid           bool
		want            string
	}{
		{"taken back", true, false, false, true, ""},
		{"taken back, and stands", true, false, false, false, brokenFlagged},
		{"found by another, too, flagged", true, true, false, false, ""},
		{"found by another, too, valid", true, true, false, true, ""},
		{"found, and valid", false, true, false, true, brokenMissedFlags},
		{"found, and flagged", false, true, false, false, ""},
		{"found and dropped, and valid", false, true, true, true, ""},
		{"found and dropped, and flagged", false, true, true, false, ""},
		{"never found, and flagged", false, false, false, false, brokenFlagged},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newChecker(&testCustomers{}, instances.NewCallLog(), faultSet{})
			if c.undone {
				x.unflagged[k] = true
			}
			if c.invalid {
				x.foundInvalid[k] = invalidResult{createdAt: cut, dropped: c.dropped}
			}

			x.checkFlag(q, gone, c.valid, cut.Add(-time.Hour))

			var want map[string]int
			if c.want != "" {
				want = map[string]int{c.want: 1}
			}
			if d := cmp.Diff(want, x.counts); d != "" {
				t.Errorf("%s: findings (-want +got):\n%s", c.name, d)
			}
		})
	}
}

// TestFalseAlarms: no event reports a customer as unreachable who was reachable in the
// whole run.
func TestFalseAlarms(t *testing.T) {
	t.Parallel()
	q := &testCustomer{id: "c", stable: true, importVersion: 3, tokens: []*testToken{{token: "live"}, {token: "dead", unregistered: true}}}
	for _, c := range []struct {
		name string
		add  func(*eventLog)
		want int
	}{
		{"nothing", func(*eventLog) {}, 0},
		{"out of reach", func(e *eventLog) { e.availability[availabilityKey{"c", 4}] = false }, 1},
		{"out of reach, by the import", func(e *eventLog) { e.availability[availabilityKey{"c", 2}] = false }, 0},
		{"in reach", func(e *eventLog) { e.availability[availabilityKey{"c", 4}] = true }, 0},
		{"a live token", func(e *eventLog) { e.invalidated[invalidationKey{"c", push.TokenID("live"), "m"}] = true }, 1},
		{"an invalid token", func(e *eventLog) { e.invalidated[invalidationKey{"c", push.TokenID("dead"), "m"}] = true }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEventLog()
			c.add(e)
			x := newChecker(&testCustomers{all: []*testCustomer{q}}, instances.NewCallLog(), faultSet{faultBase404: true})
			x.checkFalseEvents(e)
			if got := x.counts[brokenFalseEvents]; got != c.want {
				t.Errorf("%s: %d findings, want %d", c.name, got, c.want)
			}
		})
	}
}

// TestACrashIsAKill: a call whose process ended by itself explains a second send, like a
// call whose process was killed.
func TestACrashIsAKill(t *testing.T) {
	t.Parallel()
	for _, crashed := range []bool{false, true} {
		c, x, ref := instances.NewCallLog(), &instances.Instance{Starts: 1}, push.BatchRef{Mailing: "m", Batch: "b"}
		ended := c.Begin(x, 1, ref)
		if got := c.InstancesFor(ref); !slices.Equal(got, []*instances.Instance{x}) {
			t.Errorf("working on the batch: %v, want %v", got, x)
		}

		ended(crashed)
		if got := !c.ForBatch(ref)[0].Killed.IsZero(); got != crashed {
			t.Errorf("crashed %t: killed is %t", crashed, got)
		}
		if got := c.InstancesFor(ref); len(got) != 0 {
			t.Errorf("working on the batch after the end: %v, want none", got)
		}
	}
}

// TestFindingsOfEveryKindAreShown: a kind with many findings does not hide another.
func TestFindingsOfEveryKindAreShown(t *testing.T) {
	t.Parallel()
	var f findings
	for range 1000 {
		f.addFinding(brokenLost, "a message")
	}
	f.addFinding(brokenFlagged, "a token")

	check.Equal(t, len(f.texts), maxFindingTexts+1, "number of texts")
	check.Equal(t, f.texts[len(f.texts)-1], brokenFlagged+": a token", "last text")
	check.Equal(t, f.counts[brokenLost], 1000, "number of the many findings")
}

// TestOnlyHeldFlagsOfEndedMailingsAreDropped: a flag may be missing only if its mailing was
// cancelled or expired, FCM gave wrong answers, and the batch does not list the token.
func TestOnlyHeldFlagsOfEndedMailingsAreDropped(t *testing.T) {
	t.Parallel()
	k := tokenKey{"c", "t"}
	listed := `[{"tokenId":"` + push.TokenID("t") + `"}]`
	for _, c := range []struct {
		name    string
		state   push.State
		faults  faultSet
		invalid string
		want    bool
	}{
		{"cancelled, while FCM was wrong", push.Cancelled, faultSet{faultBase404: true}, "", true},
		{"cancelled, and listed", push.Cancelled, faultSet{faultBase404: true}, listed, false},
		{"cancelled, while FCM was right", push.Cancelled, faultSet{}, "", false},
		{"completed", push.Completed, faultSet{faultBase404: true}, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := &mailingCheck{
				checker: newChecker(&testCustomers{}, instances.NewCallLog(), c.faults),
				mailing: &testMailing{final: &client.Mailing{State: string(c.state)}},
				stored:  map[string]storedBatch{"b": {invalid: c.invalid}},
			}
			if got := o.hasDropped(k, "b"); got != c.want {
				t.Errorf("the flag counts as dropped: %t, want %t", got, c.want)
			}
		})
	}
}
