package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// listDoc is mailings/{id}/audience/{n}: a piece of a listed audience. A
// document holds 1 MiB.
type listDoc struct {
	Customers []string `firestore:"customers,omitempty"`
	Tokens    []string `firestore:"tokens,omitempty"`

	ExpireAt time.Time `firestore:"expireAt"`
}

// listBytes is how much of a list one document takes.
const listBytes = 800 << 10

func (s *Store) listed(mailing string, n int) *firestore.DocumentRef {
	return s.mailing(mailing).Collection("audience").Doc(strconv.Itoa(n))
}

// chunk cuts the listed customers or tokens of a mailing to documents.
func chunk(m *push.Mailing) []*listDoc {
	var out []*listDoc
	forget := m.ExpiresAt.Add(Keep)
	for _, part := range pieces(m.Audience.Customers) {
		out = append(out, &listDoc{Customers: part, ExpireAt: forget})
	}
	for _, part := range pieces(m.Audience.Tokens) {
		out = append(out, &listDoc{Tokens: part, ExpireAt: forget})
	}
	return out
}

func pieces(list []string) [][]string {
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

// readLists fills in the customers or tokens a mailing lists.
func (s *Store) readLists(ctx context.Context, m *push.Mailing, n int) error {
	refs := make([]*firestore.DocumentRef, n)
	for i := range refs {
		refs[i] = s.listed(m.ID, i)
	}
	snaps, err := s.db.GetAll(ctx, refs)
	if err != nil {
		return classify(err, "reading the audience of mailing %s", m.ID)
	}
	for i, snap := range snaps {
		var d listDoc
		if !snap.Exists() {
			return fmt.Errorf("part %d of the audience of mailing %s is gone", i, m.ID)
		}
		if err := snap.DataTo(&d); err != nil {
			return fmt.Errorf("decoding part %d of the audience of mailing %s: %w", i, m.ID, err)
		}
		m.Audience.Customers = append(m.Audience.Customers, d.Customers...)
		m.Audience.Tokens = append(m.Audience.Tokens, d.Tokens...)
	}
	return nil
}
