package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// unflagStore is what dispatch needs of the store for an unflag.
type unflagStore interface {
	LeaseUnflag(ctx context.Context, mailing string, until time.Time) (*store.UnflagLease, error)
	ReadUnflagPage(ctx context.Context, l *store.UnflagLease) (*store.UnflagPage, error)
	UnflagTokens(ctx context.Context, mailing string, tokens []store.CustomerTokens) (int, []push.Event, error)
	SaveUnflagCursor(ctx context.Context, l *store.UnflagLease, until time.Time) error
	EndUnflag(ctx context.Context, mailing string) (*push.Unflag, error)
	MarkEventsPublished(ctx context.Context, events ...push.Event) error
}

const (
	// unflagAtOnce is how many transactions of an unflag run at the same time.
	// unflagCustomers is how many customers each has: the document of a customer has
	// up to about 50 KB, and a commit may have 10 MiB.
	unflagAtOnce    = 16
	unflagCustomers = 100
	// unflagLeaseTime is how long the lease of an unflag lasts after each save.
	unflagLeaseTime = 2 * time.Minute
)

// unflagMailing removes the flags that a mailing set, page after page, until there are none
// or the call has to end. Then a new message continues it. What is not saved is done
// again by the next call and changes nothing.
func (d *dispatcher) unflagMailing(ctx context.Context, mailing string) error {
	// Transactions end half a margin before the call, so that the cursor can still be saved.
	margin := min(handOverTime, d.CallTimeout/3)
	until := d.Now().Add(d.CallTimeout - margin)
	ctx, cancel := context.WithTimeout(ctx, d.CallTimeout-margin/2)
	defer cancel()

	l, err := d.Store.LeaseUnflag(ctx, mailing, d.Now().Add(unflagLeaseTime))
	if err != nil || l == nil {
		return err
	}

	for began := d.Now(); ; {
		last, err := d.unflagPage(ctx, l, until)
		switch {
		case err != nil:
			return errors.Join(err, d.releaseUnflag(ctx, l))
		case last:
			return d.finishUnflag(ctx, l, began)
		case !d.Now().Before(until):
			return d.handOverUnflag(ctx, l)
		}
		if err := d.Store.SaveUnflagCursor(ctx, l, d.Now().Add(unflagLeaseTime)); err != nil {
			return err
		}
	}
}

// unflagPage removes the flags of one page and reports whether it was the last. A
// page that does not fit into the time of the call stays the next one.
func (d *dispatcher) unflagPage(ctx context.Context, l *store.UnflagLease, until time.Time) (last bool, err error) {
	p, err := d.Store.ReadUnflagPage(ctx, l)
	if err != nil {
		return false, err
	}

	for _, fault := range p.Faults {
		d.Log.ErrorContext(ctx, "tokens of a batch not unflagged", "mailing", l.Mailing, "error", fault)
	}

	var late atomic.Bool
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(unflagAtOnce)
	for tokens := range slices.Chunk(p.Tokens, unflagCustomers) {
		g.Go(func() error {
			if !d.Now().Before(until) {
				late.Store(true)
				return nil
			}
			return d.unflagCustomers(gctx, l.Mailing, tokens)
		})
	}
	if err := g.Wait(); err != nil || late.Load() {
		return false, err
	}
	l.FinishPage(p)
	return p.Last, nil
}

// unflagCustomers removes the flags of a few customers and publishes the events. A
// customer whose document cannot be decoded is logged and skipped.
func (d *dispatcher) unflagCustomers(ctx context.Context, mailing string, tokens []store.CustomerTokens) error {
	_, events, err := d.Store.UnflagTokens(ctx, mailing, tokens)
	queue.PublishEvents(ctx, d.Queue, d.Store, d.Log, events)
	if store.IsUndecodable(err) {
		d.Log.ErrorContext(ctx, "tokens of a customer not unflagged", "mailing", mailing, "error", err)
		return nil
	}
	return err
}

// finishUnflag records that no flag of the mailing is left.
func (d *dispatcher) finishUnflag(ctx context.Context, l *store.UnflagLease, began time.Time) error {
	u, err := d.Store.EndUnflag(ctx, l.Mailing)
	if err != nil {
		return errors.Join(err, d.releaseUnflag(ctx, l))
	}
	d.Log.InfoContext(ctx, "unflag finished", "mailing", l.Mailing, "unflagged", u.Unflagged,
		"seconds", int(d.Now().Sub(u.StartedAt)/time.Second), "milliseconds", d.Now().Sub(began).Milliseconds())
	return nil
}

// handOverUnflag releases the unflag and publishes a message for another call to
// continue it.
func (d *dispatcher) handOverUnflag(ctx context.Context, l *store.UnflagLease) error {
	if err := d.Store.SaveUnflagCursor(ctx, l, time.Time{}); err != nil {
		return err
	}
	return d.Queue.PublishDispatch(ctx, push.DispatchMessage{Mailing: l.Mailing, Shard: push.DispatchUnflag})
}

// releaseUnflag releases the lease of a failed call, so that its redelivery can continue
// at once. If another call has the lease by now, it stays.
func (d *dispatcher) releaseUnflag(ctx context.Context, l *store.UnflagLease) error {
	// Without the cancellation of ctx: an unreleased unflag waits for the end of its lease.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOverTime)
	defer cancel()
	if err := d.Store.SaveUnflagCursor(ctx, l, time.Time{}); err != nil && !store.IsRevisionConflict(err) {
		return err
	}
	return nil
}
