package chaos

import (
	"context"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/shared/push"
)

// undecodableCustomers is how many customers' documents do not decode for a
// while.
const undecodableCustomers = 2

// undecodable makes documents that do not decode: a mailing, which stays so to
// the end, and customers, until the faults are over. Nobody else may notice.
func (c *chaosRun) damageDocuments(ctx context.Context) {
	if !c.damageUntilDone(ctx, "a mailing that does not decode", c.addUndecodableMailing) {
		return
	}
	if !sleep(ctx, c.injector.randomDuration(2*time.Second, 10*time.Second)) {
		return
	}
	for _, q := range c.customers.all {
		if q.damaged {
			c.damageUntilDone(ctx, "customers that do not decode", func(ctx context.Context) error { return c.damageCustomer(ctx, q) })
		}
	}
}

// damaged damages a document until it succeeds: Firestore has faults of its own
// meanwhile. A run in which it never does has not shown what it is for.
func (c *chaosRun) damageUntilDone(ctx context.Context, what string, do func(context.Context) error) bool {
	for {
		err := do(ctx)
		if err == nil || status.Code(err) == codes.AlreadyExists {
			c.injector.countFault(what)
			return true
		}
		if !sleep(ctx, time.Second) {
			c.checker.addFinding(brokenOther, "not damaged: %s: %v", what, err)
			return false
		}
	}
}

// addUndecodableMailing stores a mailing that is being sent and whose draft is no
// JSON.
func (c *chaosRun) addUndecodableMailing(ctx context.Context) error {
	now := time.Now()
	_, err := c.reader.db.Doc("mailings/chaos-undecodable").Create(ctx, map[string]any{
		"draft": "{this is no draft", "listed": 0, "digest": "", "state": "sending", "proven": true, "active": true,
		"createdAt": now, "startAt": now, "startedAt": now, "expiresAt": now.Add(time.Hour), "shards": 1, "dispatched": false,
	})
	return err
}

// damage replaces a customer's devices with what is none, and keeps them.
func (c *chaosRun) damageCustomer(ctx context.Context, q *testCustomer) error {
	doc, err := c.reader.readCustomer(ctx, q.id)
	if err != nil {
		return err
	}
	if q.savedDevices == nil {
		q.savedDevices = doc.Data()["devices"]
	}
	_, err = doc.Ref.Update(ctx, []firestore.Update{{Path: "devices", Value: "these are no devices"}})
	return err
}

// repair gives the customers their devices back.
func (c *chaosRun) repairCustomers(ctx context.Context) error {
	for _, q := range c.customers.all {
		if q.savedDevices == nil {
			continue
		}
		doc, err := c.reader.readCustomer(ctx, q.id)
		if err != nil {
			return err
		}
		if _, err := doc.Ref.Update(ctx, []firestore.Update{{Path: "devices", Value: q.savedDevices}}); err != nil {
			return fmt.Errorf("giving customer %s their devices back: %w", q.id, err)
		}
		q.savedDevices = nil
	}

	return nil
}

// readCustomer reads the document of a customer.
func (a storeReader) readCustomer(ctx context.Context, id string) (*firestore.DocumentSnapshot, error) {
	snap, err := a.db.Collection("customers").Doc(push.CustomerKey(id)).Get(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading customer %s: %w", id, err)
	}
	return snap, nil
}
