package deliver

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// A phoneModel is a phone and what FCM knows of it.
type phoneModel struct {
	group  tokenGroup
	name   int
	alive  bool // the app is installed and its token usable once the faults are over
	broken bool // its installation id is unknown to FCM as long as faultySDK lasts
	flag   bool // what Carillon decided
}

// An fcmModel says when FCM answers wrongly. Times count requests.
type fcmModel struct {
	now          int
	outage       [][2]int    // every token of the group is answered 404 in these times
	outageOf     *tokenGroup // nil: of every group
	faultySDK    int         // until then, broken phones answer 404
	wrongProject bool        // every installation id answers 404
}

// ask answers a request for a phone and takes one unit of time.
func (s *fcmModel) ask(p *phoneModel) (invalid bool) {
	s.now++
	for _, o := range s.outage {
		if (s.outageOf == nil || p.group == *s.outageOf) && s.now >= o[0] && s.now < o[1] {
			return true
		}
	}
	if p.broken && s.now < s.faultySDK {
		return true
	}
	if s.wrongProject && p.group.kind == push.KindFID {
		return true
	}
	return !p.alive
}

// modelEvidence asks the model as deliver asks FCM.
type modelEvidence struct {
	fcm    *fcmModel
	phones []*phoneModel // of the answers

	invalid []bool            // of each of them
	known   []*phoneModel     // controls of the group, the latest first
	accept  func(*phoneModel) // that FCM accepts it after all

	elsewhere *phoneModel // the last accepted one of the kind, nil: none
}

func (w *modelEvidence) askAgain(list []int) []askResult {
	out := make([]askResult, len(list))
	for k, i := range list {
		out[k] = askAccepted
		if w.fcm.ask(w.phones[i]) {
			out[k] = askInvalid
			continue
		}
		w.accept(w.phones[i])
	}
	return out
}

func (w *modelEvidence) askControls(tokenGroup) controlResult {
	result, held := controlMissing, 0
	for _, p := range w.known {
		if i := slices.Index(w.phones, p); i >= 0 && w.invalid[i] {
			held++
			continue
		}
		if !w.fcm.ask(p) {
			return controlAccepted
		}
		result = controlRefused
	}
	if held > 1 {
		return controlRefused
	}
	if result != controlMissing || w.elsewhere == nil || slices.Contains(w.phones, w.elsewhere) {
		return result
	}
	if w.fcm.ask(w.elsewhere) {
		return controlRefused
	}
	return controlElsewhere
}

// A mailingsModel sends mailings to a base of phones while FCM has faults, as deliver does:
// batches in order, held answers again after a wait.
type mailingsModel struct {
	phones    []*phoneModel
	fcm       *fcmModel
	history   map[tokenGroup]*groupHistory
	controls  map[tokenGroup][]*phoneModel
	held      []heldBatch
	accepted  map[push.Kind]*phoneModel // the last one
	releases  map[tokenGroup]*releaseAnswers
	suspicion map[tokenGroup]store.Suspicion // what is stored
}

// A heldBatch is a batch some of whose answers wait.
type heldBatch struct{ phones, all []*phoneModel }

// restart forgets what an instance remembers, and keeps what is stored.
func (c *mailingsModel) restart() {
	c.history, c.releases = map[tokenGroup]*groupHistory{}, map[tokenGroup]*releaseAnswers{}
}

// remember keeps an answer for a young installation id.
func (c *mailingsModel) remember(p *phoneModel, invalid bool) {
	if !p.group.dependsOnRelease() {
		return
	}
	if c.releases[p.group] == nil {
		c.releases[p.group] = &releaseAnswers{}
	}
	c.releases[p.group].addAnswer(strconv.Itoa(p.name), invalid, c.clock())
}

// release adds what is known of a group's release, as deliver does.
func (c *mailingsModel) release(a *groupAnswers) {
	if !a.group.dependsOnRelease() {
		return
	}
	recorded := c.suspicion[a.group]
	a.suspected = isSuspicionValid(recorded, c.clock())
	if r := c.releases[a.group]; r != nil {
		a.youngInvalid, a.youngAnswered = r.countSince(recorded.Cleared, c.clock())
	}
	a.early = !a.heldBefore
}

// record stores what a decision found of a group's release.
func (c *mailingsModel) record(group tokenGroup, d tokenDecision) {
	switch {
	case d.cleared:
		c.suspicion[group] = store.Suspicion{Cleared: c.clock()}
	case d.releaseSuspected:
		c.suspicion[group] = store.Suspicion{At: c.clock(), Cleared: c.suspicion[group].Cleared}
	}
}

