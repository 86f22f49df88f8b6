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
	HasDeliveryData(ctx context.Context, day string) (bool, error)
	SaveDeliveryData(ctx context.Context, day string, data []push.DeliveryData) error
}

const (
	// deliveryDays is how many days before today are fetched each day: FCM reports a
	// day up to some days later, and changes its counts until then.
	deliveryDays = 8
	// retryDelivery is how long an instance waits after a fetch that failed.
	retryDelivery = time.Hour
)

// fetchDeliveryData fetches once a day (of UTC) what FCM reports of the last days. It is
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

	day := now.Format(push.DayLayout)
	done, err := t.Store.HasDeliveryData(ctx, day)
	if err != nil {
		return err
	}
	if !done {
		if err := t.copyDeliveryData(ctx, now); err != nil {
			t.Log.WarnContext(ctx, "FCM's delivery data was not fetched", "error", err, "retry_in", retryDelivery.String())
			next := now.Add(retryDelivery)
			t.nextDelivery.Store(&next)
			return nil
		}
	}
	next := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	t.nextDelivery.Store(&next)
	return nil
}

// copyDeliveryData stores what FCM reports of the last days.
func (t *ticker) copyDeliveryData(ctx context.Context, now time.Time) error {
	data, err := t.Delivery.DeliveryData(ctx, now.AddDate(0, 0, -deliveryDays).Format(push.DayLayout))
	if err != nil {
		return err
	}
	if err := t.Store.SaveDeliveryData(ctx, now.Format(push.DayLayout), data); err != nil {
		return err
	}
	t.Log.InfoContext(ctx, "FCM's delivery data was fetched", "entries", len(data))
	return nil
}
