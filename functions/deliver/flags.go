package deliver

import (
	"context"
	"errors"
	"slices"
	"time"

	"carillon.example/shared/push"
	"carillon.example/shared/store"
)

const (
	// flagsPerSlice is how many tokens are flagged, published and saved before the next
	// ones.
	flagsPerSlice = 100
	// flagsEnd is the time before the end of a call in which no slice begins.
	flagsEnd = 5 * time.Second
	// flagsGivenUp is how long after the mailing's lifetime it is tried to set owed flags. Then
	// those that cannot be set are given up.
	flagsGivenUp = 24 * time.Hour
)

// flagOwed flags the invalid tokens that the batch owes, in slices. Each slice is
// stored and its events are published before the next begins. Flags that do not fit
// into the call, or cannot be set now, stay owed.
func (d *delivery) flagOwed(ctx context.Context) error {
	// d.Now may be a test's clock; a context uses the machine's.
	ctx, cancel := context.WithDeadline(ctx, time.Now().Add(d.callEnds.Sub(d.Now())))
	defer cancel()

	var faults []error
	for slice := range slices.Chunk(d.decidedFlags(), flagsPerSlice) {
		if d.outOfTime() {
			break
		}
		before := len(d.batch.OwedFlags)
		faults = append(faults, d.flagTokens(ctx, slice)...)
		if len(d.batch.OwedFlags) == before {
			break // every flag of the slice failed, so those of the next would fail too
		}
		if len(d.batch.OwedFlags) > 0 {
			if err := d.saveResults(ctx); err != nil {
				return errors.Join(append(faults, err)...)
			}
		}
	}

	if len(faults) > 0 && d.Now().Sub(d.mailing.ExpiresAt) > flagsGivenUp {
		d.Log.ErrorContext(ctx, "flags given up", "mailing", d.mailing.ID, "batch", d.batch.Batch, "flags", len(d.batch.OwedFlags),
			"error", errors.Join(faults...))
		d.dropOwedFlags()
		return nil
	}
	return errors.Join(faults...)
}

// decidedFlags lists the targets whose flag is owed and not held.
func (r *results) decidedFlags() []int {
	return slices.DeleteFunc(slices.Clone(r.batch.OwedFlags), func(i int) bool { return slices.Contains(r.batch.HeldFlags, i) })
}

// outOfTime reports whether the call has no time for another slice.
func (d *delivery) outOfTime() bool {
	reserve := min(flagsEnd, d.CallTimeout/6)
	return d.Stopping.Err() != nil || d.Now().After(d.callEnds.Add(-reserve))
}

// flagTokens flags some of the tokens that the batch owes, publishes the events, and
// removes them from the owed ones. A token whose customer cannot be decoded is
// skipped. The errors are those of tokens that stay owed.
func (d *delivery) flagTokens(ctx context.Context, targets []int) (faults []error) {
	flags := d.flagsOf(targets)
	flagged := d.Store.FlagTokens(ctx, flags)

	var events []push.Event
	done, drop := map[string]bool{}, map[string]bool{} // by token id
	for i, res := range flagged {
		id := flags[i].TokenID
		switch {
		case errors.Is(res.Err, store.ErrUndecodable):
			d.Log.ErrorContext(ctx, "token not flagged", "mailing", d.mailing.ID, "batch", d.batch.Batch, "token", id, "error", res.Err)
			done[id], drop[id] = true, true
		case res.Err != nil:
			faults = append(faults, res.Err)
		default:
			done[id], drop[id] = true, !res.Set // not set: the token was registered again or removed
			events = append(events, res.Events...)
		}
	}

	if err := d.Queue.PublishEvents(ctx, events...); err != nil {
		return append(faults, err) // the flags are set; the next call publishes their events
	}
	d.batch.OwedFlags = slices.DeleteFunc(slices.Clone(d.batch.OwedFlags), func(i int) bool { return done[d.tokenID(i)] })
	d.batch.InvalidTokens = slices.DeleteFunc(slices.Clone(d.batch.InvalidTokens), func(x push.InvalidToken) bool { return drop[x.TokenID] })
	return faults
}

// flagsOf returns the flags of targets that were found invalid.
func (d *delivery) flagsOf(targets []int) []store.Flag {
	byToken := make(map[string]push.InvalidToken, len(d.batch.InvalidTokens))
	for _, x := range d.batch.InvalidTokens {
		byToken[x.TokenID] = x
	}

	flags := make([]store.Flag, 0, len(targets))
	for _, i := range targets {
		x := byToken[d.tokenID(i)]
		flags = append(flags, store.Flag{
			Mailing: d.mailing.ID, Customer: x.Customer, TokenID: x.TokenID,
			Code: x.Code, Status: x.Status, At: x.At, BatchCreatedAt: d.batch.CreatedAt,
		})
	}

	return flags
}
