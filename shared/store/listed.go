package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// listDoc is mailings/{id}/audience/{n}: a part of a listed audience. A document holds
// 1 MiB at most.
type listDoc struct {
	Customers []string `firestore:"customers,omitempty"`
	Tokens    []string `firestore:"tokens,omitempty"`

	ExpireAt time.Time `firestore:"expireAt"`
}

// listBytes is how many bytes of a list one document gets.
const listBytes = 800 << 10

func (s *Store) listDocument(mailing string, n int) *firestore.DocumentRef {
	return s.mailingDocument(mailing).Collection("audience").Doc(strconv.Itoa(n))
}

// A listSummary describes the documents of an audience, without reading them.
type listSummary struct {
	parts   int    // documents
	of      string // "customers" or "tokens"; "" without documents
	entries int
}

// splitList divides the listed customers or tokens of a mailing among documents.
func splitList(m *push.Mailing) ([]*listDoc, listSummary) {
	var out []*listDoc
	expireAt := m.ExpiresAt.Add(KeepBatches)
	for _, part := range splitByBytes(m.Audience.Customers) {
		out = append(out, &listDoc{Customers: part, ExpireAt: expireAt})
	}

	for _, part := range splitByBytes(m.Audience.Tokens) {
		out = append(out, &listDoc{Tokens: part, ExpireAt: expireAt})
	}

	switch a := m.Audience; {
	case len(a.Customers) > 0:
		return out, listSummary{len(out), "customers", len(a.Customers)}
	case len(a.Tokens) > 0:
		return out, listSummary{len(out), "tokens", len(a.Tokens)}
	}

	return out, listSummary{}
}

// splitByBytes splits a list into parts of at most listBytes.
func splitByBytes(list []string) [][]string {
	var out [][]string
	start, size := 0, 0
	for i, x := range list {
		if size += len(x) + 1; size > listBytes {
			out = append(out, list[start:i])
			start, size = i, len(x)+1
		}
	}
	if start < len(list) {
		out = append(out, list[start:])
	}
	return out
}

// readListParts reads the customers or tokens that a mailing lists into m, and reports whether
// they are still stored. If a part is deleted, m stays as it is.
func (s *Store) readListParts(ctx context.Context, m *push.Mailing, l listSummary) (bool, error) {
	refs := make([]*firestore.DocumentRef, l.parts)
	for i := range refs {
		refs[i] = s.listDocument(m.ID, i)
	}

	snaps, err := s.db.GetAll(ctx, refs)
	if err != nil {
		return false, classifyError(err, "reading the audience of mailing %s", m.ID)
	}

	var customers, tokens []string
	for i, snap := range snaps {
		if !snap.Exists() {
			return false, nil
		}
		var d listDoc
		if err := snap.DataTo(&d); err != nil {
			return false, fmt.Errorf("decoding part %d of the audience of mailing %s: %w", i, m.ID, err)
		}
		customers, tokens = append(customers, d.Customers...), append(tokens, d.Tokens...)
	}

	m.Audience.Customers, m.Audience.Tokens = customers, tokens
	return true, nil
}

// readListBelow is how many listed customers or tokens are read with the mailing.
const readListBelow = 100

// ReadMailingWithAudience reads a mailing as the API shows it, and the state of its list of
// customers or tokens, nil if it has none. A long list is read only if whole is true: 10,000
// tokens are megabytes, and clients read a mailing often while it runs. A deleted list is
// not an error.
func (s *Store) ReadMailingWithAudience(ctx context.Context, id string, whole bool) (*push.Mailing, *push.AudienceList, error) {
	m, l, err := s.readMailingAndList(ctx, id)
	if err != nil || l.parts == 0 {
		return m, nil, err
	}

	out := &push.AudienceList{Of: l.of, Entries: l.entries, State: push.ListLeftOut}
	if !whole && l.entries > readListBelow {
		return m, out, nil
	}
	there, err := s.readListParts(ctx, m, l)
	if err != nil {
		return nil, nil, err
	}
	if out.State = push.ListShown; !there {
		out.State = push.ListDeleted
	}
	return m, out, nil
}
