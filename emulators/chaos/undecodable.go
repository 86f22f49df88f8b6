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

// undecodableCustomers is the number of customers whose documents do not decode for a
// while.
const undecodableCustomers = 2

// damageDocuments makes documents that do not decode: a mailing, which stays so to
// the end, and customers, until the faults are over. No other document may be
// affected.
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

// damageUntilDone damages a document and retries until it succeeds, because Firestore
// has faults at the same time. A run in which it never succeeds proves nothing, so
// that is a finding.
func (c *chaosRun) damageUntilDone(ctx context.Context, what string, do func(context.Context) error) bool {
	for {
		err := do(ctx)
		// AlreadyExists: an earlier try stored the document, and its answer was lost.
		if err == nil || status.Code(err) == codes.AlreadyExists {
			c.injector.countFault(what)
			return true
		}
		if !sleep(ctx, time.Second) {
			c.checker.addFinding(brokenOther, "this fault could not be caused: %s: %v", what, err)
			return false
		}
	}
}

// addUndecodableMailing stores a mailing that is being sent and whose draft is not
// JSON.
func (c *chaosRun) addUndecodableMailing(ctx context.Context) error {
	now := time.Now()
	_, err := c.reader.db.Doc("mailings/chaos-undecodable").Create(ctx, map[string]any{
		"draft": "{this is no draft", "listed": 0, "digest": "", "state": "sending", "proven": true, "active": true,
		"createdAt": now, "startAt": now, "startedAt": now, "expiresAt": now.Add(time.Hour), "shards": 1, "dispatched": false,
	})
	return err
}

// damageCustomer replaces the tokens of a customer's document with a value of
// another type, and keeps them for repairCustomers.
func (c *chaosRun) damageCustomer(ctx context.Context, q *testCustomer) error {
	doc, err := c.reader.readCustomer(ctx, q.id)
	if err != nil {
		return err
	}
	if q.savedTokens == nil { // not nil: a try before this one may have damaged the document
		q.savedTokens = doc.Data()["tokens"]
	}
	_, err = doc.Ref.Update(ctx, []firestore.Update{{Path: "tokens", Value: "not a map of tokens"}})
	return err
}

// repairCustomers restores the tokens of the damaged customers.
func (c *chaosRun) repairCustomers(ctx context.Context) error {
	for _, q := range c.customers.all {
		if q.savedTokens == nil {
			continue
		}
		doc, err := c.reader.readCustomer(ctx, q.id)
		if err != nil {
			return err
		}
		if _, err := doc.Ref.Update(ctx, []firestore.Update{{Path: "tokens", Value: q.savedTokens}}); err != nil {
			return fmt.Errorf("restoring the tokens of customer %s: %w", q.id, err)
		}
		q.savedTokens = nil
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
