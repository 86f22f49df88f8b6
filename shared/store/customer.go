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

	"carillon.example/shared/push"
)

// customerDoc is customers/{key}.
type customerDoc struct {
	ID           string               `firestore:"id"`
	Devices      map[string]deviceDoc `firestore:"devices"` // by token id
	Reachable    bool                 `firestore:"reachable"`
	Segments     []string             `firestore:"segments"`
	Attributes   map[string]any       `firestore:"attributes"`
	OptedOut     bool                 `firestore:"optedOut"`
	Categories   map[string]bool      `firestore:"categories"`
	TimeZone     string               `firestore:"timeZone"`
	Version      int64                `firestore:"version"`
	Availability int64                `firestore:"availability"`
	CreatedAt    time.Time            `firestore:"createdAt"`
	Owed         bool                 `firestore:"owed,omitempty"` // availability has changed and was not told yet
}

type deviceDoc struct {
	Token    string      `firestore:"token"`
	Kind     string      `firestore:"kind"`
	Platform string      `firestore:"platform"`
	App      string      `firestore:"app"`
	AddedAt  time.Time   `firestore:"addedAt"`
	SeenAt   time.Time   `firestore:"seenAt"`
	Invalid  *invalidDoc `firestore:"invalid,omitempty"`
}

type invalidDoc struct {
	Code    string    `firestore:"code"`
	Status  string    `firestore:"status"`
	At      time.Time `firestore:"at"`
	Mailing string    `firestore:"mailing"`
}

// tokenDoc is tokens/{token id}.
type tokenDoc struct {
	Customer string `firestore:"customer"`
	Key      string `firestore:"key"`
}

func (s *Store) customer(id string) *firestore.DocumentRef {
	return s.customers().Doc(push.CustomerKey(id))
}

func (s *Store) token(id string) *firestore.DocumentRef { return s.db.Doc("tokens/" + id) }

func encodeCustomer(c *push.Customer, owed bool) *customerDoc {
	d := &customerDoc{
		ID: c.ID, Devices: map[string]deviceDoc{}, Reachable: c.Reachable(), Segments: c.Segments, Attributes: c.Attributes,
		OptedOut: c.OptedOut, Categories: c.Categories, TimeZone: c.TimeZone, Version: c.Version, Availability: c.Availability,
		CreatedAt: c.CreatedAt, Owed: owed,
	}
	for _, t := range c.Tokens {
		x := deviceDoc{Token: t.Value, Kind: string(t.Kind), Platform: string(t.Platform), App: t.App, AddedAt: t.AddedAt, SeenAt: t.SeenAt}
		if t.Invalid != nil {
			x.Invalid = &invalidDoc{t.Invalid.Code, t.Invalid.Status, t.Invalid.At, t.Invalid.Mailing}
		}
		d.Devices[t.ID] = x
	}
	return d
}

func decodeCustomer(snap *firestore.DocumentSnapshot) (*push.Customer, error) {
	var d customerDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, fmt.Errorf("decoding customer %s: %w", snap.Ref.ID, err)
	}
	c := &push.Customer{
		ID: d.ID, Segments: d.Segments, Attributes: d.Attributes, OptedOut: d.OptedOut, Categories: d.Categories, TimeZone: d.TimeZone,
		Version: d.Version, Availability: d.Availability, CreatedAt: d.CreatedAt,
	}
	for id, x := range d.Devices {
		t := push.Token{ID: id, Value: x.Token, Kind: push.Kind(x.Kind), Platform: push.Platform(x.Platform), App: x.App, AddedAt: x.AddedAt, SeenAt: x.SeenAt}
		if i := x.Invalid; i != nil {
			t.Invalid = &push.Invalid{Code: i.Code, Status: i.Status, At: i.At, Mailing: i.Mailing}
		}
		c.Tokens = append(c.Tokens, t)
	}
	slices.SortFunc(c.Tokens, func(a, b push.Token) int { return cmp.Compare(a.ID, b.ID) })
	return c, nil
}

// Customer reads a customer with all devices: one read answers availability.
func (s *Store) Customer(ctx context.Context, id string) (*push.Customer, error) {
	snap, err := s.customer(id).Get(ctx)
	if missing(err) {
		return nil, &push.NotFound{What: "customer", ID: id}
	}
	if err != nil {
		return nil, classify(err, "reading a customer")
	}
	return decodeCustomer(snap)
}

// Registered is what a registration came to.
type Registered struct {
	Token    push.Token
	Customer *push.Customer
	Created  bool         // the customer did not have the token
	Events   []push.Event // owed until Told
}

