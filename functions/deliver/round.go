package deliver

import (
	"context"
	"errors"
	"time"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// What a killed instance can send again is what it sent after its last saved
// receipts: at most that many of a batch, and two seconds' worth.
const (
	maxUnsaved = 250
	saveAt     = 125         // receipts that are worth a save while others are on their way
	saveEvery  = time.Second // while any are unsaved
)

// A round is one call's work on one leased batch.
type round struct {
	*deliverer
	m      *push.Mailing
	b      *push.Batch
	letter *letter
	last   rendering // of the last customer
	began  time.Time
	until  time.Time // no attempt begins after it

	queue    []int // targets not handed to the sender yet
	answers  chan answer
	inflight int
	unsaved  int          // verdicts not stored yet
	answered int          // verdicts of this round
	suspects []answer     // INVALID_ARGUMENT: held until the payload is known to be good
	mismatch int          // tokens of another sender
	waiting  time.Time    // when what waits may go on
	stop     stopReason   // why no more is sent
	ended    push.Receipt // with stopEnded: the verdict on what is left
	cancel   func()       // ends what has not been sent
	trouble  fcm.Answer   // with stopTrouble
	tick     <-chan time.Time
}

type answer struct {
	target int
	fcm.Answer
}

type stopReason int

const (
	going        stopReason = iota
	stopHeld                // paused: what is left stays
	stopUnproven            // FCM is out of reach: nobody knows whether it takes the payload
	stopEnded               // cancelled, expired, refused: what is left is closed
	stopTrouble             // our credentials: the mailing is to be paused
)

func newRound(d *deliverer, m *push.Mailing, b *push.Batch, until time.Time) *round {
	if m.ExpiresAt.Before(until) {
		until = m.ExpiresAt
	}
	return &round{deliverer: d, m: m, b: b, began: d.Now(), until: until, answers: make(chan answer, len(b.Targets))}
}

// run takes the batch as far as it can go in this call. Wherever that fails, the
// receipts are kept and the batch is given back.
func (r *round) run(ctx context.Context) error {
	if err := r.through(ctx); err != nil {
		return errors.Join(err, r.keep(ctx))
	}
	return nil
}

func (r *round) through(ctx context.Context) error {
	r.observe(r.m)
	if r.stop == going && len(r.b.Pending()) > 0 {
		if err := r.ready(ctx); err != nil {
			return err
		}
	}
	if r.stop == going {
		if err := r.send(ctx); err != nil {
			return err
		}
		if !r.m.Proven && r.taken() {
			if err := r.proven(ctx); err != nil {
				return err
			}
		}
		if err := r.judge(ctx); err != nil {
			return err
		}
	}
	return r.conclude(ctx)
}

// within is ctx until nothing may be asked of FCM any more: the lease nears its
// end, or the instance is told to stop.
func (r *round) within(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithDeadline(ctx, time.Now().Add(r.until.Sub(r.Now())))
	stop := context.AfterFunc(r.Stopping, cancel)
	return out, func() { stop(); cancel() }
}

// keep saves the receipts of a call that failed, and gives the batch back. A
// lease that is somebody else's stays so.
func (r *round) keep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
	defer cancel()
	r.release()
	if err := r.save(ctx); !store.IsStale(err) {
		return err
	}
	return nil
}

// release gives the batch back: what waits, until its time.
func (r *round) release() {
	if r.b.NotBefore = r.waiting; r.waiting.IsZero() || r.stop == stopHeld || r.stop == stopTrouble {
		r.b.NotBefore = r.Now()
	}
	r.b.Lease = push.Lease{}
}

// observe stops the round when the mailing is no longer to be sent.
func (r *round) observe(m *push.Mailing) {
	switch {
	case m.State == push.Cancelled:
		r.end(push.ReceiptCancelled)
	case m.State == push.Refused:
		r.end(push.ReceiptRefused)
	case m.State == push.Expired || !m.ExpiresAt.After(r.Now()):
		r.end(push.ReceiptExpired)
	case m.State.Final():
		r.end(push.ReceiptCancelled)
	case m.State == push.Paused:
		r.halt(stopHeld)
	}
}

func (r *round) end(rest push.Receipt) {
	if r.halt(stopEnded) {
		r.ended = rest
	}
}

