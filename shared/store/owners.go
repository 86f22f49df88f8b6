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
// the listed tokens when the mailing started, in the order of the token ids, each
// once; "" for a token that nobody had. Tokens may move while a mailing is cut:
// whoever cuts a part of it has to find them under the same keys as whoever cut
// the parts before. 10,000 keys are 330 KB.
type ownersDoc struct {
	Owners []string `firestore:"owners"`

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
	if len(owners) != len(ids) {
		return nil, fmt.Errorf("mailing %s lists %d tokens and %d owners", m.ID, len(ids), len(owners))
	}

	a := &listedAudience{s: s, only: map[string][]string{}, void: map[string]bool{}}
	for i, id := range ids {
		a.own(id, owners[i])
	}
	a.sort()
	return a, nil
}

func (s *Store) storedOwners(ctx context.Context, mailing string) ([]string, error) {
	snap, err := s.owners(mailing).Get(ctx)
	if err != nil {
		return nil, err
	}
	var d ownersDoc
	err = snap.DataTo(&d)
	return d.Owners, err
}

// resolve looks up whose the tokens are and stores it, unless another call has
// meanwhile: then that call's answer counts.
func (s *Store) resolve(ctx context.Context, m *push.Mailing, ids []string) ([]string, error) {
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

	_, err := s.owners(m.ID).Create(ctx, ownersDoc{owners, m.ExpiresAt.Add(Keep)})
	if stale(err) { // it is there already
		return s.storedOwners(ctx, m.ID)
	}
	return owners, err
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
