package store

import (
	"context"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// The collection deliveryData has a document for each analytics label, and one that says
// when the data was last fetched.
const (
	deliveryDataCollection = "deliveryData"
	labelPrefix            = "label-"
	fetchedDocument        = "fetched"
	// keepDeliveryData is how long the document of a label is kept after its last
	// change: as long as the recipients of a mailing with the longest lifetime.
	keepDeliveryData = 60 * 24 * time.Hour
	// deliveryWritesAtOnce is how many documents one transaction writes; the service
	// allows 500.
	deliveryWritesAtOnce = 400
)

// labelDoc is deliveryData/label-{label}. Days has the counts by day, and for a day by app.
type labelDoc struct {
	Days     map[string]map[string]deliveryCountsDoc `firestore:"days"`
	AsOf     time.Time                               `firestore:"asOf"`
	ExpireAt time.Time                               `firestore:"expireAt"`
}

type deliveryCountsDoc struct {
	Accepted  int64 `firestore:"accepted"`
	Delivered int64 `firestore:"delivered"`
	Pending   int64 `firestore:"pending"`
	Dropped   int64 `firestore:"dropped"`
}

func (d deliveryCountsDoc) decodeCounts() push.DeliveryCounts {
	return push.DeliveryCounts{Accepted: d.Accepted, Delivered: d.Delivered, Pending: d.Pending, Dropped: d.Dropped}
}

func (s *Store) deliveryDataDocument(id string) *firestore.DocumentRef {
	return s.db.Collection(deliveryDataCollection).Doc(id)
}

// ReadDeliveryDataTime returns when the delivery data was last fetched; zero: never.
func (s *Store) ReadDeliveryDataTime(ctx context.Context) (time.Time, error) {
	snap, err := s.deliveryDataDocument(fetchedDocument).Get(ctx)
	if isNotFound(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, classifyError(err, "reading when the delivery data was fetched")
	}
	at, _ := snap.Data()["at"].(time.Time)
	return at.UTC(), nil
}

// SaveDeliveryData stores what FCM reports, and then that it was fetched at a time. The
// counts of a day, an app and a label replace those that are stored, so a call that is
// repeated changes nothing. It costs a write for each label and for each day.
func (s *Store) SaveDeliveryData(ctx context.Context, at time.Time, data []push.DeliveryData) error {
	byLabel, byDay := map[string]map[string]any{}, map[string]push.DeliveryCounts{}
	for _, d := range data {
		total := byDay[d.Day]
		total.Add(d.DeliveryCounts)
		byDay[d.Day] = total
		if d.Label == "" {
			continue
		}
		days := byLabel[d.Label]
		if days == nil {
			days = map[string]any{}
			byLabel[d.Label] = days
		}
		apps, _ := days[d.Day].(map[string]any)
		if apps == nil {
			apps = map[string]any{}
			days[d.Day] = apps
		}
		apps[d.App] = map[string]any{"accepted": d.Accepted, "delivered": d.Delivered, "pending": d.Pending, "dropped": d.Dropped}
	}

	if err := s.saveLabels(ctx, byLabel); err != nil {
		return classifyError(err, "storing delivery data")
	}
	if err := s.saveDeliveryDays(ctx, byDay); err != nil {
		return classifyError(err, "storing the delivery data of days")
	}
	_, err := s.deliveryDataDocument(fetchedDocument).Set(ctx, map[string]any{"at": at})
	return classifyError(err, "storing when the delivery data was fetched")
}

// saveLabels merges the days of labels into their documents.
func (s *Store) saveLabels(ctx context.Context, byLabel map[string]map[string]any) error {
	now := s.now()
	labels := make([]string, 0, len(byLabel))
	for label := range byLabel {
		labels = append(labels, label)
	}
	for begin := 0; begin < len(labels); begin += deliveryWritesAtOnce {
		part := labels[begin:min(begin+deliveryWritesAtOnce, len(labels))]
		err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
			for _, label := range part {
				doc := map[string]any{"days": byLabel[label], "asOf": now, "expireAt": now.Add(keepDeliveryData)}
				if err := tx.Set(s.deliveryDataDocument(labelPrefix+label), doc, firestore.MergeAll); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// saveDeliveryDays stores the counts of days in their statistics. A day without statistics
// was not counted, and gets none: RecordDayStats would take the day for counted.
func (s *Store) saveDeliveryDays(ctx context.Context, byDay map[string]push.DeliveryCounts) error {
	for day, c := range byDay {
		_, err := s.dayStatsDocument(day).Update(ctx, []firestore.Update{{Path: "fcm", Value: deliveryCountsDoc{c.Accepted, c.Delivered, c.Pending, c.Dropped}}})
		if err != nil && !isNotFound(err) {
			return err
		}
	}
	return nil
}

// ReadDeliveryReport returns what FCM reports of the messages with a label; nil: nothing yet.
// It costs a read.
func (s *Store) ReadDeliveryReport(ctx context.Context, label string) (*push.DeliveryReport, error) {
	snap, err := s.deliveryDataDocument(labelPrefix + label).Get(ctx)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, classifyError(err, "reading the delivery data of label %s", label)
	}

	var d labelDoc
	if err := snap.DataTo(&d); err != nil {
		logSkipped(ctx, snap, err)
		return nil, nil
	}
	report := &push.DeliveryReport{Label: label, AsOf: d.AsOf.UTC()}
	for _, apps := range d.Days {
		for _, counts := range apps {
			report.Add(counts.decodeCounts())
		}
	}
	return report, nil
}
