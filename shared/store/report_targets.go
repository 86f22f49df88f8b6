package store

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// A reportSubject is a mailing, or a message to one customer, as far as reports about it
// need it. That of a mailing that has started does not change.
type reportSubject struct {
	id       string
	name     string
	tags     []string
	variants []string  // their names
	until    time.Time // reports are counted until then
	expireAt time.Time // of the documents of its reports
	byZone   bool      // its batches are by time zone: see readBatchesOfCustomer

	message *messageDoc // nil for a mailing
}

// A targetReport is a report about a target.
type targetReport struct {
	push.Report
	subject  *reportSubject
	variant  int
	platform push.Platform
	app      string
	chosenAt time.Time // when the target was chosen; zero: not yet, see findInMessage
}

// sentTo reports whether the target belongs to this customer, and not to an erased customer
// with the same id.
func (r *targetReport) sentTo(e *loadedCustomer) bool {
	if !e.stored {
		return false
	}
	if !r.chosenAt.IsZero() {
		return !r.chosenAt.Before(e.CreatedAt)
	}
	t, ok := e.FindToken(r.TokenID)
	if ok {
		r.platform, r.app = t.Platform, t.App
	}
	return ok
}

// openedEvent makes the event of an opening.
func (r *targetReport) openedEvent(e *loadedCustomer) push.Event {
	d := push.OpenedData{Mailing: r.Of, Customer: e.ID, TokenID: r.TokenID, Platform: r.platform, App: r.app, At: r.At,
		Name: r.subject.name, Tags: r.subject.tags}
	if r.subject.message != nil {
		d.Mailing, d.Message = "", r.Of
	}
	if r.variant < len(r.subject.variants) {
		d.Variant = r.subject.variants[r.variant]
	}
	return push.OpenedEvent(r.Of, d)
}

// subjectCache has the subjects of mailings that an instance has read. It is safe for
// concurrent use.
type subjectCache struct {
	mu sync.Mutex // guards of; calls of one instance share the cache
	of map[string]*reportSubject
}

// maxSubjects is how many mailings a subjectCache has at most.
const maxSubjects = 1000

// findSubject returns a cached subject, or nil.
func (c *subjectCache) findSubject(id string) *reportSubject {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.of[id]
}

// addSubject caches a subject. A full cache is cleared first.
func (c *subjectCache) addSubject(x *reportSubject) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil || len(c.of) >= maxSubjects {
		c.of = map[string]*reportSubject{}
	}
	c.of[x.id] = x
}

// findReported returns those of the reports that are about targets, in any order.
func (s *Store) findReported(ctx context.Context, list []push.Report) ([]targetReport, error) {
	bySubject := map[string][]push.Report{}
	for _, r := range list {
		if r.Customer != "" && validID(r.Of) {
			bySubject[r.Of] = append(bySubject[r.Of], r)
		}
	}

	var mu sync.Mutex // guards out
	var out []targetReport
	g, searching := errgroup.WithContext(ctx)
	g.SetLimit(searchesAtOnce)
	for of, reports := range bySubject {
		g.Go(func() error {
			found, err := s.findReportedOf(searching, of, reports)
			mu.Lock()
			defer mu.Unlock()
			out = append(out, found...)
			return err
		})
	}

	return out, g.Wait()
}

// findReportedOf returns those of the reports about one mailing or message that are about
// its targets.
func (s *Store) findReportedOf(ctx context.Context, of string, list []push.Report) ([]targetReport, error) {
	sub, err := s.reportSubject(ctx, of)
	if err != nil || sub == nil || !s.now().Before(sub.until) {
		return nil, err
	}
	if sub.message != nil {
		return s.findInMessage(ctx, sub, list), nil
	}
	found, err := s.findInBatches(ctx, sub, list)
	return found, classifyError(err, "searching mailing %s for targets", of)
}

// reportSubject reads a mailing or a message, nil if there is none. Ids of messages
// begin with s.
func (s *Store) reportSubject(ctx context.Context, id string) (*reportSubject, error) {
	if x := s.subjects.findSubject(id); x != nil {
		return x, nil
	}
	if strings.HasPrefix(id, "s") {
		if x, err := s.messageSubject(ctx, id); err != nil || x != nil {
			return x, err
		}
	}

	m, err := s.ReadMailingHeader(ctx, id)
	if push.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	x := &reportSubject{id: id, name: m.Name, tags: m.Tags, until: m.ReportsUntil(), expireAt: m.ExpiresAt.Add(KeepBatches), byZone: m.Hours != nil}
	for _, v := range m.Variants {
		x.variants = append(x.variants, v.Name)
	}

	if !m.StartedAt.IsZero() {
		s.subjects.addSubject(x)
	}
	return x, nil
}

// messageSubject reads a message as the subject of reports, nil if there is none. It is
// not cached, because its targets may still be chosen.
func (s *Store) messageSubject(ctx context.Context, id string) (*reportSubject, error) {
	snap, err := s.messageDocument(id).Get(ctx)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, classifyError(err, "reading message %s", id)
	}
	x := &reportSubject{id: id, message: &messageDoc{}}
	if err := snap.DataTo(x.message); err != nil {
		logSkipped(ctx, snap, err)
		return nil, nil
	}
	x.until, x.expireAt = x.message.ExpiresAt.Add(push.ReportsFor), x.message.ExpiresAt.Add(keepTexts)
	return x, nil
}

