package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// ownersDoc is mailings/{id}/audience/owners: the keys of the customers who had
// the listed tokens when the mailing started, beside the ids of the tokens, each
// once; "" for a token that nobody had. Tokens may move while a mailing is cut:
// whoever cuts a part of it has to find them under the same keys as whoever cut
// the parts before. 10,000 tokens are 660 KB.
type ownersDoc struct {
	Tokens []string `firestore:"tokens"` // their ids
	Owners []string `firestore:"owners"` // of each: the key of the customer who had it, "" if nobody did

	ExpireAt time.Time `firestore:"expireAt"`
}

func (s *Store) owners(mailing string) *firestore.DocumentRef {
	return s.mailing(mailing).Collection("audience").Doc("owners")
}

// tokenIDs are the ids of listed tokens in order, each once.
func tokenIDs(tokens []string) []string {
	ids := make([]string, len(tokens))
	for i, t := range tokens {
		ids[i] = push.TokenID(t)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// byTokens opens an audience of tokens. The first call for a mailing looks up
// whose they are and stores that; later calls read it.
func (s *Store) byTokens(ctx context.Context, m *push.Mailing) (*listedAudience, error) {
	ids := tokenIDs(m.Audience.Tokens)
	owners, err := s.storedOwners(ctx, m.ID)
	if missing(err) {
		owners, err = s.resolve(ctx, m, ids)
	}
	if err != nil {
		return nil, classify(err, "finding out whose the %d tokens of mailing %s are", len(ids), m.ID)
	}

	a := &listedAudience{s: s, only: map[string][]string{}, void: map[string]bool{}}
	for _, id := range ids { // an erasure may have taken some from the list since
		a.own(id, owners[id])
	}
	a.sort()
	return a, nil
}

// storedOwners are the owners that were stored, by token id.
func (s *Store) storedOwners(ctx context.Context, mailing string) (map[string]string, error) {
	snap, err := s.owners(mailing).Get(ctx)
	if err != nil {
		return nil, err
	}
	var d ownersDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, err
	}
	return d.byToken()
}

func (d *ownersDoc) byToken() (map[string]string, error) {
	if len(d.Tokens) != len(d.Owners) {
		return nil, fmt.Errorf("%d tokens have %d owners", len(d.Tokens), len(d.Owners))
	}
	owners := make(map[string]string, len(d.Tokens))
	for i, id := range d.Tokens {
		owners[id] = d.Owners[i]
	}
	return owners, nil
}

// resolve looks up whose the tokens are and stores it, unless another call has
// meanwhile: then that call's answer counts.
func (s *Store) resolve(ctx context.Context, m *push.Mailing, ids []string) (map[string]string, error) {
	owners := make([]string, 0, len(ids))
	for part := range slices.Chunk(ids, 500) {
		refs := make([]*firestore.DocumentRef, len(part))
		for i, id := range part {
			refs[i] = s.token(id)
		}
		snaps, err := s.db.GetAll(ctx, refs)
		if err != nil {
			return nil, err
		}
		for _, snap := range snaps {
			key, _ := snap.Data()["key"].(string)
			owners = append(owners, key)
		}
	}

	d := ownersDoc{ids, owners, m.ExpiresAt.Add(Keep)}
	_, err := s.owners(m.ID).Create(ctx, d)
	if failedPrecondition(err) { // it is there already
		return s.storedOwners(ctx, m.ID)
	}
	if err != nil {
		return nil, err
	}
	return d.byToken()
}

// own notes whose a token is. A token that nobody had stands in the order by its
// own id, so that it is counted in just one page.
func (a *listedAudience) own(id, key string) {
	if key == "" {
		a.void[id] = true
		key = id
	} else {
		a.only[key] = append(a.only[key], id)
	}
	a.keys = append(a.keys, key)
}
