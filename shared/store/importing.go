package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"carillon.example/shared/push"
)

// An ImportLine is a customer of an import.
type ImportLine struct {
	Customer string
	Tokens   []push.Registration
	Patch    push.CustomerPatch
}

// How much of an import is stored at once.
const (
	importWrites  = 200 // documents of one transaction; a commit takes 10 MiB
	importsAtOnce = 4   // transactions side by side
)

// Import stores customers as if the lines came one after the other. The errors
// of lines that are refused stand at their places; the last error is one of the
// store, after which any of the lines may be stored or not: importing again
// changes nothing where it was.
//
// A file is not a device. Tokens the customer already has stay as they are,
// dead ones, too, a token pushes out no valid one, and it is taken from another
// customer only if the line says a time at which it was added or seen that is
// later than the last sign of it there; so an old file never gives a phone back
// to whoever had it before.
//
// Customers that an import creates are not told of one by one: a first import
// would flood every listener. Of those known before, changes are.
func (s *Store) Import(ctx context.Context, lines []ImportLine) (refused []error, events []push.Event, err error) {
	refused = make([]error, len(lines))
	groups, late := parts(lines)
	told := make([][]push.Event, len(groups))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(importsAtOnce)
	for i, group := range groups {
		g.Go(func() (err error) {
			told[i], err = s.importAll(gctx, lines, group, refused)
			return err
		})
	}
	err = g.Wait()
	for _, part := range told {
		events = append(events, part...)
	}
	for _, i := range late {
		if err != nil {
			break
		}
		var part []push.Event
		part, err = s.importAll(ctx, lines, []int{i}, refused)
		events = append(events, part...)
	}
	return refused, events, classify(err, "importing %d customers", len(lines))
}

// parts groups lines that have nothing to do with each other, to be stored side
// by side; late are those that name a customer or token of an earlier line.
func parts(lines []ImportLine) (groups [][]int, late []int) {
	seen := map[string]bool{}
	var group []int
	writes := 0
	for i, l := range lines {
		names := []string{"c" + l.Customer}
		for _, r := range l.Tokens {
			names = append(names, "t"+r.Value)
		}
		again := false
		for _, n := range names {
			again = again || seen[n]
			seen[n] = true
		}
		if again {
			late = append(late, i)
			continue
		}
		if writes += len(names); writes > importWrites && len(group) > 0 {
			groups = append(groups, group)
			group, writes = nil, len(names)
		}
		group = append(group, i)
	}
	if len(group) > 0 {
		groups = append(groups, group)
	}
	return groups, late
}

// importAll stores lines in one transaction, in halves if that is too much or
// others stand in the way.
func (s *Store) importAll(ctx context.Context, lines []ImportLine, group []int, refused []error) ([]push.Event, error) {
	var events []push.Event
	w := newWriteID()
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		b, err := s.openLines(tx, w, lines, group)
		if err != nil {
			return err
		}
		events = nil
		b.logged = true
		for _, i := range group {
			refused[i] = b.line(lines[i])
		}
		err = b.close()
		events = b.events
		return err
	})
	if code := status.Code(err); len(group) == 1 || code != codes.Aborted && code != codes.InvalidArgument {
		return events, err
	}
	half := len(group) / 2
	first, err1 := s.importAll(ctx, lines, group[:half], refused)
	second, err2 := s.importAll(ctx, lines, group[half:], refused)
	return append(first, second...), errors.Join(err1, err2)
}

func (s *Store) openLines(tx *firestore.Transaction, w writeID, lines []ImportLine, group []int) (*book, error) {
	var customers, tokens []string
	for _, i := range group {
		customers = append(customers, lines[i].Customer)
		for _, r := range lines[i].Tokens {
			tokens = append(tokens, push.TokenID(r.Value))
		}
	}
	return s.open(tx, w, customers, tokens)
}

// line imports one customer, or nothing of it.
func (b *book) line(l ImportLine) error {
	e := b.byID[l.Customer]
	var named []string            // ids of the line's tokens
	var fresh []push.Registration // those that the customer does not have
	for i, r := range l.Tokens {
		if b.othersToken(e, r) {
			return fmt.Errorf("tokens[%d] belongs to another customer, who has shown it later", i)
		}
		id := push.TokenID(r.Value)
		if slices.Contains(named, id) {
			continue
		}
		named = append(named, id)
		if _, known := e.Token(id); !known {
			fresh = append(fresh, r)
		}
	}
	if n := b.excess(e, named); n > 0 && len(fresh) > 0 {
		return fmt.Errorf("tokens has %d too many: a customer has at most %d, and valid ones are not pushed out", n, b.s.maxTokens)
	}
	kept := *e.Customer
	changed, err := l.Patch.Apply(e.Customer)
	if err != nil {
		*e.Customer = kept
		return err
	}
	e.changed = e.changed || changed || !e.stored
	for _, r := range fresh {
		b.give(e, r)
		t, _ := e.Token(push.TokenID(r.Value))
		t.Imported = true
	}
	if len(fresh) > 0 {
		b.overflow(e, named...)
	}
	return nil
}

// excess is by how many the named tokens and the valid ones beside them are
// more than a customer keeps. Dead ones that are named count: dropped, they
// would come back as new ones with the next import.
func (b *book) excess(e *entry, named []string) int {
	n := len(named)
	for _, t := range e.Select(push.All) {
		if !slices.Contains(named, t.ID) {
			n++
		}
	}
	return n - b.s.maxTokens
}

// othersToken reports whether a token is another customer's, and nothing says
// that it has come to e since; a time that is still to come says nothing.
func (b *book) othersToken(e *entry, r push.Registration) bool {
	id := push.TokenID(r.Value)
	from := b.byID[b.owner(id)]
	if from == nil || from == e {
		return false
	}
	t, ok := from.Token(id)
	shown := laterOf(r.AddedAt, r.SeenAt)
	return ok && (shown.After(b.now) || !shown.After(t.SeenAt))
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
