package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// keepEvents is how long an event waits in the outbox to be told at most.
const keepEvents = 7 * 24 * time.Hour

// outboxDoc is outbox/{event id}: an event written in the same transaction as
// the fact it tells. It is published after the commit and then deleted, by
// whoever wrote it, or by tick when that one could not.
type outboxDoc struct {
	Event    eventDoc  `firestore:"event"` // a map, so that one exemption covers every field of it
	ExpireAt time.Time `firestore:"expireAt"`
}

type eventDoc struct {
	Type    string    `firestore:"type"`
	Subject string    `firestore:"subject"`
	Time    time.Time `firestore:"time"`
	Data    string    `firestore:"data"` // JSON, as it is published
}

func (s *Store) outbox() *firestore.CollectionRef { return s.db.Collection("outbox") }

// log writes events to the outbox.
func (s *Store) log(tx *firestore.Transaction, events []push.Event) error {
	for _, e := range events {
		data, err := json.Marshal(e.Data)
		if err != nil {
			return fmt.Errorf("encoding event %s: %w", e.ID, err)
		}
		d := outboxDoc{eventDoc{e.Type, e.Subject, e.Time, string(data)}, s.now().Add(keepEvents)}
		if err := tx.Set(s.outbox().Doc(e.ID), d); err != nil {
			return err
		}
	}
	return nil
}

const (
	// toldAtOnce is how many events are forgotten in one commit.
	toldAtOnce = 400
	// owedAfter is how long whoever wrote an event has to publish it.
	owedAfter = 30 * time.Second
	// outboxPage is how many events are read at once, and outboxRead how many
	// one look at the outbox reads at most.
	outboxPage = 300
	outboxRead = 20_000
)

// Told forgets events that were published. What it cannot forget tick publishes
// again, with the same id.
func (s *Store) MarkEventsPublished(ctx context.Context, events ...push.Event) error {
	for len(events) > 0 {
		n := min(len(events), toldAtOnce)
		err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
			for _, e := range events[:n] {
				if err := tx.Delete(s.outbox().Doc(e.ID)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return classify(err, "forgetting %d events that were told", n)
		}
		events = events[n:]
	}
	return nil
}

// UnpublishedEvents lists events that whoever wrote them had the time to publish and
// did not, limit at most: publish them, then call Told. The outbox is read in
// the order of the events' names, which are hashes: an index on their times
// would grow at one end and slow down every registration.
func (s *Store) UnpublishedEvents(ctx context.Context, limit int) ([]push.Event, error) {
	var out []push.Event
	q := s.outbox().OrderBy(firestore.DocumentID, firestore.Asc).Limit(outboxPage)
	for after, read := "", 0; read < outboxRead; read += outboxPage {
		page := q
		if after != "" {
			page = q.StartAfter(after)
		}
		snaps, err := page.Documents(ctx).GetAll()
		if err != nil {
			return out, classify(err, "reading the outbox after %q", after)
		}
		for _, snap := range snaps {
			var d outboxDoc
			if err := snap.DataTo(&d); err != nil {
				skipped(ctx, snap, err)
				continue
			}
			if s.now().Sub(d.Event.Time) < owedAfter {
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