// Register gives a token to a customer: new, seen again, valid again, or taken
// from another customer, in one transaction.
func (s *Store) Register(ctx context.Context, id string, r push.Registration) (Registered, error) {
	var out Registered
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) (err error) {
		out, err = s.register(tx, id, r)
		return err
	})
	return out, classify(err, "registering a token")
}

func (s *Store) register(tx *firestore.Transaction, id string, r push.Registration) (out Registered, err error) {
	now, tid := s.now().UTC(), push.TokenID(r.Value)
	index, err := txGet[tokenDoc](tx, s.token(tid))
	if err != nil {
		return out, err
	}
	c, err := s.load(tx, id)
	if err != nil {
		return out, err
	}
	if index != nil && index.Customer != id {
		if err := s.take(tx, index.Customer, tid, now, &out); err != nil {
			return out, err
		}
	}
	was := c.Reachable()
	t, known := c.Token(tid)
	if !known {
		added := cmp.Or(r.AddedAt.UnixNano(), 0)
		at := now
		if !r.AddedAt.IsZero() && added != 0 {
			at = r.AddedAt
		}
		c.Tokens = append(c.Tokens, push.Token{ID: tid, Value: r.Value, AddedAt: at})
		t = &c.Tokens[len(c.Tokens)-1]
	} else if !t.Valid() {
		t.Invalid, t.AddedAt = nil, now
	}
	t.Kind, t.Platform, t.App, t.SeenAt = r.Kind, r.Platform, r.App, now
	out.Token, out.Created = *t, !known
	for _, gone := range s.overflow(c, tid) {
		if err := tx.Delete(s.token(gone)); err != nil {
			return out, err
		}
	}
	s.touch(c, was, now, &out)
	out.Customer = c
	if err := tx.Set(s.customer(id), encodeCustomer(c, false)); err != nil {
		return out, err
	}
	return out, tx.Set(s.token(tid), tokenDoc{id, c.Key()})
}

// touch counts a change of a customer, and tells it when reachability changed.
func (s *Store) touch(c *push.Customer, was bool, now time.Time, out *Registered) {
	c.Version++
	if c.Reachable() != was {
		c.Availability = c.Version
		out.Events = append(out.Events, push.AvailabilityEvent(c, now))
	}
}

// take takes a token away from the customer that had it.
func (s *Store) take(tx *firestore.Transaction, from, tid string, now time.Time, out *Registered) error {
	c, err := s.load(tx, from)
	if err != nil {
		return err
	}
	was := c.Reachable()
	c.Tokens = slices.DeleteFunc(c.Tokens, func(t push.Token) bool { return t.ID == tid })
	s.touch(c, was, now, out)
	return tx.Set(s.customer(from), encodeCustomer(c, false))
}

func (s *Store) load(tx *firestore.Transaction, id string) (*push.Customer, error) {
	snap, err := tx.Get(s.customer(id))
	if missing(err) {
		return &push.Customer{ID: id, CreatedAt: s.now().UTC()}, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeCustomer(snap)
}

func txGet[T any](tx *firestore.Transaction, ref *firestore.DocumentRef) (*T, error) {
	snap, err := tx.Get(ref)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var t T
	return &t, snap.DataTo(&t)
}

// overflow drops what a customer has too many of: invalid tokens first, then
// the longest unseen, never keep.
func (s *Store) overflow(c *push.Customer, keep string) (gone []string) {
	for len(c.Tokens) > s.maxTokens {
		worst := slices.MinFunc(c.Tokens, func(a, b push.Token) int {
			rank := func(t push.Token) int {
				switch {
				case t.ID == keep:
					return 2
				case t.Valid():
					return 1
				}
				return 0
			}
			return cmp.Or(cmp.Compare(rank(a), rank(b)), a.SeenAt.Compare(b.SeenAt), cmp.Compare(a.ID, b.ID))
		})
		gone = append(gone, worst.ID)
		c.Tokens = slices.DeleteFunc(c.Tokens, func(t push.Token) bool { return t.ID == worst.ID })
	}
	return gone
}

// A Flag marks a token invalid because of a mailing.
type Flag struct {
	Mailing, Customer, TokenID string
	Code, Status               string
	At, CutAt                  time.Time
}

// FlagResult says whether the mark stands, and what it tells.
type FlagResult struct {
	Set    bool
	Events []push.Event
}

// Flag marks a token invalid, only if the customer still has it and it was not
// registered again since the batch was cut.
func (s *Store) Flag(ctx context.Context, f Flag) (FlagResult, error) {
	var out FlagResult
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		out = FlagResult{}
		c, err := s.load(tx, f.Customer)
		if err != nil {
			return err
		}
		t, ok := c.Token(f.TokenID)
		if !ok || t.SeenAt.After(f.CutAt) || t.AddedAt.After(f.CutAt) {
			return nil
		}
		if t.Invalid != nil && t.Invalid.Mailing != f.Mailing {
			return nil
		}
		var changes Registered
		again := t.Invalid != nil
		if !again {
			was := c.Reachable()
			t.Invalid = &push.Invalid{Code: f.Code, Status: f.Status, At: f.At, Mailing: f.Mailing}
			s.touch(c, was, f.At, &changes)
		} else if !c.Reachable() {
			changes.Events = append(changes.Events, push.AvailabilityEvent(c, t.Invalid.At))
		}
		out = FlagResult{true, append([]push.Event{push.InvalidatedEvent(c, *t)}, changes.Events...)}
		if again {
			return errKeep
		}
		return tx.Set(s.customer(f.Customer), encodeCustomer(c, false))
	})
	if errors.Is(err, errKeep) {
		err = nil
	}
	return out, classify(err, "flagging token %s of mailing %s", f.TokenID, f.Mailing)
}

