package store

import (
	"context"

	"carillon.example/shared/push"
)

// An AudienceSample is a part of an audience, from which the whole is estimated.
type AudienceSample struct {
	Estimated int // customers of the whole audience; see Audience.EstimateSize
	Members   []AudienceMember
	Excluded  push.Excluded // customers of the sample who are left out without being read
}

// CountCustomers returns how many customers the sample has.
func (s *AudienceSample) CountCustomers() int64 { return int64(len(s.Members)) + s.Excluded.Sum() }

// SampleAudience reads at most size members of an audience that no mailing has yet, the
// first ones in the order of their keys, which are hashes. It stores nothing. It costs
// about one read a member, and a token's owner one more.
func (s *Store) SampleAudience(ctx context.Context, a push.Audience, size int, attributes ...string) (*AudienceSample, error) {
	if a.Tokens != nil {
		return s.sampleTokens(ctx, a.Tokens, size)
	}
	audience, err := s.OpenAudience(ctx, &push.Mailing{Draft: push.Draft{Audience: a}}, attributes...)
	if err != nil {
		return nil, err
	}
	n, err := audience.EstimateSize(ctx)
	if err != nil {
		return nil, err
	}
	p, err := audience.ReadPage(ctx, "", "", size)
	if err != nil {
		return nil, err
	}
	return &AudienceSample{Estimated: n, Members: p.Members, Excluded: p.Excluded}, nil
}

// sampleTokens estimates an audience of tokens from the owners of the first ones.
func (s *Store) sampleTokens(ctx context.Context, tokens []string, size int) (*AudienceSample, error) {
	ids := tokenIDs(tokens) // in order
	some := ids[:min(len(ids), size)]
	owners, err := s.lookUpOwners(ctx, some)
	if err != nil {
		return nil, classifyError(err, "finding out whose %d tokens are", len(some))
	}

	a := &listedAudience{s: s, listedTokens: map[string][]string{}, unregistered: map[string]bool{}}
	for i, id := range some {
		a.addOwner(id, owners[i])
	}

	a.sortKeys()
	p, err := a.ReadPage(ctx, "", "", size)
	if err != nil {
		return nil, err
	}
	return &AudienceSample{Estimated: len(a.keys) * len(ids) / max(1, len(some)), Members: p.Members}, nil
}
