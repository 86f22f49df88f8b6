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

// Limits of one transaction of an import.
const (
	importWrites  = 200 // documents; a commit may have 10 MiB
	importsAtOnce = 4   // transactions at the same time
)

// ImportCustomers stores customers with the same result as if the lines were stored one after
// the other. refused[i]
// is the error of lines[i], nil if it was stored. err is an error of the store, after
// which some lines may be stored and others not: a second import of the same lines is
// safe.
//
// A file may be older than what devices report. So tokens that the customer has stay as
// they are, also invalid ones. A token of a file replaces no valid token. It is taken from
// another customer only if the line has a time at which it was added or seen, and this time
// is later than the last sign of the token there. The same is true for another token of the
// same phone: a FID replaces a valid registration token only with a later time; without one
// it is skipped.
//
// An import does not lift an opt-out that was kept after an erasure; PatchCustomer does.
//
// Customers that an import creates have no events, because a first import would flood
// every listener. Changes of known customers have events.
func (s *Store) ImportCustomers(ctx context.Context, lines []ImportLine) (refused []error, events []push.Event, err error) {
	lines = setTokenKinds(lines)
	refused = make([]error, len(lines))
	groups, late := independentGroups(lines)
	parts := make([][]push.Event, len(groups))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(importsAtOnce)
	for i, group := range groups {
		g.Go(func() (err error) {
			parts[i], err = s.importGroup(gctx, lines, group, refused)
			return err
		})
	}
	err = g.Wait()
	for _, part := range parts {
		events = append(events, part...)
	}

	for _, i := range late {
		if err != nil {
			break
		}
		var part []push.Event
		part, err = s.importGroup(ctx, lines, []int{i}, refused)
		events = append(events, part...)
	}

	return refused, events, classifyError(err, "importing %d customers", len(lines))
}

