package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// keepEvents is how long an event stays in the outbox at most.
const keepEvents = 7 * 24 * time.Hour

// outboxDoc is outbox/{event id}: an event that is stored in the transaction that
// stores its fact. The writer publishes it after the commit and deletes it. If the
// writer cannot, tick does.
type outboxDoc struct {
	Event    eventDoc  `firestore:"event"` // a map, so that one exemption covers every field of it
	ExpireAt time.Time `firestore:"expireAt"`
}

// eventDoc is an event in the outbox.
type eventDoc struct {
	Type    string    `firestore:"type"`
	Subject string    `firestore:"subject"`
	Time    time.Time `firestore:"time"`
	Data    string    `firestore:"data"` // JSON, as it is published
}

func (s *Store) outboxCollection() *firestore.CollectionRef { return s.db.Collection("outbox") }

// storeEvents stores events in the outbox, in the transaction of the change that they report.
func (s *Store) storeEvents(tx *firestore.Transaction, events []push.Event) error {
	for _, e := range events {
		data, err := json.Marshal(e.Data)
		if err != nil {
			return fmt.Errorf("encoding event %s: %w", e.ID, err)
		}
		d := outboxDoc{eventDoc{e.Type, e.Subject, e.Time, string(data)}, s.now().Add(keepEvents)}
		if err := tx.Set(s.outboxCollection().Doc(e.ID), d); err != nil {
			return err
		}
	}
	return nil
}

const (
	// eventsDeletedAtOnce is how many events one commit deletes.
	eventsDeletedAtOnce = 400
	// unpublishedAfter is how long the writer of an event has time to publish it. Then tick
	// does.
	unpublishedAfter = 30 * time.Second
	// outboxPage is how many events one query reads, and outboxRead how many one call
	// reads at most.
	outboxPage = 300
	outboxRead = 20_000
)

// MarkEventsPublished deletes published events from the outbox. If that fails, tick
// publishes them again, with the same ids.
func (s *Store) MarkEventsPublished(ctx context.Context, events ...push.Event) error {
	for len(events) > 0 {
		n := min(len(events), eventsDeletedAtOnce)
		err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
			for _, e := range events[:n] {
				if err := tx.Delete(s.outboxCollection().Doc(e.ID)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return classifyError(err, "deleting %d published events", n)
		}
		events = events[n:]
	}

	return nil
}

// ListUnpublishedEvents returns up to limit events that their writers have not published
// in time. Publish them, then call MarkEventsPublished. The outbox is read in the
// order of the events' ids, which are hashes: an index on their times would be
// written at one end and slow every registration down.
func (s *Store) ListUnpublishedEvents(ctx context.Context, limit int) ([]push.Event, error) {
	var out []push.Event
	q := s.outboxCollection().OrderBy(firestore.DocumentID, firestore.Asc).Limit(outboxPage)
	for after, read := "", 0; read < outboxRead; read += outboxPage {
		page := q
		if after != "" {
			page = q.StartAfter(after)
		}
		snaps, err := page.Documents(ctx).GetAll()
		if err != nil {
			return out, classifyError(err, "reading the outbox after %q", after)
		}
		for _, snap := range snaps {
			var d outboxDoc
			if err := snap.DataTo(&d); err != nil {
				logSkipped(ctx, snap, err)
				continue
			}
			if s.now().Sub(d.Event.Time) < unpublishedAfter {
				continue
			}
			out = append(out, push.Event{ID: snap.Ref.ID, Type: d.Event.Type, Subject: d.Event.Subject,
				Time: d.Event.Time, Data: json.RawMessage(d.Event.Data)})
			if len(out) == limit {
				return out, nil
			}
		}
		if len(snaps) < outboxPage {
			return out, nil
		}
		after = snaps[len(snaps)-1].Ref.ID
	}

	return out, nil
}
