package store

import (
	"context"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// dueLimit is how many mailings of one kind ListDueMailings lists at most: it bounds the
// cost of a round of tick. A later round lists the others.
const dueLimit = 500

// dueFields are the fields of a mailing that ListDueMailings reads. They exclude the draft,
// which may be long.
var dueFields = []string{"state", "pausedReason", "pausedFrom", "startAt", "startedAt", "expiresAt", "shards", "dispatched", "active", "totals", "publishedAt", "resumedAt", "hours", "rate", "nextSlot"}

// finalStates are the states that no other state can follow.
var finalStates = []string{string(push.Completed), string(push.Cancelled), string(push.Expired), string(push.Refused)}

// implausibleReasons are the reasons of pauses that Carillon may end by itself.
var implausibleReasons = []string{string(push.PausedImplausible), string(push.PausedWrongSender)}

// ListDueMailings lists the mailings that tick has to look at before a time: those that are
// sending or about to start, scheduled ones that start by then, paused ones whose
// lifetime has ended or whose held flags wait for evidence, and ended ones whose end
// is not completely stored and published. They have no draft and no audience. A
// document that cannot be decoded is logged and left out.
func (s *Store) ListDueMailings(ctx context.Context, until time.Time) ([]*push.Mailing, error) {
	all := s.db.Collection("mailings").Query
	queries := []firestore.Query{
		all.Where("state", "==", string(push.Sending)),
		all.Where("state", "==", string(push.Accepted)).OrderBy("startAt", firestore.Asc).Limit(dueLimit),
		all.Where("state", "==", string(push.Scheduled)).Where("startAt", "<=", until).OrderBy("startAt", firestore.Asc).Limit(dueLimit),
		all.Where("state", "==", string(push.Paused)).Where("expiresAt", "<=", s.now()).OrderBy("expiresAt", firestore.Asc).Limit(dueLimit),
		all.Where("state", "==", string(push.Paused)).Where("pausedReason", "in", implausibleReasons).Limit(dueLimit),
		all.Where("active", "==", true).Where("state", "in", finalStates),
	}

	lists := make([][]*push.Mailing, len(queries))
	g, ctx := errgroup.WithContext(ctx)
	for i, q := range queries {
		g.Go(func() (err error) {
			lists[i], err = s.listDue(ctx, q)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, classifyError(err, "listing due mailings")
	}

	var out []*push.Mailing
	listed := map[string]bool{} // two queries may find the same paused mailing
	for _, m := range slices.Concat(lists...) {
		if !listed[m.ID] {
			listed[m.ID] = true
			out = append(out, m)
		}
	}

	return out, nil
}

// listDue lists the mailings of a query. It reads only dueFields.
func (s *Store) listDue(ctx context.Context, q firestore.Query) ([]*push.Mailing, error) {
	snaps, err := q.Select(dueFields...).Documents(ctx).GetAll()
	if err != nil {
		return nil, err
	}

	out := make([]*push.Mailing, 0, len(snaps))
	for _, snap := range snaps {
		m, err := decodeDueMailing(snap)
		if err != nil {
			logSkipped(ctx, snap, err)
			continue
		}
		out = append(out, m)
	}

	return out, nil
}

// decodeDueMailing returns a mailing that has only dueFields.
func decodeDueMailing(snap *firestore.DocumentSnapshot) (*push.Mailing, error) {
	var d mailingDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, err
	}

	m := &push.Mailing{
		ID: snap.Ref.ID, State: push.State(d.State), PausedReason: push.PauseReason(d.PausedReason), PausedFrom: push.State(d.PausedFrom),
		StartAt: d.StartAt, StartedAt: timeOrZero(d.StartedAt), ExpiresAt: d.ExpiresAt,
		Shards: d.Shards, Dispatched: d.Dispatched, Active: d.Active, NextSlot: timeOrZero(d.NextSlot),
		PublishedAt: timeOrZero(d.PublishedAt), ResumedAt: timeOrZero(d.ResumedAt), Revision: snap.UpdateTime,
	}
	var err error
	if m.Hours, err = decodeWindow(d.Hours); err != nil {
		return nil, err
	}
	if d.Rate > 0 {
		m.RatePerMinute = &d.Rate
	}
	if d.Totals != "" {
		m.Totals = &push.Totals{} // the caller needs to know only that there are some
	}

	return m, nil
}

// MarkStartPublished records that the caller is about to publish the message that
// starts a mailing. The write has the revision that was read as its precondition: it reports
// false, and stores nothing, if the mailing has changed since, so that two rounds of tick
// publish one message. Every change of the mailing's state deletes the record.
func (s *Store) MarkStartPublished(ctx context.Context, m *push.Mailing, at time.Time) (bool, error) {
	up := []firestore.Update{{Path: "publishedAt", Value: at}}
	_, err := s.mailingDocument(m.ID).Update(ctx, up, firestore.LastUpdateTime(m.Revision))
	if isPreconditionFailed(err) || isNotFound(err) {
		return false, nil
	}
	return err == nil, classifyError(err, "marking the start of mailing %s as published", m.ID)
}

// Ahead is how much of all mailings together waits to be sent.
type Ahead struct {
	Tokens   int // targets of open batches of the large lane, of mailings that are sending
	Mailings int // mailings of that lane whose batches are being created
}

// pausedLimit is how many paused mailings CountAhead looks at. Batches of more paused
// mailings count as if they were being sent, which only makes dispatch work in smaller
// steps.
const pausedLimit = 100

// CountAhead counts the targets that are in batches and not sent yet. Batches of paused
// mailings do not count, because all other mailings would wait for them.
func (s *Store) CountAhead(ctx context.Context) (Ahead, error) {
	var a Ahead
	var paused []int
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		open := s.db.CollectionGroup("batches").Where("lane", "==", string(push.LaneLarge)).Where("open", "==", true)
		a.Tokens, err = s.sumSizes(ctx, open)
		return err
	})
	g.Go(func() (err error) {
		a.Mailings, err = s.countDocuments(ctx, s.db.Collection("mailings").Where("creating", "==", creatingNow))
		return err
	})
	g.Go(func() (err error) {
		paused, err = s.listPausedCounts(ctx)
		return err
	})
	if err := g.Wait(); err != nil {
		return Ahead{}, classifyError(err, "counting the targets that are not sent yet")
	}

	for _, n := range paused {
		a.Tokens -= n
	}

	a.Tokens = max(0, a.Tokens)
	return a, nil
}

// listPausedCounts returns the number of targets in open batches of each paused mailing.
func (s *Store) listPausedCounts(ctx context.Context) ([]int, error) {
	q := s.db.Collection("mailings").Where("creating", "==", creatingPaused).Limit(pausedLimit).Select()
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, err
	}

	out := make([]int, len(snaps))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, snap := range snaps {
		g.Go(func() (err error) {
			open := snap.Ref.Collection("batches").Where("lane", "==", string(push.LaneLarge)).Where("open", "==", true)
			out[i], err = s.sumSizes(ctx, open)
			return err
		})
	}

	return out, g.Wait()
}

// Values of a mailing's field "creating", for mailings in the large lane.
const (
	creatingNow    = "now"    // its batches are being created
	creatingPaused = "paused" // it is paused, and batches of it may be open
)

// creatingValue returns the field "creating" of a mailing: empty unless its batches are being
// created, or it is paused.
func creatingValue(m *push.Mailing) string {
	switch {
	case m.Shards < 2:
		return ""
	case m.State == push.Paused:
		return creatingPaused
	case m.State == push.Sending && !m.Dispatched && m.RateLimit() == 0:
		return creatingNow
	}
	return ""
}