// clock maps requests to time: 100 requests a second.
func (c *mailingsModel) clock() time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(c.fcm.now) * 10 * time.Millisecond)
}

// batch sends to phones, or decides again about those of all that are held.
func (c *mailingsModel) batch(phones, all []*phoneModel, heldBefore bool) {
	held := heldBatch{all: all}
	byGroup := map[tokenGroup][]*phoneModel{}
	invalid := map[tokenGroup][]bool{}
	before := map[tokenGroup][]bool{}
	for _, p := range phones {
		h := c.history[p.group]
		if h == nil {
			h = &groupHistory{}
			c.history[p.group] = h
		}
		if _, met := before[p.group]; !met {
			before[p.group] = h.recentAnswers(c.clock())
		}
		bad := heldBefore || c.fcm.ask(p)
		if !heldBefore {
			h.addAnswer(bad, c.clock())
			c.remember(p, bad)
			if !bad {
				c.accepted[push.KindToken] = p
				if p.group.kind == push.KindFID {
					c.accepted[push.KindFID] = p
				}
				h.addControl(control{customer: strconv.Itoa(p.name)})
				kept := slices.DeleteFunc(slices.Clone(c.controls[p.group]), func(x *phoneModel) bool { return x == p })
				c.controls[p.group] = append([]*phoneModel{p}, kept...)[:min(maxControls, len(kept)+1)]
			}
		}
		byGroup[p.group], invalid[p.group] = append(byGroup[p.group], p), append(invalid[p.group], bad)
	}
	for _, group := range slices.SortedFunc(maps.Keys(byGroup), func(a, b tokenGroup) int { return strings.Compare(a.storedName(), b.storedName()) }) {
		list := byGroup[group]
		w := &modelEvidence{fcm: c.fcm, phones: list, invalid: invalid[group], known: c.controls[group], elsewhere: c.accepted[group.kind],
			accept: func(p *phoneModel) { c.remember(p, false) }}
		a := groupAnswers{group: group, before: before[group], invalid: invalid[group],
			unaccepted: c.history[group].unaccepted, heldBefore: heldBefore, answered: answeredOf(all, group, heldBefore)}
		c.release(&a)
		d := decideInvalid(a, w)
		c.record(group, d)
		for _, i := range d.flag {
			list[i].flag = true
		}
		for _, i := range d.hold {
			held.phones = append(held.phones, list[i])
		}
	}
	if len(held.phones) > 0 {
		c.held = append(c.held, held)
	}
}

// waits reports whether a phone's flag is held.
func (c *mailingsModel) waits(p *phoneModel) bool {
	return slices.ContainsFunc(c.held, func(h heldBatch) bool { return slices.Contains(h.phones, p) })
}

// countAnswered is how many phones of a group were asked in a batch, for answers that
// were held.
func answeredOf(all []*phoneModel, group tokenGroup, heldBefore bool) (n int) {
	if !heldBefore {
		return 0
	}
	for _, p := range all {
		if p.group == group {
			n++
		}
	}
	return n
}

// retry decides what is held once more, a minute later.
func (c *mailingsModel) retry() {
	c.fcm.now += 6000
	held := c.held
	c.held = nil
	for _, h := range held {
		c.batch(h.phones, h.all, true)
	}
}

