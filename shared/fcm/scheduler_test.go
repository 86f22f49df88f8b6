package fcm

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
)

// readyJob is a job of a mailing that is named by the letters before its number.
func readyJob(name string) *job {
	return &job{Item: Item{Target: name}, mailing: strings.TrimRight(name, "0123456789"), retryIndex: -1}
}

// takeAll is in which order the jobs of q would be sent.
func takeAll(q *queue) string {
	var names []string
	for j := q.peek(); j != nil; j = q.peek() {
		q.takeTurn(j)
		names = append(names, j.Target)
	}
	return strings.Join(names, " ")
}

func TestMailingsTakeTurns(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ pushed, want string }{
		"one mailing":              {"a1 a2 a3", "a1 a2 a3"},
		"two":                      {"a1 a2 a3 b1 b2 b3", "a1 b1 a2 b2 a3 b3"},
		"a small one comes last":   {"a1 a2 a3 b1 b2 b3 c1", "a1 b1 c1 a2 b2 a3 b3"},
		"priority goes first":      {"a1 a2 b1 !1 !2", "!1 !2 a1 b1 a2"},
		"but not all the time":     {"a1 a2 !1 !2 !3 !4 !5 !6 !7 !8 !9 !10 !11", "!1 !2 !3 !4 !5 !6 !7 !8 !9 a1 !10 !11 a2"},
		"nobody waits for nothing": {"!1", "!1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newQueue()
			for _, one := range strings.Fields(c.pushed) {
				j := readyJob(one)
				j.Priority = j.mailing == "!"
				q.pushBack(j)
			}

			if got := takeAll(&q); got != c.want {
				t.Errorf("%q are sent in the order %q, want %q", c.pushed, got, c.want)
			}

			check.Equal(t, q.length, 0, "jobs left over")
			if len(q.mailings) != 0 {
				t.Fatalf("%d mailings are left over, want 0", len(q.mailings))
			}
			if q.turn != nil {
				t.Errorf("the mailing %v has its turn, want none", q.turn)
			}
		})
	}
}

// TestQueueAtRandom holds the queue to a list of each mailing's jobs.
func TestQueueAtRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 2))
	q := newQueue()
	lists := map[string][]*job{}
	n := 0
	drop := func(j *job) {
		list := lists[j.mailing]
		for i := range list {
			if list[i] == j {
				lists[j.mailing] = append(list[:i:i], list[i+1:]...)
				n--
				return
			}
		}
		t.Fatalf("seed %d: %s is not there", seed, j.mailing)
	}
	for range 20_000 {
		switch name := string(rune('a' + r.IntN(6))); r.IntN(5) {
		case 0, 1:
			j := readyJob(name)
			q.pushBack(j)
			lists[name] = append(lists[name], j)
			n++
		case 2:
			j := readyJob(name)
			q.pushFront(j)
			lists[name] = append([]*job{j}, lists[name]...)
			n++
		case 3:
			if j := q.peek(); j != nil {
				if first := lists[j.mailing][0]; first != j {
					t.Fatalf("seed %d: a job of %s is sent before its turn", seed, j.mailing)
				}
				q.takeTurn(j)
				drop(j)
			}
		case 4:
			if list := lists[name]; len(list) > 0 {
				j := list[r.IntN(len(list))]
				q.removeJob(j)
				drop(j)
			}
		}
		if q.length != n {
			t.Fatalf("seed %d: %d jobs in the queue, want %d", seed, q.length, n)
		}
		if (q.peek() == nil) != (n == 0) {
			t.Fatalf("seed %d: with %d jobs the next is %v", seed, n, q.peek())
		}
	}

	all := 0
	for j := range q.allJobs() {
		q.removeJob(j)
		all++
	}

	check.Equal(t, all, n, "seed %d: jobs found", seed)
	check.Equal(t, q.length, 0, "seed %d: jobs left over", seed)
	if q.turn != nil {
		t.Errorf("seed %d: the mailing %v has its turn, want none", seed, q.turn)
	}
}

func newTestScheduler(perMinute int) scheduler {
	return scheduler{queue: newQueue(), limiter: newLimiter(perMinute, 1, true, epoch)}
}