// setTokenKinds returns the lines with the kind of each token, as its shape says.
func setTokenKinds(lines []ImportLine) []ImportLine {
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

// independentGroups groups lines that have no customer, token or phone in common, to be
// stored at the same time. late are the lines that share one with an earlier line.
func independentGroups(lines []ImportLine) (groups [][]int, late []int) {
	seen := map[string]bool{}
	var group []int
	writes := 0
	for i, l := range lines {
		names := []string{"c" + l.Customer}
		for _, r := range l.Tokens {
			names = append(names, "t"+cmp.Or(push.InstallationOf(r.Kind, r.Value), r.Value))
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

// importGroup stores lines in one transaction. If that is too large or conflicts with other
// writes, it stores two halves.
func (s *Store) importGroup(ctx context.Context, lines []ImportLine, group []int, refused []error) ([]push.Event, error) {
	var events []push.Event
	w := newWriteID()
	err := s.runTransaction(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		b, err := s.openLinesTx(tx, w, lines, group)
		if err != nil {
			return err
		}
		events = nil
		b.storeEvents = true
		for _, i := range group {
			refused[i] = b.importLine(lines[i])
		}
		err = b.writeChanges()
		events = b.events
		return err
	})
	if code := status.Code(err); len(group) == 1 || code != codes.Aborted && code != codes.InvalidArgument {
		return events, err
	}

	half := len(group) / 2
	first, err1 := s.importGroup(ctx, lines, group[:half], refused)
	second, err2 := s.importGroup(ctx, lines, group[half:], refused)
	return append(first, second...), errors.Join(err1, err2)
}

// openLinesTx opens a customerTx with the customers, tokens and phones of lines.
func (s *Store) openLinesTx(tx *firestore.Transaction, w writeID, lines []ImportLine, group []int) (*customerTx, error) {
	var customers, tokens []string
	var claims []tokenClaim
	for _, i := range group {
		customers = append(customers, lines[i].Customer)
		for _, r := range lines[i].Tokens {
			tokens = append(tokens, push.TokenID(r.Value))
			claims = append(claims, tokenClaim{lines[i].Customer, r})
		}
	}

	b, err := s.openCustomerTx(tx, w, customers, tokens)
	if err != nil {
		return nil, err
	}
	return b, b.readPhones(claims...)
}

// importLine imports one customer, or nothing of the line.
func (b *customerTx) importLine(l ImportLine) error {
	e := b.byID[l.Customer]
	named, fresh, err := b.chooseTokens(e, l)
	if err != nil {
		return err
	}

	kept := *e.Customer
	l.Patch.At = b.now
	if e.Objected {
		l.Patch.OptedOut = nil // the file may be older than the erasure
	}

	changed, err := l.Patch.ApplyTo(e.Customer)
	if err != nil {
		*e.Customer = kept
		return err
	}

	e.changed = e.changed || changed || !e.stored
	for _, r := range fresh {
		if b.hasOtherOfPhone(e, r) { // an earlier token of the line may reach the same phone
			continue
		}
		b.registerToken(e, r)
		if t, ok := e.FindToken(push.TokenID(r.Value)); ok {
			t.Imported = true
		}
	}

	if len(fresh) > 0 {
		b.dropSurplus(e, named...)
	}

	return nil
}

// chooseTokens returns the ids of the tokens that the customer of a line keeps or gets, and
// the tokens that the customer does not have yet. It skips a token if the customer has a
// newer one of the same phone. The error refuses the line.
func (b *customerTx) chooseTokens(e *loadedCustomer, l ImportLine) (named []string, fresh []push.Registration, err error) {
	for i, r := range l.Tokens {
		if b.belongsToAnother(e, r) {
			return nil, nil, fmt.Errorf("tokens[%d] belongs to another customer, who has shown it later", i)
		}
		id := push.TokenID(r.Value)
		if slices.Contains(named, id) {
			continue
		}
		_, known := e.FindToken(id)
		if !known && b.hasOtherOfPhone(e, r) {
			continue
		}
		named = append(named, id)
		if !known {
			fresh = append(fresh, r)
		}
	}

	if n := b.countExcess(e, named, fresh); n > 0 && len(fresh) > 0 {
		return nil, nil, fmt.Errorf("tokens has %d too many: a customer has at most %d, and valid ones are not pushed out", n, b.s.maxTokens)
	}
	return named, fresh, nil
}

// countExcess returns by how many the named tokens, and the valid ones beside them, exceed
// what a customer may have. Named invalid tokens count: if they were dropped, the next
// import would add them as new ones. Tokens that a new one replaces do not count.
func (b *customerTx) countExcess(e *loadedCustomer, named []string, fresh []push.Registration) int {
	n := len(named)
	for _, t := range e.SelectTokens(push.AllDevices) {
		if !slices.Contains(named, t.ID) && !slices.ContainsFunc(fresh, t.SamePhone) {
			n++
		}
	}
	return n - b.s.maxTokens
}

// hasOtherOfPhone reports whether e has another valid token of r's phone, and the line has
// no time that makes r newer.
func (b *customerTx) hasOtherOfPhone(e *loadedCustomer, r push.Registration) bool {
	return slices.ContainsFunc(e.Tokens, func(t push.Token) bool {
		return t.Valid() && t.SamePhone(r) && !b.isNewer(r, &t)
	})
}

// isNewer reports whether a line has a time of r that is later than the last sign of t. A
// time in the future does not count.
func (b *customerTx) isNewer(r push.Registration, t *push.Token) bool {
	shown := laterOf(r.AddedAt, r.SeenAt)
	return shown.After(t.SeenAt) && !shown.After(b.now)
}

// belongsToAnother reports whether a token, or another token of its phone, belongs to
// another customer, and the line has no time that is later than the last sign of it.
func (b *customerTx) belongsToAnother(e *loadedCustomer, r push.Registration) bool {
	id := push.TokenID(r.Value)
	if from := b.byID[b.ownerOf(id)]; from != nil && from != e {
		if t, ok := from.FindToken(id); ok && !b.isNewer(r, t) {
			return true
		}
	}

	owners, tokens := b.tokensOfPhone(e, r)
	for i := range tokens {
		if owners[i] != e && !b.isNewer(r, &tokens[i]) {
			return true
		}
	}

	return false
}

// laterOf returns the later of two times.
func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