// findInMessage finds the targets of a message to one customer. Its targets are stored
// with their results, and a phone may report before: then each token of its customer
// may be one.
func (s *Store) findInMessage(ctx context.Context, sub *reportSubject, list []push.Report) (out []targetReport) {
	d := sub.message
	var targets []push.Recipient
	if d.PickedAt != nil {
		recipients, err := storedRecipients(d.Targets, d.Recipients)
		if err == nil {
			targets, err = push.FindRecipients(recipients, decodeResults(d.Results), d.Customer)
		}
		if err != nil {
			slog.ErrorContext(ctx, "reports about a message are not counted: it cannot be decoded", "message_id", sub.id, "error", err)
			return nil
		}
	}

	for _, r := range list {
		x := targetReport{Report: r, subject: sub}
		mine := d.Customer == push.CustomerKey(r.Customer)
		switch {
		case d.PickedAt == nil && (mine && d.TokenID == "" || d.TokenID == r.TokenID):
		case mine:
			i := slices.IndexFunc(targets, func(t push.Recipient) bool { return t.TokenID == r.TokenID })
			if i < 0 {
				continue
			}
			x.platform, x.app, x.chosenAt = targets[i].Platform, targets[i].App, *d.PickedAt
		default:
			continue
		}
		out = append(out, x.withPlausibleTime(d.CreatedAt))
	}

	return out
}

// withPlausibleTime gives the report a time that is not before the sending, because the clocks
// of phones may be wrong.
func (r targetReport) withPlausibleTime(sent time.Time) targetReport {
	if r.At.Before(sent) {
		r.At = sent
	}
	r.At = r.At.UTC().Truncate(time.Microsecond)
	return r
}

// findInBatches finds the targets of a mailing. Each query reads the batch of the first
// customer, in the order of their keys, that was not searched yet, and all customers
// before its end are searched in it.
func (s *Store) findInBatches(ctx context.Context, sub *reportSubject, list []push.Report) (out []targetReport, err error) {
	byKey := map[string][]push.Report{}
	for _, r := range list {
		key := push.CustomerKey(r.Customer)
		byKey[key] = append(byKey[key], r)
	}

	for keys := slices.Sorted(maps.Keys(byKey)); len(keys) > 0; {
		snaps, err := s.readBatchesOfCustomer(ctx, sub.id, keys[0], sub.byZone, "first", "last", "open", "createdAt", "targets", "recipients", "results", "variantOf")
		if err != nil || len(snaps) == 0 {
			return out, err
		}
		last, _ := snaps[0].Data()["last"].(string)
		searched := 1
		for searched < len(keys) && keys[searched] < last {
			searched++
		}
		for _, snap := range snaps {
			out = append(out, findInBatch(ctx, snap, sub, keys[:searched], byKey)...)
		}
		keys = keys[searched:]
	}

	return out, nil
}

// findInBatch finds the targets of customers in one batch. A batch that cannot
// be decoded is logged and has none.
func findInBatch(ctx context.Context, snap *firestore.DocumentSnapshot, sub *reportSubject, keys []string, byKey map[string][]push.Report) (out []targetReport) {
	d, targets, err := decodeTargetsOf(snap)
	if err != nil {
		logSkipped(ctx, snap, err)
		return nil
	}
	at := map[string][]int{}
	for i, t := range targets {
		if t.TokenID != "" {
			at[t.TokenID] = append(at[t.TokenID], i)
		}
	}

	for _, key := range keys {
		for _, r := range byKey[key] {
			for _, i := range at[r.TokenID] {
				t := targets[i]
				if !t.BelongsTo(key) {
					continue
				}
				x := targetReport{Report: r, subject: sub, platform: t.Platform, app: t.App, chosenAt: d.CreatedAt}
				if i < len(d.VariantOf) {
					x.variant = int(d.VariantOf[i])
				}
				out = append(out, x.withPlausibleTime(d.CreatedAt))
				break
			}
		}
	}

	return out
}

// decodeTargetsOf returns a stored batch and its targets, settled or not. One that was
// closed without being decoded has none.
func decodeTargetsOf(snap *firestore.DocumentSnapshot) (*batchDoc, []push.KeyedRecipient, error) {
	d := &batchDoc{}
	if err := snap.DataTo(d); err != nil {
		return nil, nil, err
	}
	recipients, err := storedRecipients(d.Targets, d.Recipients)
	if err != nil || len(recipients) == 0 {
		return d, nil, err
	}
	targets, err := push.DecodeRecipients(recipients, decodeResults(d.Results))
	return d, targets, err
}

// storedRecipients returns recipients as they are stored once they are settled, and
// makes them of targets that are not.
func storedRecipients(targets, recipients []byte) ([]byte, error) {
	if len(recipients) > 0 || len(targets) == 0 {
		return recipients, nil
	}
	list, err := push.DecodeTargets(targets)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return push.EncodeRecipients(list), nil
}
