package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// customerDoc is customers/{key}.
type customerDoc struct {
	ID           string                      `firestore:"id"`
	Tokens       map[string]customerTokenDoc `firestore:"tokens"` // by token id
	Reachable    bool                        `firestore:"reachable"`
	Expires      string                      `firestore:"expires,omitempty"`  // the first day on which a valid token stops being valid
	SilentOn     string                      `firestore:"silentOn,omitempty"` // the day on which a reachable customer becomes silent
	Status       statusDoc                   `firestore:"status"`             // as the last event said
	Platforms    []string                    `firestore:"platforms"`          // of valid tokens, for the statistics of a day
	Segments     []string                    `firestore:"segments"`
	Attributes   map[string]any              `firestore:"attributes"`
	OptedOut     bool                        `firestore:"optedOut"`
	Categories   map[string]bool             `firestore:"categories"`
	TimeZone     string                      `firestore:"timeZone"`
	Consents     []consentDoc                `firestore:"consents,omitempty"`
	Usage        *usageDoc                   `firestore:"usage,omitempty"`
	Objected     bool                        `firestore:"objected,omitempty"`
	Version      int64                       `firestore:"version"`
	Availability int64                       `firestore:"availability"`
	Revision     int64                       `firestore:"revision"`
	CreatedAt    time.Time                   `firestore:"createdAt"`
	Write        string                      `firestore:"write"` // the writeID of the last change

	// Prefix is that of the key. With it and changedAt, which is in changedDoc and in sameDoc, a
	// query finds the customers of a roster that have changed.
	Prefix string `firestore:"prefix"`
}

// changedDoc is the document of a customer of whom something has changed that rosters have.
// Firestore sets the time by its own clock.
type changedDoc struct {
	customerDoc
	ChangedAt time.Time `firestore:"changedAt,serverTimestamp"`
}

// sameDoc is the document of a customer who is the same for rosters as before. The time stays.
type sameDoc struct {
	customerDoc
	ChangedAt time.Time `firestore:"changedAt"`
}

// consentDoc is one opt-out or opt-in of a customer.
type consentDoc struct {
	Category string    `firestore:"category,omitempty"`
	Decision string    `firestore:"decision"`
	At       time.Time `firestore:"at"`
	Source   string    `firestore:"source"`
}

// statusDoc is the availability of a customer in the last event.
type statusDoc struct {
	State    string    `firestore:"state"`
	Since    time.Time `firestore:"since"`
	Evidence string    `firestore:"evidence"`
}

// customerTokenDoc is a push token of a customer.
type customerTokenDoc struct {
	Token         string      `firestore:"token"`
	Kind          string      `firestore:"kind"`
	Platform      string      `firestore:"platform"`
	App           string      `firestore:"app"`
	Device        string      `firestore:"device,omitempty"`
	Notifications string      `firestore:"notifications,omitempty"`
	AddedAt       time.Time   `firestore:"addedAt"`
	SeenAt        time.Time   `firestore:"seenAt"`
	ReportedAt    *time.Time  `firestore:"reportedAt,omitempty"`
	Imported      bool        `firestore:"imported,omitempty"`
	Expires       string      `firestore:"expires,omitempty"`
	Invalid       *invalidDoc `firestore:"invalid,omitempty"`
}

// invalidDoc is the flag of a push token.
type invalidDoc struct {
	Code    string    `firestore:"code"`
	Status  string    `firestore:"status"`
	At      time.Time `firestore:"at"`
	Mailing string    `firestore:"mailing"`
}

// tokenDoc is tokens/{token id}.
type tokenDoc struct {
	Customer     string `firestore:"customer"`
	Key          string `firestore:"key"`
	Installation string `firestore:"installation,omitempty"` // of a registration token: the token id of its FID
	Before       string `firestore:"before,omitempty"`       // key of the customer from whom an app took it, and who may take it back
}

func (s *Store) customerDocument(id string) *firestore.DocumentRef {
	return s.customerCollection().Doc(push.CustomerKey(id))
}

func (s *Store) tokenDocument(id string) *firestore.DocumentRef { return s.db.Doc("tokens/" + id) }