// TestNoLivePhoneIsFlagged drives random bases, histories and faults of FCM against a
// model of phones: no live phone is ever flagged, and no invalid one is kept for
// more than three mailings without faults.
func TestNoLivePhoneIsFlagged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		groups := []tokenGroup{androidTokens, {kind: push.KindFID, platform: push.Android, app: "shop"}, iosFIDs,
			{kind: push.KindFID, platform: push.IOS, app: "shop", young: true}}
		c := &mailingsModel{fcm: &fcmModel{}, controls: map[tokenGroup][]*phoneModel{},
			accepted: map[push.Kind]*phoneModel{}, suspicion: map[tokenGroup]store.Suspicion{}}
		c.restart()
		n := rapid.IntRange(1, 400).Draw(rt, "phones")
		invalid := rapid.Float64Range(0, 0.7).Draw(rt, "share of invalid phones")
		r := rapid.Uint64().Draw(rt, "seed")
		random := func() float64 { // a draw a phone would make rapid slow
			r = r*6364136223846793005 + 1442695040888963407
			return float64(r>>11) / (1 << 53)
		}
		for i := range n {
			group := groups[int(random()*float64(len(groups)))]
			alive := random() >= invalid
			if group.young {
				alive = random() >= invalid/10
			}
			c.phones = append(c.phones, &phoneModel{group: group, name: i, alive: alive})
		}

		fault := rapid.SampledFrom([]string{"none", "outage", "faulty SDK", "wrong project"}).Draw(rt, "fault")
		mailings := rapid.IntRange(1, 4).Draw(rt, "mailings during the fault")
		at := rapid.IntRange(1, 3*n).Draw(rt, "fault begins at request")
		switch fault {
		case "outage":
			for range 3 { // an outage looks like an invalid token of the only phone there is
				c.phones = append(c.phones, &phoneModel{group: androidTokens, name: len(c.phones), alive: true})
			}
			// A base that FCM never accepted anything of, in an outage from the
			// first request on, looks like a base of invalid tokens.
			for part := range slices.Chunk(c.phones, 100) {
				c.batch(part, part, false)
			}
			for range 3 {
				c.retry()
			}
			at += c.fcm.now
			c.fcm.outage = [][2]int{{at, at + rapid.IntRange(3000, 200_000).Draw(rt, "requests in the outage")}}
			if rapid.Bool().Draw(rt, "one group alone") {
				c.fcm.outageOf = &androidTokens
			}
		case "faulty SDK":
			c.fcm.faultySDK = 1_000_000_000
			// Some of the young ones were registered by the release before.
			share := rapid.Float64Range(2*youngInvalidLimit, 1).Draw(rt, "share of the young ones that the release broke")
			young, broken := 0, 0
			for _, p := range c.phones {
				if p.group.young {
					young++
					if p.broken = float64(broken) < share*float64(young); p.broken {
						broken++
					}
				}
			}
			for ; broken < fewYoung; broken++ { // fewer look like phones that are gone
				young++
				c.phones = append(c.phones, &phoneModel{group: groups[3], name: len(c.phones), alive: true, broken: true})
			}
		case "wrong project":
			c.fcm.wrongProject = true
		}
		send := func() {
			var due []*phoneModel
			for _, p := range c.phones {
				if !p.flag && !c.waits(p) {
					due = append(due, p)
				}
			}
			size := rapid.IntRange(1, 200).Draw(rt, "batch size")
			for part := range slices.Chunk(due, size) {
				c.batch(part, part, false)
			}
			c.retry()
			if rapid.Bool().Draw(rt, "the instance ends") {
				c.restart()
			}
			c.retry()
			c.retry()
		}
		verify := func() {
			for _, p := range c.phones {
				if p.flag && p.alive {
					rt.Fatalf("live phone %d of group %+v flagged at request %d with the fault %q", p.name, p.group, c.fcm.now, fault)
				}
			}
		}
		for range mailings {
			if rapid.Bool().Draw(rt, "the instance is another one") {
				c.restart()
			}
			send()
			verify()
			for _, p := range c.phones { // some die between mailings
				if random() < 0.02 {
					p.alive = false
				}
			}
			c.fcm.now += 360_000 // an hour
		}

		c.fcm.outage, c.fcm.faultySDK, c.fcm.wrongProject = nil, 0, false
		for range 3 {
			send()
			verify()
		}
		living := map[tokenGroup]int{}
		for _, p := range c.phones {
			if p.alive {
				living[p.group]++
			}
		}
		invalidYoung := 0 // young ones, ever
		for _, p := range c.phones {
			if !p.alive && p.group.young {
				invalidYoung++
			}
		}
		few := fault == "none" && invalidYoung < fewYoung
		for _, p := range c.phones {
			if !p.alive && !p.flag && living[p.group] > 0 && (!p.group.young || few) {
				rt.Fatalf("invalid phone %d of group %+v not flagged after three mailings without faults", p.name, p.group)
			}
		}

		// The young ones are held as long as their app's release may be at fault; a
		// week after their registration nothing keeps them any longer.
		c.fcm.now += 8 * 24 * 360_000
		living = map[tokenGroup]int{}
		for _, p := range c.phones {
			p.group.young = false
			if p.alive {
				living[p.group]++
			}
		}
		for range 3 {
			send()
			verify()
		}
		for _, p := range c.phones {
			if !p.alive && !p.flag && living[p.group] > 0 {
				rt.Fatalf("invalid phone %d of group %+v not flagged after three mailings in which it was no young one", p.name, p.group)
			}
		}
	})
}
