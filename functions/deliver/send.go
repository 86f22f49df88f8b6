package deliver

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
)

const (
	// maxUnsaved is how many targets of a batch may be sent and not saved: so many a
	// killed instance may send again. See windowAfter.
	maxUnsaved = 250
	// saveEvery is how long a result stays unsaved while the loop waits for others.
	saveEvery = time.Second
	// strayWait is how long a target waits after an answer that did not come from
	// FCM.
	strayWait = time.Second
)

// A sendLoop hands the pending targets of a delivery to the sender, never more at
// once than may be unsaved, and records the answers.
type sendLoop struct {
	*delivery
	renderer renderer
	queue    []int                // targets that the sender did not get yet
	turns    projectTurns         // which of them wait because their project has its part of the window
	inFlight map[int]bool         // targets that the sender has
	cleared  int                  // how many of the queue's first targets are stored as under way, and may be sent. See mayStart
	strays   map[int]bool         // targets with an answer that did not come from FCM; true: to be sent again
	tried    map[platformKey]bool // platforms that are down and of which this call has tried a target
	answers  chan answer          // has room for the answers of all targets, so that the sender never waits
}

// send sends the pending targets until all have their answers, the delivery stops, or
// the deadline comes.
func (d *delivery) send(ctx context.Context) error {
	sending, cancel := d.untilDeadline(ctx)
	defer cancel()
	l := &sendLoop{
		delivery: d, renderer: renderer{payloads: d.variants}, inFlight: map[int]bool{},
		turns: newProjectTurns(), strays: map[int]bool{}, tried: map[platformKey]bool{}, answers: make(chan answer, len(d.batch.Targets)),
	}

	if err := d.waitUntilDue(sending); err == nil {
		l.queue = d.ready(d.Now())
		if !l.cautious() { // a cautious call sends in its own order
			l.turns.share(l.projectsOf(l.queue))
		}
		l.sort()
	}

	err := l.run(ctx, sending, cancel)
	cancel()
	l.drain()
	l.batch.UnderWay = nil
	return err
}

// sort puts the targets first that the fewest calls crashed with: a target that
// crashes the instance is sent when all others are saved.
func (l *sendLoop) sort() {
	slices.SortFunc(l.queue, func(a, b int) int { return cmp.Or(l.crashesWith(a)-l.crashesWith(b), a-b) })
}

// crashesWith returns how many calls crashed while the target was possibly under way.
func (d *delivery) crashesWith(target int) int {
	if d.batch.CrashedWith == nil {
		return 0
	}
	return int(d.batch.CrashedWith[target])
}

// window returns how many targets may be sent and not saved yet, including the
// queue's next.
func (l *sendLoop) window() int {
	if len(l.queue) == 0 {
		return maxUnsaved
	}
	return windowAfter(l.crashesWith(l.queue[0]))
}

// cautious reports whether a call crashed with the batch. Then targets are stored as
// under way before they are sent, so that the next crash counts for them only.
func (l *sendLoop) cautious() bool { return l.batch.CrashedWith != nil }

// mayStart reports whether the queue's next target may be sent now.
func (l *sendLoop) mayStart() bool {
	return len(l.inFlight)+l.unsaved < l.window() && (l.cleared > 0 || !l.cautious())
}

// saveResults stores the results so far and, in a cautious call, the targets that may
// be under way until the next save.
func (l *sendLoop) saveResults(ctx context.Context) error {
	if l.cautious() {
		l.clear()
	}
	if l.unsaved == 0 {
		return l.storeBatch(ctx) // without a result it is no progress: see isCrashLoop
	}
	return l.delivery.saveResults(ctx)
}

// clear lists as under way the targets in flight, and as many of the queue's next as
// the window has room for.
func (l *sendLoop) clear() {
	window := l.window()
	room := min(max(0, window-len(l.inFlight)), len(l.queue))
	l.cleared = 0
	for l.cleared < room && windowAfter(l.crashesWith(l.queue[l.cleared])) == window {
		l.cleared++
	}

	l.batch.UnderWay = slices.AppendSeq(slices.Clone(l.queue[:l.cleared]), maps.Keys(l.inFlight))
	slices.Sort(l.batch.UnderWay)
}

// waitUntilDue waits for a batch that is due within seconds.
func (d *delivery) waitUntilDue(ctx context.Context) error {
	wait := d.batch.NotBefore.Sub(d.Now())
	if wait <= 0 {
		return nil
	}
	return d.Sleep(ctx, wait)
}