// encodeCustomer returns the document of a customer. Fields that queries filter by are
// computed from the tokens: reachable, expires, silentOn, platforms.
func encodeCustomer(c *push.Customer) customerDoc {
	d := customerDoc{
		ID: c.ID, Tokens: make(map[string]customerTokenDoc, len(c.Tokens)), Reachable: c.HasValidToken(), Segments: c.Segments, Attributes: c.Attributes,
		OptedOut: c.OptedOut, Categories: c.Categories, TimeZone: c.TimeZone, Version: c.Version, Availability: c.Availability,
		Revision: c.Revision, CreatedAt: c.CreatedAt, SilentOn: c.SilentDay(),
		Status: statusDoc{string(c.Reported.State), c.Reported.Since, c.Reported.Evidence},
		Prefix: rosterPrefix(c.DocumentKey()),
	}
	d.Objected, d.Usage = c.Objected, encodeUsage(c.Usage)
	d.Platforms = []string{}
	for _, p := range c.ValidPlatforms() {
		d.Platforms = append(d.Platforms, string(p))
	}

	for _, x := range c.Consents {
		d.Consents = append(d.Consents, consentDoc{x.Category, string(x.Decision), x.At, x.Source})
	}

	for _, t := range c.Tokens {
		x := customerTokenDoc{Token: t.Value, Kind: string(t.Kind), Platform: string(t.Platform), App: t.App, Device: t.Device, Notifications: string(t.Notifications), AddedAt: t.AddedAt, SeenAt: t.SeenAt, ReportedAt: timeOrNil(t.ReportedAt), Imported: t.Imported, Expires: t.Expires}
		if t.Invalid != nil {
			x.Invalid = &invalidDoc{t.Invalid.Code, t.Invalid.Status, t.Invalid.At, t.Invalid.Mailing}
		} else if t.Expires != "" && (d.Expires == "" || t.Expires < d.Expires) {
			d.Expires = t.Expires
		}
		d.Tokens[t.ID] = x
	}

	return d
}

// decodeCustomer returns the customer of a document, with the tokens sorted by id. The
// error is ErrUndecodable.
func decodeCustomer(snap *firestore.DocumentSnapshot) (*push.Customer, error) {
	var d customerDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, fmt.Errorf("decoding customer %s: %w: %w", snap.Ref.ID, ErrUndecodable, err)
	}

	c := &push.Customer{
		ID: d.ID, Segments: d.Segments, Attributes: d.Attributes, OptedOut: d.OptedOut, Categories: d.Categories, TimeZone: d.TimeZone,
		Version: d.Version, Availability: d.Availability, Revision: d.Revision, CreatedAt: d.CreatedAt,
		Reported: push.Availability{State: push.AvailabilityState(d.Status.State), Since: d.Status.Since.UTC(), Evidence: d.Status.Evidence},
	}
	c.Objected, c.Usage = d.Objected, decodeUsage(d.Usage)
	for _, x := range d.Consents {
		c.Consents = append(c.Consents, push.Consent{Category: x.Category, Decision: push.Decision(x.Decision), At: x.At, Source: x.Source})
	}

	for id, x := range d.Tokens {
		t := push.Token{ID: id, Value: x.Token, Kind: push.Kind(x.Kind), Platform: push.Platform(x.Platform), App: x.App, Device: x.Device, Notifications: push.Notifications(x.Notifications), AddedAt: x.AddedAt, SeenAt: x.SeenAt, ReportedAt: timeOrZero(x.ReportedAt), Imported: x.Imported, Expires: x.Expires}
		if i := x.Invalid; i != nil {
			t.Invalid = &push.TokenFlag{Code: i.Code, Status: i.Status, At: i.At, Mailing: i.Mailing}
		}
		c.Tokens = append(c.Tokens, t)
	}

	slices.SortFunc(c.Tokens, func(a, b push.Token) int { return cmp.Compare(a.ID, b.ID) })
	return c, nil
}

// storedChange returns the changedAt of the document of a customer, zero if it has none.
func storedChange(snap *firestore.DocumentSnapshot) (time.Time, error) {
	var d sameDoc
	if err := snap.DataTo(&d); err != nil {
		return time.Time{}, fmt.Errorf("decoding customer %s: %w: %w", snap.Ref.ID, ErrUndecodable, err)
	}
	return d.ChangedAt, nil
}

// ReadCustomer reads a customer with all tokens. It costs one read.
func (s *Store) ReadCustomer(ctx context.Context, id string) (*push.Customer, error) {
	snap, err := s.customerDocument(id).Get(ctx)
	if isNotFound(err) {
		return nil, &push.NotFound{What: "customer", ID: id}
	}
	if err != nil {
		return nil, classifyError(err, "reading customer %s", push.CustomerKey(id))
	}
	return decodeCustomer(snap)
}