// halt stops sending; the first reason stays.
func (r *round) halt(why stopReason) bool {
	if r.stop != going {
		return false
	}
	r.stop = why
	if r.cancel != nil {
		r.cancel()
	}
	return true
}

// close gives every target still pending that verdict.
func (r *round) close(v push.Receipt) { r.unsaved += r.b.Close(v) }

// ready checks a batch that was cut long ago against its customers, and proves
// the payload when nobody has yet.
func (r *round) ready(ctx context.Context) error {
	if r.Now().Sub(r.b.CutAt) > stale {
		if err := r.recheck(ctx); err != nil {
			return err
		}
	}
	var err error
	if r.letter, err = r.letters.get(r.m); err != nil {
		return r.refuse(ctx, err.Error())
	}
	if !r.m.Proven {
		return r.proveFirst(ctx)
	}
	return nil
}

// recheck cancels targets whose token moved, was erased or flagged, or whose
// customer opted out since the batch was cut.
func (r *round) recheck(ctx context.Context) error {
	owed, err := r.Store.StillOwed(ctx, r.m, r.b.Targets)
	if err != nil {
		return err
	}
	for _, i := range r.b.Pending() {
		if !owed[i] {
			r.b.Receipts[i] = push.ReceiptCancelled
			r.unsaved++
		}
	}
	return nil
}

// send feeds the pending targets to the sender, never more at once than may be
// unsaved, and books the answers.
func (r *round) send(ctx context.Context) error {
	out, cancel := r.within(ctx)
	defer cancel()
	r.cancel = cancel
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	r.tick = ticker.C
	if err := r.untilDue(out); err == nil {
		r.queue = r.b.Pending()
	}
	for {
		for len(r.queue) > 0 && r.stop == going && out.Err() == nil && r.inflight+r.unsaved < maxUnsaved {
			r.sendOne(out, r.queue[0])
			r.queue = r.queue[1:]
		}
		if r.unsaved >= maxUnsaved && r.inflight == 0 { // none of them was FCM's to judge
			if err := r.save(ctx); err != nil {
				return err
			}
			continue
		}
		if r.inflight == 0 && (len(r.queue) == 0 || r.stop != going || out.Err() != nil) {
			return nil
		}
		if err := r.step(ctx); err != nil {
			cancel()
			r.drain()
			return err
		}
	}
}

// untilDue waits for a batch that is due in a moment.
func (r *round) untilDue(ctx context.Context) error {
	wait := r.b.NotBefore.Sub(r.Now())
	if wait <= 0 {
		return nil
	}
	return r.Sleep(ctx, wait)
}

func (r *round) sendOne(ctx context.Context, i int) {
	t := r.b.Targets[i]
	msg, err := r.message(t)
	if err != nil { // this customer's values make no message
		r.because(err.Error())
		r.receipt(i, push.ReceiptRefused)
		return
	}
	r.inflight++
	r.Sender.Send(ctx, fcm.Item{Message: msg, Customer: t.Customer, Target: t.Token, Kind: t.Kind,
		DryRun: r.m.DryRun, Until: r.until}, func(a fcm.Answer) { r.answers <- answer{i, a} })
}

// step takes one answer, or looks after receipts and the mailing's state.
func (r *round) step(ctx context.Context) error {
	select {
	case a := <-r.answers:
		r.inflight--
		r.book(a)
		if r.unsaved >= saveAt && len(r.queue) > 0 {
			return r.save(ctx)
		}
	case <-r.tick:
		m, err := r.states.get(ctx, r.m.ID)
		if err != nil {
			return err
		}
		r.observe(m)
		return r.catchUp(ctx)
	}
	return nil
}

// drain books what is still on its way, so that nothing sent is forgotten.
func (r *round) drain() {
	for r.inflight > 0 {
		a := <-r.answers
		r.inflight--
		r.book(a)
	}
}

// catchUp saves what is unsaved, if anything is: before whatever takes its time.
func (r *round) catchUp(ctx context.Context) error {
	if r.unsaved == 0 {
		return nil
	}
	return r.save(ctx)
}

func (r *round) save(ctx context.Context) error {
	if err := r.Store.SaveBatch(ctx, r.b); err != nil {
		return err
	}
	r.unsaved = 0
	return nil
}
