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
	// maxUnsaved is how many targets of a batch may be sent and not saved: a killed
	// instance may send so many again. See windowAfter.
	maxUnsaved = 250
	// saveEvery is how long a result stays unsaved while the loop waits for others.
	saveEvery = time.Second
	// notFromFCMWait is how long a target waits after an answer that did not come from
	// FCM.
	notFromFCMWait = time.Second
)

// A sendLoop hands the pending targets of a delivery to the sender, never more at
// once than may be unsaved, and records the answers.
type sendLoop struct {
	*delivery
	renderer       renderer
	queue          []int                // targets that the sender did not get yet
	turns          projectTurns         // targets that wait because their project has filled its part of the window
	inFlight       map[int]bool         // targets that the sender has
	marked         int                  // number of the queue's first targets that are stored as under way and may be sent; see mayStart
	notFromFCM     map[int]bool         // targets with an answer that did not come from FCM; true: to be sent again, false: queued for that
	triedPlatforms map[platformKey]bool // platforms that are down and of which this call has tried a target
	answers        chan answer          // has room for the answers of all targets, so that the sender never waits
}

// sendTargets sends the pending targets until all have their answers, the delivery stops, or
// the deadline comes.
func (d *delivery) sendTargets(ctx context.Context) error {
	sending, cancel := d.untilDeadline(ctx)
	defer cancel()
	l := &sendLoop{
		delivery: d, renderer: renderer{payloads: d.variants}, inFlight: map[int]bool{},
		turns: newProjectTurns(), notFromFCM: map[int]bool{}, triedPlatforms: map[platformKey]bool{}, answers: make(chan answer, len(d.batch.Targets)),
	}

	if err := d.waitUntilDue(sending); err == nil {
		l.queue = d.readyTargets(d.Now())
		if !l.isCautious() { // a cautious call sends in its own order
			l.turns.shareWindow(l.countProjects(l.queue))
		}
		l.sortByCrashes()
	}

	// The loop saves with ctx, and sends with sending, which ends earlier.
	err := l.runLoop(ctx, sending, cancel)
	cancel()
	l.drainAnswers()
	l.batch.UnderWay = nil
	return err
}

// waitUntilDue waits for a batch that is due within seconds.
func (d *delivery) waitUntilDue(ctx context.Context) error {
	wait := d.batch.NotBefore.Sub(d.Now())
	if wait <= 0 {
		return nil
	}
	return d.Sleep(ctx, wait)
}

// isCautious reports whether a call crashed with the batch. Then targets are stored as
// under way before they are sent, so that the next crash counts for them only.
func (l *sendLoop) isCautious() bool { return l.batch.CrashedWith != nil }

// sortByCrashes puts the targets first that the fewest calls crashed with: a target that
// crashes the instance is sent when all others are saved.
func (l *sendLoop) sortByCrashes() {
	slices.SortFunc(l.queue, func(a, b int) int { return cmp.Or(l.crashesWith(a)-l.crashesWith(b), a-b) })
}

// runLoop sends, takes answers and saves, one after the other in one goroutine, until
// no target is left or the delivery stops. cancel ends the sending: the sender then
// returns what it has not sent.
func (l *sendLoop) runLoop(ctx, sending context.Context, cancel context.CancelFunc) error {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		if l.isStopped() {
			cancel() // the sender returns what it has not sent
		}
		open := len(l.queue) > 0 && !l.isStopped() && sending.Err() == nil

		switch {
		case open && l.mayStart():
			l.sendNext(sending)
		case len(l.inFlight) > 0:
			if err := l.awaitAnswer(ctx, ticker.C); err != nil {
				return err
			}
		case open:
			// Nothing is in flight, and the next target may not start: results that needed no
			// answer of FCM fill the window, or a cautious call has marked no target. A save
			// makes room.
			if err := l.saveAndMark(ctx); err != nil {
				return err
			}
		case !l.isStopped() && l.retryNotFromFCM(sending):
		default:
			return nil
		}
	}
}

// mayStart reports whether the queue's next target may be sent now.
func (l *sendLoop) mayStart() bool {
	return len(l.inFlight)+l.unsaved < l.windowSize() && (l.marked > 0 || !l.isCautious())
}

// windowSize returns how many targets may be sent and not saved yet, including the
// queue's next.
func (l *sendLoop) windowSize() int {
	if len(l.queue) == 0 {
		return maxUnsaved
	}
	return windowAfter(l.crashesWith(l.queue[0]))
}

// crashesWith returns how many calls crashed while the target was possibly under way.
func (d *delivery) crashesWith(target int) int {
	if d.batch.CrashedWith == nil {
		return 0
	}
	return int(d.batch.CrashedWith[target])
}

// windowAfter returns how many targets may be sent and not saved yet, by how many
// calls crashed with each of them. A crash may send to all targets of a window again.
func windowAfter(crashes int) int {
	switch crashes {
	case 0:
		return maxUnsaved
	case 1:
		return 40
	case 2:
		return 6
	}
	return 1
}

