package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// ListInvalidTokens lists the tokens that a mailing found invalid, in pages of size, in the order
// of its batches. It returns the token of the next page. It works until KeepBatches after the
// mailing ended.
func (s *Store) ListInvalidTokens(ctx context.Context, mailing string, size int, token string) ([]push.InvalidToken, string, error) {
	after, skip, err := parseInvalidTokensPage(token)
	if err != nil {
		return nil, "", err
	}

	var out []push.InvalidToken
	for {
		snap, tokens, err := s.nextInvalidTokens(ctx, mailing, after)
		if err != nil || snap == "" {
			return out, "", err
		}
		for i := skip; i < len(tokens); i++ {
			if len(out) == size {
				return out, after + "." + strconv.Itoa(i) + "." + snap, nil
			}
			out = append(out, tokens[i])
		}
		after, skip = snap, 0
	}
}

// parseInvalidTokensPage reads the token of a page: the batch before the one to continue in, and how
// many tokens of that one are listed already.
func parseInvalidTokensPage(token string) (after string, skip int, err error) {
	if token == "" {
		return "", 0, nil
	}
	bad := push.Faults{{Location: "query.pageToken", Message: "must be a token that this list has returned"}}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[0] != "" && !validID(parts[0]) {
		return "", 0, bad
	}
	if skip, err = strconv.Atoi(parts[1]); err != nil || skip < 0 {
		return "", 0, bad
	}
	return parts[0], skip, nil
}

// nextInvalidTokens reads the invalid tokens of the first batch after a batch. An empty id
// means that there is no such batch.
func (s *Store) nextInvalidTokens(ctx context.Context, mailing, after string) (string, []push.InvalidToken, error) {
	batches, err := s.invalidTokensAfter(ctx, mailing, after, 1)
	if err != nil || len(batches) == 0 {
		return "", nil, err
	}
	return batches[0].batch, batches[0].tokens, batches[0].err
}

// batchInvalidTokens are the invalid tokens of a batch, or the error of reading them.
type batchInvalidTokens struct {
	batch  string
	tokens []push.InvalidToken
	err    error
}

// invalidTokensAfter reads the invalid tokens of at most that many batches after one, in
// order. If it returns fewer, there are no more.
func (s *Store) invalidTokensAfter(ctx context.Context, mailing, after string, most int) ([]batchInvalidTokens, error) {
	q := s.mailingDocument(mailing).Collection("batches").Where("hasInvalidTokens", "==", true).
		OrderBy(firestore.DocumentID, firestore.Asc).Select("invalidTokens").Limit(most)
	if after != "" {
		q = q.StartAfter(after)
	}
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil {
		return nil, classifyError(err, "listing the invalid tokens of mailing %s", mailing)
	}

	out := make([]batchInvalidTokens, len(snaps))
	for i, snap := range snaps {
		out[i].batch = snap.Ref.ID
		out[i].tokens, out[i].err = decodeInvalidTokens(snap)
	}

	return out, nil
}

// decodeInvalidTokens returns the invalid tokens of a batch. The error is
// ErrUndecodable.
func decodeInvalidTokens(snap *firestore.DocumentSnapshot) (tokens []push.InvalidToken, err error) {
	var d batchDoc
	if err := snap.DataTo(&d); err != nil {
		return nil, fmt.Errorf("decoding batch %s: %w: %w", snap.Ref.Path, ErrUndecodable, err)
	}
	if err := json.Unmarshal([]byte(d.InvalidTokens), &tokens); err != nil {
		return nil, fmt.Errorf("decoding the invalid tokens of batch %s: %w: %w", snap.Ref.Path, ErrUndecodable, err)
	}
	return tokens, nil
}
