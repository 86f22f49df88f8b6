package main

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
)

// undecodableCustomers is how many customers' documents do not decode for a
// while.
const undecodableCustomers = 2

// undecodable makes documents that do not decode: a mailing, which stays so to
// the end, and customers, until the faults are over. Nobody else may notice.
func (c *chaos) undecodable(ctx context.Context) {
	if err := c.addUndecodableMailing(ctx); err != nil {
		c.weather.note("documents that could not be damaged: " + err.Error())
		return
	}
	c.weather.note("a mailing that does not decode")
	if !wait(ctx, c.weather.between(2*time.Second, 10*time.Second)) {
		return
	}
	for _, q := range c.people.all {
		if !q.damaged {
			continue
		}
		if err := c.damage(ctx, q); err != nil {
			c.weather.note("documents that could not be damaged: " + err.Error())
			continue
		}
		c.weather.note("customers that do not decode")
	}
}

// addUndecodableMailing stores a mailing that is being sent and whose draft is no
// JSON.
func (c *chaos) addUndecodableMailing(ctx context.Context) error {
	now := time.Now()
	_, err := c.archive.db.Doc("mailings/chaos-undecodable").Create(ctx, map[string]any{
		"message": "{this is no draft", "listed": 0, "digest": "", "state": "sending", "proven": true, "active": true,
		"createdAt": now, "startAt": now, "startedAt": now, "expiresAt": now.Add(time.Hour), "shards": 1, "dispatched": false,
	})
	return err
}

// damage replaces a customer's devices with what is none, and keeps them.
func (c *chaos) damage(ctx context.Context, q *person) error {
	doc, err := c.archive.customer(ctx, q.id)
	if err != nil {
		return err
	}
	q.saved = doc.Data()["devices"]
	_, err = doc.Ref.Update(ctx, []firestore.Update{{Path: "devices", Value: "these are no devices"}})
	return err
}

// repair gives the customers their devices back.
func (c *chaos) repair(ctx context.Context) error {
	for _, q := range c.people.all {
		if q.saved == nil {
			continue
		}
		doc, err := c.archive.customer(ctx, q.id)
		if err != nil {
			return err
		}
		if _, err := doc.Ref.Update(ctx, []firestore.Update{{Path: "devices", Value: q.saved}}); err != nil {
			return fmt.Errorf("giving customer %s their devices back: %w", q.id, err)
		}
		q.saved = nil
	}
	return nil
}

// customer finds a customer's document by the customer's id.
func (a archive) customer(ctx context.Context, id string) (*firestore.DocumentSnapshot, error) {
	snaps, err := a.db.Collection("customers").Where("id", "==", id).Limit(1).Documents(ctx).GetAll()
	if err != nil {
		return nil, fmt.Errorf("reading customer %s: %w", id, err)
	}
	if len(snaps) == 0 {
		return nil, fmt.Errorf("customer %s is not stored", id)
	}
	return snaps[0], nil
}