// TestAgain: when a job is tried again after a result that is not final.
func TestAgain(t *testing.T) {
	t.Parallel()
	const s = time.Second
	for name, c := range map[string]struct {
		job        job
		step       nextStep
		retry      time.Duration
		ended      bool
		held       time.Duration // everything is
		least, end time.Duration // the wait is between them
		refused    bool          // it cannot wait so long
	}{
		"project's quota":                   {step: stepLimitProject, least: quotaWait, end: quotaWait},
		"project's quota, Retry-After":      {step: stepLimitProject, retry: 7 * s, least: 7 * s, end: 7 * s},
		"a target's quota":                  {step: stepLimitTarget, least: quotaWait, end: quotaWait},
		"a target's quota, the third time":  {step: stepLimitTarget, job: job{limitedCount: 2}, retry: s, least: 4 * s, end: 4 * s},
		"nobody's quota":                    {step: stepLimitUnnamed, least: quotaWait, end: quotaWait},
		"outage":                            {step: stepBackOff, job: job{attempts: 1}, least: 10 * s, end: 15 * s},
		"outage, the third time":            {step: stepBackOff, job: job{attempts: 3}, least: 40 * s, end: 60 * s},
		"outage with Retry-After":           {step: stepBackOff, job: job{attempts: 1}, retry: 30 * s, least: 30 * s, end: 30 * s},
		"not from FCM":                      {step: stepNotFromFCM, least: s, end: 2 * s},
		"not from FCM, a proof":             {step: stepNotFromFCM, job: job{doesNotWait: true}, least: s, end: 2 * s},
		"not processed":                     {step: stepReroute},
		"not processed, for the ninth time": {step: stepReroute, job: job{reroutes: 8}, least: 64 * time.Millisecond, end: 128 * time.Millisecond},
		"credentials":                       {step: stepReauthorize},
		"a proof waits for no quota":        {step: stepLimitProject, job: job{doesNotWait: true}, least: quotaWait, end: quotaWait, refused: true},
		"its time ends before":              {step: stepLimitProject, job: job{deadline: epoch.Add(59 * s)}, least: quotaWait, end: quotaWait, refused: true},
		"its time ends after":               {step: stepLimitProject, job: job{deadline: epoch.Add(61 * s)}, least: quotaWait, end: quotaWait},
		"its context has ended":             {step: stepBackOff, job: job{attempts: 1}, ended: true, least: 10 * s, end: 15 * s, refused: true},
		"while everything is held":          {step: stepBackOff, job: job{attempts: 1}, held: 90 * s, least: 90 * s, end: 90 * s},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTestScheduler(61_000)
			x.limiter.extendHold(epoch.Add(c.held))
			j := c.job
			j.retryIndex = -1
			until, ok := x.retryJob(&j, c.step, c.retry, c.ended, epoch)
			if ok == c.refused {
				t.Errorf("it waits: %v, want %v", ok, !c.refused)
			}

			wait := until.Sub(epoch)
			check.Between(t, wait, c.least, c.end, "the wait")
			if there := j.queuedIn != nil || j.retryIndex >= 0; there != ok {
				t.Errorf("it is among those that wait: %v, want %v", there, ok)
			}
		})
	}
}