// sendNext passes the first target of the queue to the sender, unless the target has to
// wait or its message cannot be rendered.
func (l *sendLoop) sendNext(ctx context.Context) {
	i := l.queue[0]
	l.queue = l.queue[1:]
	l.marked = max(0, l.marked-1)
	t := l.batch.Targets[i]
	project := l.projectOf(i)
	if l.postponeForPlatform(i) {
		l.turns.queueNext(project, &l.queue)
		return
	}
	if !l.turns.startTarget(project, i) {
		return
	}

	message, err := l.renderer.messageFor(t)
	if err != nil { // the attributes of this customer make no valid message
		l.turns.endTarget(project, &l.queue)
		l.setResultWithReason(i, push.ResultRefused, err.Error())
		return
	}

	l.batch.Targets[i].MissingAttribute = l.renderer.payloads.payloadFor(t).lacksAttribute(t)
	l.inFlight[i] = true
	item := fcm.Item{Message: message, Customer: t.Customer, Target: t.Token, Project: project, Kind: t.Kind, DryRun: l.mailing.DryRun, Priority: l.mailing.Single, Until: l.deadline}
	l.Sender.Send(ctx, item, func(a fcm.Answer) { l.answers <- answer{i, a} })
}

// awaitAnswer takes one answer. Every saveEvery it saves results and reads the mailing's
// state instead.
func (l *sendLoop) awaitAnswer(ctx context.Context, tick <-chan time.Time) error {
	select {
	case a := <-l.answers:
		l.takeAnswer(a)
		if window := l.windowSize(); len(l.queue) > 0 && l.unsaved >= max(1, window/2) && len(l.inFlight) < window {
			return l.saveAndMark(ctx)
		}
		return nil
	case <-tick:
		m, err := l.states.getState(ctx, l.mailing.ID)
		if err != nil {
			return err
		}
		l.stopWith(stopReasonOf(m, l.Now()))
		if l.unsaved == 0 {
			return nil
		}
		return l.saveAndMark(ctx)
	}
}

// takeAnswer records an answer. If it does not come from FCM, it is not recorded the first
// time: the target is passed to the sender again.
func (l *sendLoop) takeAnswer(a answer) {
	delete(l.inFlight, a.target)
	delete(l.due, a.target)
	l.turns.endTarget(l.projectOf(a.target), &l.queue)

	if _, wasQueued := l.notFromFCM[a.target]; isNotFromFCM(a.Answer) && !wasQueued {
		l.notFromFCM[a.target] = true
		return
	}
	l.recordAnswer(a)
	l.rememberAnswer(a)
}

// isNotFromFCM reports whether the answer does not come from FCM but, for example, from a
// proxy. 401 and 403 do not count, because they refuse our credentials. The sender has tried
// the message twice by then. It gets the message once more, and sends it up to two times
// again. If these answers do not come from FCM either, the mailing is paused.
func isNotFromFCM(a fcm.Answer) bool {
	return a.Class == fcm.Misconfigured && a.HTTP != 0 && a.HTTP != http.StatusUnauthorized && a.HTTP != http.StatusForbidden
}

// rememberAnswer stores what the answer says for later answers in this instance.
func (l *sendLoop) rememberAnswer(a answer) {
	if a.Class == fcm.ThirdParty || a.Class == fcm.Accepted {
		l.platforms.countAnswer(platformOf(l.batch.Targets[a.target]), a.Class == fcm.ThirdParty)
	}
	invalid := a.Class == fcm.Invalid || a.Class == fcm.Doubtful || a.Class == fcm.Mismatch
	if !invalid && a.Class != fcm.Accepted {
		return
	}
	t := l.batch.Targets[a.target]
	if g := groupOf(t); l.answersBefore[g] == nil {
		l.answersBefore[g] = append([]bool{}, l.groups.answersBefore(g, l.Now())...)
	}
	l.groups.addAnswer(t, invalid, l.Now())
	l.groups.addReleaseAnswer(t, invalid, l.Now())
}

// saveAndMark stores the results so far and, in a cautious call, the targets that may
// be under way until the next save.
func (l *sendLoop) saveAndMark(ctx context.Context) error {
	if l.isCautious() {
		l.markUnderWay()
	}
	if l.unsaved == 0 {
		return l.storeBatch(ctx) // without a result it is no progress: see isCrashLoop
	}
	return l.saveResults(ctx)
}

// markUnderWay lists as under way the targets in flight, and as many of the queue's next as
// the window has room for.
func (l *sendLoop) markUnderWay() {
	window := l.windowSize()
	room := min(max(0, window-len(l.inFlight)), len(l.queue))
	l.marked = 0
	for l.marked < room && windowAfter(l.crashesWith(l.queue[l.marked])) == window {
		l.marked++
	}

	l.batch.UnderWay = slices.AppendSeq(slices.Clone(l.queue[:l.marked]), maps.Keys(l.inFlight))
	slices.Sort(l.batch.UnderWay)
}

// retryNotFromFCM queues the targets with an answer that did not come from FCM, waits for
// notFromFCMWait, and reports whether there are any. The caller sends them.
func (l *sendLoop) retryNotFromFCM(ctx context.Context) bool {
	for i, sendAgain := range l.notFromFCM {
		if sendAgain {
			l.queue = append(l.queue, i)
			l.notFromFCM[i] = false
		}
	}
	l.sortByCrashes()
	return len(l.queue) > 0 && l.Sleep(ctx, notFromFCMWait) == nil
}

// drainAnswers takes the answers that are still to come, so that no result of a sent message
// is lost.
func (l *sendLoop) drainAnswers() {
	for len(l.inFlight) > 0 {
		l.takeAnswer(<-l.answers)
	}
}