func (l *sendLoop) run(ctx, sending context.Context, cancel context.CancelFunc) error {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		if l.stopped() {
			cancel() // the sender returns what it has not sent
		}
		open := len(l.queue) > 0 && !l.stopped() && sending.Err() == nil

		switch {
		case open && l.mayStart():
			l.sendNext(sending)
		case len(l.inFlight) > 0:
			if err := l.await(ctx, ticker.C); err != nil {
				return err
			}
		case open: // the window is full of results that did not need FCM, or nothing is stored as under way
			if err := l.saveResults(ctx); err != nil {
				return err
			}
		case !l.stopped() && l.sendStraysAgain(sending):
		default:
			return nil
		}
	}
}

// sendStraysAgain queues the targets with an answer that did not come from FCM, after
// a wait, and reports whether there are any.
func (l *sendLoop) sendStraysAgain(ctx context.Context) bool {
	for i, again := range l.strays {
		if again {
			l.queue = append(l.queue, i)
			l.strays[i] = false
		}
	}
	l.sort()
	return len(l.queue) > 0 && l.Sleep(ctx, strayWait) == nil
}

func (l *sendLoop) sendNext(ctx context.Context) {
	i := l.queue[0]
	l.queue = l.queue[1:]
	l.cleared = max(0, l.cleared-1)
	t := l.batch.Targets[i]
	project := l.projectOf(i)
	if l.postponed(i) {
		l.turns.next(project, &l.queue)
		return
	}
	if !l.turns.start(project, i) {
		return
	}

	message, err := l.renderer.message(t)
	if err != nil { // the attributes of this customer make no valid message
		l.turns.end(project, &l.queue)
		l.setFailed(i, push.ResultRefused, err.Error())
		return
	}

	l.batch.Targets[i].MissingAttribute = l.renderer.payloads.of(t).lacksAttribute(t)
	l.inFlight[i] = true
	item := fcm.Item{Message: message, Customer: t.Customer, Target: t.Token, Project: project, Kind: t.Kind, DryRun: l.mailing.DryRun, Priority: l.mailing.Single, Until: l.deadline}
	l.Sender.Send(ctx, item, func(a fcm.Answer) { l.answers <- answer{i, a} })
}

// await takes one answer. Every saveEvery it saves results and reads the mailing's
// state instead.
func (l *sendLoop) await(ctx context.Context, tick <-chan time.Time) error {
	select {
	case a := <-l.answers:
		l.take(a)
		if window := l.window(); len(l.queue) > 0 && l.unsaved >= max(1, window/2) && len(l.inFlight) < window {
			return l.saveResults(ctx)
		}
		return nil
	case <-tick:
		m, err := l.states.get(ctx, l.mailing.ID)
		if err != nil {
			return err
		}
		l.stopWith(stopOf(m, l.Now()))
		if l.unsaved == 0 {
			return nil
		}
		return l.saveResults(ctx)
	}
}

// drain takes the answers that are still to come, so that no result of a sent message
// is lost.
func (l *sendLoop) drain() {
	for len(l.inFlight) > 0 {
		l.take(<-l.answers)
	}
}

func (l *sendLoop) take(a answer) {
	delete(l.inFlight, a.target)
	delete(l.due, a.target)
	l.turns.end(l.projectOf(a.target), &l.queue)

	if _, again := l.strays[a.target]; stray(a.Answer) && !again {
		l.strays[a.target] = true
		return
	}
	l.record(a)
	l.remember(a)
}

// remember stores what the answer says for later answers in this instance.
func (l *sendLoop) remember(a answer) {
	if a.Class == fcm.ThirdParty || a.Class == fcm.Accepted {
		l.platforms.observe(platformOf(l.batch.Targets[a.target]), a.Class == fcm.ThirdParty)
	}
	invalid := a.Class == fcm.Invalid || a.Class == fcm.Doubtful || a.Class == fcm.Mismatch
	if !invalid && a.Class != fcm.Accepted {
		return
	}
	t := l.batch.Targets[a.target]
	if g := groupOf(t); l.before[g] == nil {
		l.before[g] = append([]bool{}, l.groups.answersBefore(g, l.Now())...)
	}
	l.groups.observe(t, invalid, l.Now())
	l.groups.observeRelease(t, invalid, l.Now())
}

// stray reports whether something between us and FCM answered, a proxy for example.
// One such answer is tried again; the second pauses the mailing.
func stray(a fcm.Answer) bool {
	return a.Class == fcm.Misconfigured && a.HTTP != 0 && a.HTTP != http.StatusUnauthorized && a.HTTP != http.StatusForbidden
}
