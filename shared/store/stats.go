package store

import (
	"context"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/shared/push"
)

// statsDoc is stats/{day}: how many customers push could reach on that day.
type statsDoc struct {
	CountedAt time.Time        `firestore:"countedAt"`
	Customers int64            `firestore:"customers"`
	Reachable int64            `firestore:"reachable"`
	OptedOut  int64            `firestore:"optedOut"`
	Platforms map[string]int64 `firestore:"platforms"`

	FCM *deliveryCountsDoc `firestore:"fcm,omitempty"` // what FCM's Data API reports of the day; see SaveDeliveryData
}

func (s *Store) dayStatsDocument(day string) *firestore.DocumentRef { return s.db.Doc("stats/" + day) }

// HasDayStats reports whether a day is counted.
func (s *Store) HasDayStats(ctx context.Context, day string) (bool, error) {
	_, err := s.dayStatsDocument(day).Get(ctx)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, classifyError(err, "reading the statistics of %s", day)
}

// RecordDayStats counts the customers whom push can reach now, and stores the numbers as those
// of a day. Of two calls for one day the first counts: Create fails for the other, and the
// stored day stays. It costs up to six reads for each 1,000 customers.
func (s *Store) RecordDayStats(ctx context.Context, day string) error {
	d := statsDoc{CountedAt: s.now(), Platforms: map[string]int64{}}
	all := s.customerCollection().Query
	counts := []struct {
		to    *int64
		query firestore.Query
	}{
		{&d.Customers, all},
		{&d.Reachable, all.Where("reachable", "==", true)},
		{&d.OptedOut, all.Where("optedOut", "==", true)},
	}
	platforms := []push.Platform{push.Android, push.IOS, push.Web}
	byPlatform := make([]int64, len(platforms))
	for i, p := range platforms {
		counts = append(counts, struct {
			to    *int64
			query firestore.Query
		}{&byPlatform[i], all.Where("platforms", "array-contains", string(p))})
	}

	g, counting := errgroup.WithContext(ctx)
	for _, c := range counts {
		g.Go(func() error {
			n, err := s.countRange(counting, c.query, "", "")
			*c.to = int64(n)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return classifyError(err, "counting the customers of %s", day)
	}

	for i, p := range platforms {
		d.Platforms[string(p)] = byPlatform[i]
	}

	_, err := s.dayStatsDocument(day).Create(ctx, d)
	if status.Code(err) == codes.AlreadyExists {
		return nil
	}
	return classifyError(err, "storing the statistics of %s", day)
}

// ListDayStats returns the days that are counted, from the first to the last, both included.
// It costs a read a day.
func (s *Store) ListDayStats(ctx context.Context, first, last string) ([]push.DayStats, error) {
	q := s.db.Collection("stats").OrderBy(firestore.DocumentID, firestore.Asc).StartAt(first).EndAt(last)
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "reading statistics")
	}

	out := []push.DayStats{}
	for _, snap := range snaps {
		var d statsDoc
		if err := snap.DataTo(&d); err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		day := push.DayStats{Day: snap.Ref.ID, CountedAt: d.CountedAt.UTC(), Customers: d.Customers, Reachable: d.Reachable, OptedOut: d.OptedOut,
			Platforms: map[push.Platform]int64{}}
		for p, n := range d.Platforms {
			day.Platforms[push.Platform(p)] = n
		}
		if d.FCM != nil {
			counts := d.FCM.decodeCounts()
			day.FCM = &counts
		}
		out = append(out, day)
	}

	return out, nil
}