func (s *Store) unflag(ctx context.Context, mailing string, d push.Dead) (took bool, events []push.Event, err error) {
	err = s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		took, events = false, nil
		c, err := s.load(tx, d.Customer)
		if err != nil {
			return err
		}
		t, ok := c.Token(d.TokenID)
		if !ok || t.Invalid == nil || t.Invalid.Mailing != mailing {
			return nil
		}
		was := c.Reachable()
		t.Invalid, took = nil, true
		var changes Registered
		s.touch(c, was, s.now(), &changes)
		events = changes.Events
		return tx.Set(s.customer(d.Customer), encodeCustomer(c, false))
	})
	return took, events, classify(err, "taking back the flag of token %s", d.TokenID)
}

// Settings reads which devices a mailing goes to that does not say.
func (s *Store) Settings(ctx context.Context) (push.Devices, error) {
	snap, err := s.db.Doc("settings/push").Get(ctx)
	if missing(err) {
		return push.All, nil
	}
	if err != nil {
		return "", classify(err, "reading the settings")
	}
	d, _ := snap.Data()["devices"].(string)
	return cmp.Or(push.Devices(d), push.All), nil
}

// SetSettings stores it.
func (s *Store) SetSettings(ctx context.Context, d push.Devices) error {
	_, err := s.db.Doc("settings/push").Set(ctx, map[string]any{"devices": string(d)})
	return classify(err, "storing the settings")
}

// Owing is a customer whose change was stored and not told.
type Owing struct {
	Events  []push.Event
	Release func(context.Context) error
}

// OwedEvents lists them.
func (s *Store) OwedEvents(context.Context, int) ([]Owing, error) { return nil, nil }

// ExpireTokens sweeps.
func (s *Store) ExpireTokens(context.Context, int) (int, error) { return 0, nil }

// An ImportLine is a customer of an import.
type ImportLine struct {
	Customer push.Customer // without tokens
	Tokens   []push.Registration
}

// Import stores customers; the errors stand at the places of the lines.
func (s *Store) Import(ctx context.Context, lines []ImportLine) []error {
	errs := make([]error, len(lines))
	var g errgroup.Group
	g.SetLimit(32)
	for i, l := range lines {
		g.Go(func() error {
			errs[i] = s.importOne(ctx, l)
			return nil
		})
	}
	_ = g.Wait()
	return errs
}

func (s *Store) importOne(ctx context.Context, l ImportLine) error {
	for _, r := range l.Tokens {
		if _, err := s.Register(ctx, l.Customer.ID, r); err != nil {
			return err
		}
	}
	err := s.transact(ctx, func(_ context.Context, tx *firestore.Transaction) error {
		c, err := s.load(tx, l.Customer.ID)
		if err != nil {
			return err
		}
		c.Segments, c.Attributes, c.OptedOut, c.Categories, c.TimeZone = l.Customer.Segments, l.Customer.Attributes, l.Customer.OptedOut, l.Customer.Categories, l.Customer.TimeZone
		return tx.Set(s.customer(c.ID), encodeCustomer(c, false))
	})
	return classify(err, "importing a customer")
}
