package tick

import (
	"context"
	"time"

	"carillon.example/shared/push"
)

// deliverySource has what FCM reports of the messages to Android phones.
type deliverySource interface {
	DeliveryData(ctx context.Context, first string) ([]push.DeliveryData, error)
}

// deliveryStore stores it.
type deliveryStore interface {
	ReadDeliveryDataTime(ctx context.Context) (time.Time, error)
	SaveDeliveryData(ctx context.Context, at time.Time, data []push.DeliveryData) error
}

const (
	// deliveryDays is how many days before today are fetched each time: FCM reports a
	// day up to some days later, and changes its counts until then.
	deliveryDays = 8
	// retryDelivery is how long an instance waits, at most, after a fetch that failed.
	retryDelivery = time.Hour
)

// fetchDeliveryData fetches what FCM reports of the last days, once in DeliveryEvery. It is
// off if no apps are set. A fetch that fails is logged and tried again an hour later; it
// does not count as a fault of the round, because nothing else depends on it.
func (t *ticker) fetchDeliveryData(ctx context.Context) error {
	now := t.Now().UTC()
	if t.Delivery == nil {
		return nil
	}
	if next := t.nextDelivery.Load(); next != nil && now.Before(*next) {
		return nil
	}

	last, err := t.Store.ReadDeliveryDataTime(ctx)
	if err != nil {
		return err
	}
	next := last.Add(t.DeliveryEvery)
	if !now.Before(next) {
		next = now.Add(t.DeliveryEvery)
		if err := t.copyDeliveryData(ctx, now); err != nil {
			retry := min(retryDelivery, t.DeliveryEvery)
			t.Log.WarnContext(ctx, "FCM's delivery data was not fetched", "error", err, "retry_in", retry.String())
			next = now.Add(retry)
		}
	}
	t.nextDelivery.Store(&next)
	return nil
}

// copyDeliveryData stores what FCM reports of the last days.
func (t *ticker) copyDeliveryData(ctx context.Context, now time.Time) error {
	data, err := t.Delivery.DeliveryData(ctx, now.AddDate(0, 0, -deliveryDays).Format(push.DayLayout))
	if err != nil {
		return err
	}
	if err := t.Store.SaveDeliveryData(ctx, now, data); err != nil {
		return err
	}
	t.Log.InfoContext(ctx, "FCM's delivery data was fetched", "entries", len(data))
	return nil
}
