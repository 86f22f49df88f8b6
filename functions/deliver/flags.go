package deliver

import (
	"context"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

// flagsAtOnce is how many customers are flagged side by side.
const flagsAtOnce = 16

// flagOwed flags the invalid tokens and publishes it. What it cannot do stays
// owed.
func (d *delivery) flagOwed(ctx context.Context) error {
	if len(d.batch.Owed) == 0 {
		return nil
	}
	results := make([]store.FlagResult, len(d.batch.Dead))
	owed := map[string]bool{}
	for _, i := range d.batch.Owed {
		owed[push.TokenID(d.batch.Targets[i].Token)] = true
	}
	of := map[string][]int{} // a customer's, one after the other: they write the same document
	for i, x := range d.batch.Dead {
		if owed[x.TokenID] {
			of[x.Customer] = append(of[x.Customer], i)
		} else {
			results[i].Set = true
		}
	}

	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(flagsAtOnce)
	for _, dead := range of {
		g.Go(func() error { return d.flagThese(gctx, dead, results) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return d.publishFlags(ctx, results)
}

func (d *delivery) flagThese(ctx context.Context, dead []int, results []store.FlagResult) (err error) {
	for _, i := range dead {
		x := d.batch.Dead[i]
		results[i], err = d.Store.Flag(ctx, store.Flag{Mailing: d.mailing.ID, Customer: x.Customer, TokenID: x.TokenID,
			Code: x.Code, Status: x.Status, At: x.At, CutAt: d.batch.CutAt})
		if err != nil {
			return err
		}
	}
	return nil
}

// publishFlags publishes what the flags changed, and forgets the tokens that
// turned out to be registered again.
func (d *delivery) publishFlags(ctx context.Context, results []store.FlagResult) error {
	var events []push.Event
	var stand []push.Dead
	for i, res := range results {
		events = append(events, res.Events...)
		if res.Set {
			stand = append(stand, d.batch.Dead[i])
		}
	}
	if err := d.Queue.Events(ctx, events...); err != nil {
		return err
	}
	d.batch.Dead, d.batch.Owed = stand, nil
	return nil
}
