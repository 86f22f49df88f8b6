package deliver

import (
	"context"
	"encoding/json"
	"errors"

	"carillon.example/shared/push"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

// messageStore reads, leases and saves messages to one customer.
type messageStore interface {
	ReadMessageToSend(ctx context.Context, ref push.MessageRef) (*push.Message, *push.Customer, error)
	ReadMessage(ctx context.Context, id string) (*push.Message, error)
	LeaseMessage(ctx context.Context, m *push.Message, l push.Lease) error
	SaveMessage(ctx context.Context, m *push.Message) error
	CloseUndecodableMessage(ctx context.Context, id, reason string) error
}

// decodeRef reads what a Pub/Sub message names: a batch, or a message to one customer.
func decodeRef(data []byte) (batch push.BatchRef, message push.MessageRef, ok bool) {
	if json.Unmarshal(data, &message) == nil && message.Message != "" {
		return batch, message, true
	}
	err := json.Unmarshal(data, &batch)
	return batch, push.MessageRef{}, err == nil && batch.Mailing != "" && batch.Batch != ""
}

// receiveSingleMessage answers Pub/Sub for a message to one customer.
func (d *deliverer) receiveSingleMessage(ctx context.Context, ref push.MessageRef, m queue.Message) queue.Reply {
	err := d.deliverSingleMessage(ctx, ref, m)
	reply := replyFor(m, err)
	if err != nil {
		d.Log.WarnContext(ctx, "message not delivered", "message_id", ref.Message, "delivery_attempt", m.Attempt, "redelivered", reply == queue.Redeliver, "error", err)
	}
	return reply
}

// deliverSingleMessage works on one message as far as possible. It is sent as a mailing of
// one batch, by the same code; singleStore stores the batch in the document of the
// message.
func (d *deliverer) deliverSingleMessage(ctx context.Context, ref push.MessageRef, from queue.Message) error {
	deadLetter := from.DeadLetterOf() != ""
	m, c, err := d.Store.ReadMessageToSend(ctx, ref)
	if errors.Is(err, store.ErrUndecodable) && deadLetter {
		d.Log.ErrorContext(ctx, "message given up", "message_id", ref.Message, "error", err)
		return d.Store.CloseUndecodableMessage(ctx, ref.Message, "given up: the stored message, or its customer, cannot be read")
	}
	if err != nil {
		return err
	}
	if m.Batch.Settled {
		return nil
	}

	x := d.newMessageDeliverer(m)
	mailing, b := m.AsMailing(), &m.Batch
	switch decideAdmission(mailing, b, d.Now(), deadLetter) {
	case admissionLeave:
		return nil
	case admissionPostpone:
		return x.postponeBatch(ctx, b, deadLetterWait)
	case admissionGiveUp:
		_, err := x.giveUpBatch(ctx, mailing, b)
		return err
	}

	if !m.Picked {
		if err := d.pickMessageTargets(ctx, m, c, mailing); err != nil {
			return err
		}
	}
	if m.Excluded != push.NotExcluded {
		return x.settleExcluded(ctx, m)
	}
	return x.leaseAndSendMessage(ctx, mailing, m, from.Attempt == 1 && !deadLetter)
}

// newMessageDeliverer returns a deliverer whose batches are the one of the message. It shares
// everything that the instance remembers.
func (d *deliverer) newMessageDeliverer(m *push.Message) *deliverer {
	x := *d
	x.Store = &singleStore{dataStore: d.Store, deliverer: d, message: m}
	x.states = newStateCache(x.Store, d.Now)
	return &x
}

// pickMessageTargets chooses the targets of the message.
func (d *deliverer) pickMessageTargets(ctx context.Context, m *push.Message, c *push.Customer, mailing *push.Mailing) error {
	var set push.Settings
	if m.NeedsSettings(c) {
		var err error
		if set, err = d.settings.getSettings(ctx); err != nil {
			return err
		}
	}

	var attributes []string
	if p, err := d.payloads.getPayloads(mailing); err == nil && p[0].isPersonal() { // prepareBatch reports a fault
		attributes = p[0].template.Names()
	}
	m.PickTargets(c, set, attributes, d.Now())
	return nil
}

// settleExcluded settles a message whose customer is left out.
func (d *deliverer) settleExcluded(ctx context.Context, m *push.Message) error {
	m.Batch.Settled = true
	if err := d.Store.SaveMessage(ctx, m); err != nil {
		return err
	}
	d.Log.InfoContext(ctx, "message call ended", "message_id", m.ID, "state", m.State, "excluded", m.Excluded, "settled", true)
	return nil
}

// leaseAndSendMessage sends the message. The first delivery of a message that no call has
// touched needs no stored lease, because Pub/Sub delivers one copy at a time: that
// saves a write. Every other delivery leases the message first, so that crashes are
// counted.
func (d *deliverer) leaseAndSendMessage(ctx context.Context, mailing *push.Mailing, m *push.Message, first bool) error {
	callEnds := d.Now().Add(d.CallTimeout)
	lease := push.Lease{Owner: newOwner(), Until: callEnds.Add(leaseMargin)}
	b := &m.Batch
	if first && !m.Touched {
		b.AcquireLease(lease) // in memory: SaveBatch stores it with the results
		return newDelivery(d, mailing, b, callEnds).runOrAbandon(ctx)
	}

	if b.Leases == 0 {
		b.Lease.Owner = unleased // the first delivery may have crashed while the message was under way
	}
	if isSuspect(b) {
		select {
		case d.quarantine <- struct{}{}:
			defer func() { <-d.quarantine }()
		default:
			return d.postponeBatch(ctx, b, suspectWait)
		}
	}
	if err := d.Store.LeaseMessage(ctx, m, lease); err != nil {
		return err
	}
	return newDelivery(d, mailing, b, callEnds).runOrAbandon(ctx)
}

// unleased is the owner of the lease of a first delivery, which stored none.
const unleased = "unleased"

// A singleStore stores the batch and the state of one message, instead of those of a
// mailing. Everything else is the store's.
type singleStore struct {
	dataStore
	deliverer *deliverer
	message   *push.Message
}

// SaveBatch stores the message with its batch. A message that waits for what would
// pause a mailing is tried again in each round of tick.
//
// A first delivery stores no lease before it sends, so tick can mark the message as
// published again and a dead letter can postpone it in the meantime. Neither stores a
// lease or a result. SaveBatch stores the results of this call over such a change;
// otherwise they would be lost, and the message would be sent again.
func (s *singleStore) SaveBatch(ctx context.Context, _ *push.Batch) error {
	const tries = 5
	for try := 1; ; try++ {
		err := s.dataStore.SaveMessage(ctx, s.message)
		if !store.IsRevisionConflict(err) || !s.message.Picked || try == tries {
			return err // a message without targets has no results to lose
		}

		stored, readErr := s.dataStore.ReadMessage(ctx, s.message.ID)
		if readErr != nil {
			return readErr // abandonBatch tries again
		}
		if stored.Picked || stored.Batch.Leases > 0 || stored.Batch.Settled {
			return err // another call is sending the message, or has sent it
		}
		// Only tick or a dead letter has written. The next try has the revision of that write as
		// its precondition, and overwrites it with the results.
		s.message.Batch.Revision, s.message.Touched = stored.Batch.Revision, true
	}
}

// ReadMailingHeader returns the message as a mailing. Its state does not change elsewhere.
func (s *singleStore) ReadMailingHeader(context.Context, string) (*push.Mailing, error) {
	return s.message.AsMailing(), nil
}

// EndMailing records that the payload is refused.
func (s *singleStore) EndMailing(_ context.Context, _ string, _ push.State, refusal string) (*push.Mailing, error) {
	s.message.Refusal = refusal
	return s.message.AsMailing(), nil
}

// PauseMailingForProject does not pause anything: the message waits and is tried again until
// its lifetime ends. The log line raises the alert of a paused mailing.
func (s *singleStore) PauseMailingForProject(ctx context.Context, id, _ string, reason push.PauseReason, detail string) (*push.Mailing, error) {
	s.deliverer.Log.ErrorContext(ctx, "message waits", "message_id", id, "reason", reason, "detail", detail)
	s.message.Batch.Reason = detail
	return nil, &push.Conflict{Why: "a message is not paused"}
}

// SetPlatformPaused has nothing to record: other messages find out themselves.
func (s *singleStore) SetPlatformPaused(context.Context, string, push.Platform, bool) error {
	return nil
}

// ResumeImplausibleMailing has nothing to resume.
func (s *singleStore) ResumeImplausibleMailing(context.Context, string) (*push.Mailing, error) {
	return s.message.AsMailing(), nil
}

// ReadTotals has no sums: a message is never paused because of them.
func (s *singleStore) ReadTotals(context.Context, *push.Mailing) (push.Totals, error) {
	return push.Totals{}, nil
}
