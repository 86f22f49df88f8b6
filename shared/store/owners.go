package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// ownersDoc is mailings/{id}/audience/owners: for each listed token, the customer who had it
// when the mailing started. Tokens may move while batches are created, and every call of
// dispatch has to find a token under the same key as the calls before. 10,000 tokens are
// 660 KB.
type ownersDoc struct {
	Tokens []string `firestore:"tokens"` // token ids, each once
	Owners []string `firestore:"owners"` // for each: the key of the customer who had it, "" if it was not registered

	ExpireAt time.Time `firestore:"expireAt"`
}

func (s *Store) ownersDocument(mailing string) *firestore.DocumentRef {
	return s.mailingDocument(mailing).Collection("audience").Doc("owners")
}

// tokenIDs returns the ids of listed tokens, sorted, each once.
func tokenIDs(tokens []string) []string {
	ids := make([]string, len(tokens))
	for i, t := range tokens {
		ids[i] = push.TokenID(t)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// openListedTokens opens an audience of listed tokens. The first call for a mailing looks up and
// stores the customers who have them; later calls read that.
func (s *Store) openListedTokens(ctx context.Context, m *push.Mailing) (*listedAudience, error) {
	ids := tokenIDs(m.Audience.Tokens)
	owners, err := s.readStoredOwners(ctx, m.ID)
	if isNotFound(err) {
		owners, err = s.resolveOwners(ctx, m, ids)
	}
	if err != nil {
		return nil, classifyError(err, "finding the customers of the %d tokens of mailing %s", len(ids), m.ID)
	}

	a := &listedAudience{s: s, listedTokens: map[string][]string{}, unregistered: map[string]bool{}}
	for _, id := range ids { // not all that are stored: an erasure may have removed some from the list
		a.addOwner(id, owners[id])
	}
	a.sortKeys()
	return a, nil
}

// readStoredOwners returns the stored keys of customers, by token id.
func (s *Store) readStoredOwners(ctx context.Context, mailing string) (map[string]string, error) {
	snap, err := s.ownersDocument(mailing).Get(ctx)
	if err != nil {
		return nil, err
	}
	var d ownersDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, err
	}
	return d.ownersByToken()
}

// ownersByToken returns the keys of customers by token id.
func (d *ownersDoc) ownersByToken() (map[string]string, error) {
	if len(d.Tokens) != len(d.Owners) {
		return nil, fmt.Errorf("%d tokens have %d owners", len(d.Tokens), len(d.Owners))
	}
	owners := make(map[string]string, len(d.Tokens))
	for i, id := range d.Tokens {
		owners[id] = d.Owners[i]
	}
	return owners, nil
}

// resolveOwners looks up the customers who have the tokens and stores them. If another call
// has stored them meanwhile, it returns what that call stored.
func (s *Store) resolveOwners(ctx context.Context, m *push.Mailing, ids []string) (map[string]string, error) {
	owners, err := s.lookUpOwners(ctx, ids)
	if err != nil {
		return nil, err
	}
	d := ownersDoc{ids, owners, m.ExpiresAt.Add(KeepBatches)}
	_, err = s.ownersDocument(m.ID).Create(ctx, d)
	if isPreconditionFailed(err) { // Create failed: another call was first, and all calls use its list
		return s.readStoredOwners(ctx, m.ID)
	}
	if err != nil {
		return nil, err
	}
	return d.ownersByToken()
}

// lookUpOwners returns the keys of the customers who have the tokens, "" for a token that
// is not registered. It costs a read for each.
func (s *Store) lookUpOwners(ctx context.Context, ids []string) ([]string, error) {
	owners := make([]string, 0, len(ids))
	for part := range slices.Chunk(ids, 500) {
		refs := make([]*firestore.DocumentRef, len(part))
		for i, id := range part {
			refs[i] = s.tokenDocument(id)
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

	return owners, nil
}

// addOwner adds a token to its customer. A token that is not registered is added under its
// own id, so that it is counted in exactly one page.
func (a *listedAudience) addOwner(id, key string) {
	if key == "" {
		a.unregistered[id] = true
		key = id
	} else {
		a.listedTokens[key] = append(a.listedTokens[key], id)
	}
	a.keys = append(a.keys, key)
}