// TestATokenThatIsLimitedTwiceGoesToTheBack: the first time it goes before the
// others, who have not waited yet.
func TestATokenThatIsLimitedTwiceGoesToTheBack(t *testing.T) {
	t.Parallel()
	for limited, want := range map[int]string{1: "hot a1 a2", 2: "a1 a2 hot"} {
		x := newTestScheduler(610_000)
		hot := readyJob("hot")
		hot.mailing, hot.limitedCount = "a", limited-1
		x.retryJob(hot, stepLimitTarget, time.Second, false, epoch)
		x.queue.pushBack(readyJob("a1"))
		x.queue.pushBack(readyJob("a2"))
		var got []string
		for now := epoch.Add(time.Minute); ; {
			d := x.decideNext(now)
			if d.job == nil {
				break
			}
			x.takeJob(d.job, now)
			got = append(got, d.job.Target)
		}

		if order := strings.Join(got, " "); order != want {
			t.Errorf("limited %d times, the order is %q, want %q", limited, order, want)
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	x := newTestScheduler(61) // one a second
	d := x.decideNext(epoch)
	if d.job != nil {
		t.Fatalf("with nothing to do: d.job = %v, want nil", d.job)
	}

	check.Equal(t, d.wait, 0, "with nothing to do: d.wait")

	later, late := readyJob("later"), readyJob("late")
	late.deadline = epoch.Add(-time.Millisecond)
	x.retryJob(later, stepLimitTarget, 500*time.Millisecond, false, epoch)
	d = x.decideNext(epoch)
	if d.job != nil {
		t.Fatalf("with a retry in half a second: d.job = %v, want nil", d.job)
	}

	check.Equal(t, d.wait, 500*time.Millisecond, "with a retry in half a second: d.wait")
	x.queue.pushBack(late)
	d = x.decideNext(epoch)
	check.Equal(t, d.job, late, "with one whose time is over: d.job")
	if !d.over {
		t.Error("with one whose time is over: it is not given up")
	}

	x.removeJob(late)

	now := epoch.Add(500 * time.Millisecond)
	d = x.decideNext(now)
	if d.job != later {
		t.Fatalf("with a retry that is due: d.job = %v, want %v", d.job, later)
	}
	if d.over {
		t.Fatal("with a retry that is due: it is given up")
	}

	x.takeJob(later, now)
	if later.attempts != 1 {
		t.Errorf("%d attempts, want 1", later.attempts)
	}

	x.queue.pushBack(readyJob("next"))
	d = x.decideNext(now)
	if d.job != nil {
		t.Fatalf("with the rate used up: d.job = %v, want nil", d.job)
	}
	if d.wait <= 0 {
		t.Errorf("with the rate used up: d.wait = %v, want more than 0", d.wait)
	}
	if d.wait > time.Second {
		t.Errorf("with the rate used up: d.wait = %v, want at most %v", d.wait, time.Second)
	}
}

// TestObserve is what answers cost all messages.
func TestObserve(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		step       nextStep
		code       int
		every      int // how many answers one of these is among
		lowersRate bool
		held       bool
	}{
		"all accepted":                             {stepFinal, 200, 1, false, false},
		"the project's quota, a few answers":       {stepLimitProject, 429, 10, true, false},
		"the project's quota, used up":             {stepLimitProject, 429, 1, false, true},
		"a quota that is not named, a few answers": {stepLimitUnnamed, 429, 10, false, false},
		"a quota that is not named, always":        {stepLimitUnnamed, 429, 1, false, true},
		"quotas of targets, always":                {stepLimitTarget, 429, 1, false, false},
		"FCM unavailable, a few answers":           {stepBackOff, 503, 10, false, false},
		"FCM unavailable, always":                  {stepBackOff, 503, 1, false, true},
		"refused payloads":                         {stepFinal, 400, 1, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTestScheduler(610_000)
			held := false
			for i := range 200 {
				step, code := stepFinal, 200
				if i%c.every == 0 {
					step, code = c.step, c.code
				}
				held = x.observeAnswer(step, code, 0, epoch, epoch) || held
				if held {
					break
				}
			}

			if held {
				x.limiter.endHold() // what led to it does not lower the rate
			}

			x.limiter.quota.endSecond()
			if got := x.limiter.quota.limitedShare > 0; got != c.lowersRate {
				t.Errorf("the rate is lowered: %v, want %v", got, c.lowersRate)
			}
			if held != c.held {
				t.Errorf("everything is held: %v, want %v", held, c.held)
			}
		})
	}
}

// TestImpatient are the jobs that cannot wait for the end of a hold.
func TestImpatient(t *testing.T) {
	t.Parallel()
	x := newTestScheduler(610_000)
	for _, j := range []*job{readyJob("patient"), readyJob("short"), readyJob("proof"), readyJob("retry")} {
		switch j.Target {
		case "short":
			j.deadline = epoch.Add(5 * time.Second)
		case "proof":
			j.doesNotWait = true
		case "retry":
			j.deadline = epoch.Add(8 * time.Second)
			x.retryJob(j, stepLimitTarget, time.Second, false, epoch)
			continue
		}
		x.queue.pushBack(j)
	}

	x.limiter.extendHold(epoch.Add(10 * time.Second))
	got := map[string]bool{}
	for _, j := range x.jobsBeyondHold() {
		got[j.Target] = true
	}

	if len(got) != 3 {
		t.Fatalf("%v cannot wait, want 3 jobs", got)
	}
	if got["patient"] {
		t.Error("the patient job cannot wait, want that it can")
	}

	// Without Retry-After it is not known when the quota is available again.
	y := newTestScheduler(610_000)
	short := readyJob("short")
	short.deadline = epoch.Add(5 * time.Second)
	y.queue.pushBack(short)
	for !y.limiter.quota.usedUp(epoch) {
		y.limiter.quota.countLimited(epoch, epoch, 0, true)
	}

	if got := y.jobsBeyondHold(); len(got) != 0 {
		t.Errorf("%d jobs are given back that can wait for the next probe", len(got))
	}
}
