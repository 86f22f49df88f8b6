package deliver

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/fcm"
	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// flagsAtOnce is how many customers are flagged side by side.
const flagsAtOnce = 16

// conclude stores what the round came to. Receipts and what they owe are saved
// first; a batch is settled only when every flag and event is stored.
func (r *round) conclude(ctx context.Context) error {
	// The call's own end must not keep its receipts from being saved.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseMargin)
	defer cancel()
	if r.stop == stopEnded {
		r.close(r.ended)
	} else if !r.m.ExpiresAt.After(r.Now()) {
		r.close(push.ReceiptExpired)
	}
	if len(r.b.Owed) > 0 || r.stop == stopTrouble {
		if err := r.catchUp(ctx); err != nil {
			return err
		}
	}
	if r.stop == stopTrouble {
		if err := r.hold(ctx); err != nil {
			return err
		}
	}
	if err := r.flag(ctx); err != nil {
		return err
	}
	pending := len(r.b.Pending())
	r.b.Settled = pending == 0
	r.release()
	if err := r.save(ctx); err != nil {
		return err
	}
	r.report(ctx, pending)
	return nil
}

// hold pauses the mailing because of our own credentials.
func (r *round) hold(ctx context.Context) error {
	reason := push.PausedCredentials
	if r.trouble.Outcome == fcm.Mismatch {
		reason = push.PausedWrongSender
	}
	m, err := r.Store.Hold(ctx, r.m.ID, reason, r.trouble.Text)
	if err != nil && !push.IsConflict(err) {
		return err
	}
	if err == nil {
		r.Log.ErrorContext(ctx, "mailing state", "mailing", r.m.ID, "from", m.PausedFrom, "to", m.State, "reason", m.PausedBecause())
	}
	return nil
}

// flag marks the invalid tokens and tells it. What it cannot do stays owed.
func (r *round) flag(ctx context.Context) error {
	if len(r.b.Owed) == 0 {
		return nil
	}
	results := make([]store.FlagResult, len(r.b.Dead))
	owed := map[string]bool{}
	for _, i := range r.b.Owed {
		owed[push.TokenID(r.b.Targets[i].Token)] = true
	}
	of := map[string][]int{} // a customer's, one after the other: they write the same document
	for i, x := range r.b.Dead {
		if owed[x.TokenID] {
			of[x.Customer] = append(of[x.Customer], i)
		} else {
			results[i].Set = true
		}
	}
	g, ctx2 := errgroup.WithContext(ctx)
	g.SetLimit(flagsAtOnce)
	for _, dead := range of {
		g.Go(func() error { return r.flagThese(ctx2, dead, results) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return r.tell(ctx, results)
}

func (r *round) flagThese(ctx context.Context, dead []int, results []store.FlagResult) (err error) {
	for _, i := range dead {
		x := r.b.Dead[i]
		results[i], err = r.Store.Flag(ctx, store.Flag{Mailing: r.m.ID, Customer: x.Customer, TokenID: x.TokenID,
			Code: x.Code, Status: x.Status, At: x.At, CutAt: r.b.CutAt})
		if err != nil {
			return err
		}
	}
	return nil
}

// tell publishes what the flags changed, and forgets the tokens that turned out
// to be registered again.
func (r *round) tell(ctx context.Context, results []store.FlagResult) error {
	var events []push.Event
	var stand []push.Dead
	for i, res := range results {
		events = append(events, res.Events...)
		if res.Set {
			stand = append(stand, r.b.Dead[i])
		}
	}
	if err := r.Queue.Events(ctx, events...); err != nil {
		return err
	}
	r.b.Dead, r.b.Owed = stand, nil
	return nil
}

// report is the one line a log-based metric reads of a finished batch.
func (r *round) report(ctx context.Context, pending int) {
	t := push.TallyOf(r.b.Receipts)
	r.Log.InfoContext(ctx, "batch finished", "mailing", r.m.ID, "batch", r.b.Batch, "attempt", r.b.Attempts,
		"milliseconds", r.Now().Sub(r.began)/time.Millisecond, "settled", r.b.Settled,
		"accepted", t[push.ReceiptAccepted], "invalid", t[push.ReceiptUnregistered]+t[push.ReceiptInvalidArgument],
		"refused", t[push.ReceiptRefused], "failed", t[push.ReceiptFailed], "expired", t[push.ReceiptExpired],
		"cancelled", t[push.ReceiptCancelled], "pending", pending)
}
