package store

import (
	"cmp"
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

// ImportCustomers stores customers as if the lines came one after the other. The errors
// of lines that are refused stand at their places; the last error is one of the
// store, after which any of the lines may be stored or not: importing again
// changes nothing where it was.
//
// A file is not a device. Tokens the customer already has stay as they are,
// dead ones, too, a token pushes out no valid one, and it is taken from another
// customer only if the line says a time at which it was added or seen that is
// later than the last sign of it there; so an old file never gives a phone back
// to whoever had it before. The same holds for another token of the same phone: a
// FID takes the place of a valid registration token only with a later time, and
// without one it is passed over.
//
// Nor does it lift an opt-out that was kept over an erasure: Patch does.
//
// Customers that an import creates are not told of one by one: a first import
// would flood every listener. Of those known before, changes are.
func (s *Store) ImportCustomers(ctx context.Context, lines []ImportLine) (refused []error, events []push.Event, err error) {
	lines = judged(lines)
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

// judged are the lines with the kind of each token as its shape says.
func judged(lines []ImportLine) []ImportLine {
	lines = slices.Clone(lines)
	for i, l := range lines {
		tokens := slices.Clone(l.Tokens)
		for j, r := range tokens {
			tokens[j].Kind = push.KindOf(r.Value, r.Kind)
		}
		lines[i].Tokens = tokens
	}
	return lines
}

// parts groups lines that have nothing to do with each other, to be stored side
// by side; late are those that name a customer, token or phone of an earlier line.
func parts(lines []ImportLine) (groups [][]int, late []int) {
	seen := map[string]bool{}
	var group []int
	writes := 0
	for i, l := range lines {
		names := []string{"c" + l.Customer}
		for _, r := range l.Tokens {
			names = append(names, "t"+cmp.Or(push.Installation(r.Kind, r.Value), r.Value))
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
		b.storeEvents = true
		for _, i := range group {
			refused[i] = b.line(lines[i])
		}
		err = b.writeChanges()
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

func (s *Store) openLines(tx *firestore.Transaction, w writeID, lines []ImportLine, group []int) (*customerTx, error) {
	var customers, tokens []string
	var claims []claim
	for _, i := range group {
		customers = append(customers, lines[i].Customer)
		for _, r := range lines[i].Tokens {
			tokens = append(tokens, push.TokenID(r.Value))
			claims = append(claims, claim{lines[i].Customer, r})
		}
	}

	b, err := s.openCustomerTx(tx, w, customers, tokens)
	if err != nil {
		return nil, err
	}
	return b, b.readPhones(claims...)
}

// line imports one customer, or nothing of it.
func (b *customerTx) line(l ImportLine) error {
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
		_, known := e.Token(id)
		if !known && b.standing(e, r) {
			continue
		}
		named = append(named, id)
		if !known {
			fresh = append(fresh, r)
		}
	}
	if n := b.excess(e, named, fresh); n > 0 && len(fresh) > 0 {
		return fmt.Errorf("tokens has %d too many: a customer has at most %d, and valid ones are not pushed out", n, b.s.maxTokens)
	}
	kept := *e.Customer
	l.Patch.At = b.now
	if e.Objected {
		l.Patch.OptedOut = nil // a file is older than the erasure, or may be
	}
	changed, err := l.Patch.Apply(e.Customer)
	if err != nil {
		*e.Customer = kept
		return err
	}
	e.changed = e.changed || changed || !e.stored
	for _, r := range fresh {
		if b.standing(e, r) { // an earlier token of the line may stand for its phone
			continue
		}
		b.give(e, r)
		if t, ok := e.Token(push.TokenID(r.Value)); ok {
			t.Imported = true
		}
	}
	if len(fresh) > 0 {
		b.dropSurplus(e, named...)
	}
	return nil
}

// excess is by how many the named tokens and the valid ones beside them are
// more than a customer keeps. Dead ones that are named count: dropped, they
// would come back as new ones with the next import. Those whose place a fresh one
// takes do not.
func (b *customerTx) excess(e *loadedCustomer, named []string, fresh []push.Registration) int {
	n := len(named)
	for _, t := range e.Select(push.AllDevices) {
		if !slices.Contains(named, t.ID) && !slices.ContainsFunc(fresh, t.SamePhone) {
			n++
		}
	}
	return n - b.s.maxTokens
}

// standing reports whether e has another valid token of r's phone, and nothing
// says that r is newer.
func (b *customerTx) standing(e *loadedCustomer, r push.Registration) bool {
	return slices.ContainsFunc(e.Tokens, func(t push.Token) bool {
		return t.Valid() && t.SamePhone(r) && !b.newer(r, &t)
	})
}

// newer reports whether a line says a time of r that is later than the last sign
// of t; a time that is still to come says nothing.
func (b *customerTx) newer(r push.Registration, t *push.Token) bool {
	shown := laterOf(r.AddedAt, r.SeenAt)
	return shown.After(t.SeenAt) && !shown.After(b.now)
}

// othersToken reports whether a token, or another one of its phone, is another
// customer's, and nothing says that it has come to e since.
func (b *customerTx) othersToken(e *loadedCustomer, r push.Registration) bool {
	id := push.TokenID(r.Value)
	if from := b.byID[b.owner(id)]; from != nil && from != e {
		if t, ok := from.Token(id); ok && !b.newer(r, t) {
			return true
		}
	}

	owners, tokens := b.samePhone(e, r)
	for i := range tokens {
		if owners[i] != e && !b.newer(r, &tokens[i]) {
			return true
		}
	}
	return false
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
