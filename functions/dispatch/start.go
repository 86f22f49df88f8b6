package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// startMailing creates the shards of a mailing, once, and publishes a message for each that
// is not done. For a mailing that is sending already, because it was resumed or the
// message came again, it also publishes the batches that are due.
func (d *dispatcher) startMailing(ctx context.Context, id string) error {
	m, err := d.Store.AcceptMailing(ctx, id)
	if err != nil {
		return err
	}

	resumed := m.State == push.Sending
	switch {
	case !m.State.Final() && !m.ExpiresAt.After(d.Now()):
		return d.expireMailing(ctx, m)
	case m.State == push.Scheduled:
		return d.Queue.PublishWake(ctx, id) // it is due before tick's next round
	case m.State == push.Accepted:
		if m, err = d.createShards(ctx, id); err != nil {
			return err
		}
		d.Log.InfoContext(ctx, "mailing state", "mailing", id, "from", push.Accepted, "to", m.State, "shards", m.Shards, "late_milliseconds", lateness(m, d.Now()).Milliseconds())
	}

	if m.State != push.Sending {
		return nil
	}

	if resumed {
		if err := d.republishBatches(ctx, m); err != nil {
			return err
		}
	}
	return d.publishShards(ctx, id)
}

// lateness returns how long after its time a mailing starts: after sendAt, after its
// acceptance, or after a person resumed it.
func lateness(m *push.Mailing, now time.Time) time.Duration {
	due := m.StartAt
	if m.ResumedAt.After(due) {
		due = m.ResumedAt
	}
	return max(0, now.Sub(due))
}

// publishShards publishes a message for each shard that does not have to wait.
func (d *dispatcher) publishShards(ctx context.Context, id string) error {
	open, err := d.Store.ListOpenShards(ctx, id)
	if err != nil {
		return err
	}
	now := d.Now()
	var messages []push.DispatchMessage
	for _, sh := range open {
		if !sh.LeaseUntil.After(now) && !sh.ContinueAt.After(now) {
			messages = append(messages, push.DispatchMessage{Mailing: id, Shard: sh.Number})
		}
	}
	return d.Queue.PublishDispatch(ctx, messages...)
}

const (
	// markedAtOnce is how many batches are recorded as published at the same time.
	// publishedAtOnce is how many are published together: the first are published while
	// the others are being recorded.
	markedAtOnce    = 16
	publishedAtOnce = 64
)

// republishBatches publishes the open batches that are due and not leased: their
// messages were acknowledged while the mailing was paused. It asks tick for those
// that become due later, and for those whose hours began during the pause.
func (d *dispatcher) republishBatches(ctx context.Context, m *push.Mailing) error {
	open, err := d.Store.ListOpenBatches(ctx, m.ID)
	if err != nil {
		return err
	}

	now, waits := d.Now(), m.Hours != nil
	lanes := map[push.Lane][]store.OpenBatch{}
	for _, b := range open {
		if b.LeaseUntil.After(now) || b.NotBefore.After(now) {
			waits = true
			continue
		}
		lanes[b.Lane] = append(lanes[b.Lane], b)
	}

	for lane, batches := range lanes {
		for len(batches) > 0 {
			n := min(len(batches), publishedAtOnce)
			if err := d.publishBatches(ctx, lane, batches[:n]); err != nil {
				return err
			}
			batches = batches[n:]
		}
	}

	if waits {
		return d.Queue.PublishWake(ctx, m.ID)
	}

	return nil
}

// publishBatches records batches as published and publishes them.
func (d *dispatcher) publishBatches(ctx context.Context, lane push.Lane, batches []store.OpenBatch) error {
	// First each batch is recorded as published, at the revision that was listed. Of two calls
	// that have listed the same batch only one publishes it.
	marked := make([]bool, len(batches))
	g, inner := errgroup.WithContext(ctx)
	g.SetLimit(markedAtOnce)
	for i, b := range batches {
		g.Go(func() (err error) {
			marked[i], err = d.Store.MarkBatchPublished(inner, b, d.Now())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}

	var refs []push.BatchRef
	for i, b := range batches {
		if marked[i] {
			refs = append(refs, b.BatchRef)
		}
	}

	return d.Queue.PublishBatches(ctx, lane, refs...)
}

// expireMailing ends a mailing whose lifetime is over, and finishes it if nothing of it
// is left to do.
func (d *dispatcher) expireMailing(ctx context.Context, m *push.Mailing) error {
	if _, err := d.Store.EndMailing(ctx, m.ID, push.Expired, ""); err != nil {
		return err
	}
	_, err := queue.FinishMailing(ctx, d.Store, d.Queue, m.ID)
	return err
}

// createShards estimates the audience of an accepted mailing, and creates its shards
// together with the state sending. If the audience is larger than maxCustomers, it
// pauses the mailing instead.
func (d *dispatcher) createShards(ctx context.Context, id string) (*push.Mailing, error) {
	m, err := d.Store.ReadMailing(ctx, id)
	if err != nil {
		return nil, err
	}

	set, err := d.Store.ReadSettings(ctx)
	if err != nil {
		return nil, err
	}
	selection := cmp.Or(m.Devices, set.Devices)

	audience, err := d.Store.OpenAudience(ctx, m)
	if err != nil {
		return nil, err
	}

	n, err := audience.EstimateSize(ctx)
	if err != nil {
		return nil, err
	}
	if most := m.MaxCustomers; most != nil && n > *most && !m.SizeAllowed {
		return d.pauseTooLarge(ctx, m, n)
	}
	return d.Store.StartMailing(ctx, id, selection, m.HoursIn(set), newShards(m, n, d.Now()))
}

// pauseTooLarge pauses a mailing whose audience is larger than its sender expected.
// Resuming it sends it to all of them.
func (d *dispatcher) pauseTooLarge(ctx context.Context, m *push.Mailing, estimated int) (*push.Mailing, error) {
	detail := fmt.Sprintf("the audience has about %d customers, and maxCustomers is %d; resume the mailing to send it to all of them", estimated, *m.MaxCustomers)
	return d.Store.PauseMailingFor(ctx, m.ID, push.PausedAudience, detail)
}
