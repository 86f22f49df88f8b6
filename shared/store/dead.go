package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"

	"carillon.example/shared/push"
)

// InvalidTokens lists the tokens a mailing marked invalid, size a page, in the
// order in which its batches were cut. It answers for Keep after the mailing.
func (s *Store) InvalidTokens(ctx context.Context, mailing string, size int, token string) ([]push.Dead, string, error) {
	after, skip, err := deadPlace(token)
	if err != nil {
		return nil, "", err
	}
	var out []push.Dead
	for {
		snap, dead, err := s.nextDead(ctx, mailing, after)
		if err != nil || snap == "" {
			return out, "", err
		}
		for i := skip; i < len(dead); i++ {
			if len(out) == size {
				return out, after + "." + strconv.Itoa(i) + "." + snap, nil
			}
			out = append(out, dead[i])
		}
		after, skip = snap, 0
	}
}

// deadPlace reads a page token: the batch before the one to go on in, and how
// many of that one's tokens have been listed.
func deadPlace(token string) (after string, skip int, err error) {
	if token == "" {
		return "", 0, nil
	}
	bad := push.Faults{{Location: "query.pageToken", Message: "is none that this list has given"}}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[0] != "" && !validID(parts[0]) {
		return "", 0, bad
	}
	if skip, err = strconv.Atoi(parts[1]); err != nil || skip < 0 {
		return "", 0, bad
	}
	return parts[0], skip, nil
}

// nextDead reads the dead tokens of the first batch after that one; an empty
// id says that there is none.
func (s *Store) nextDead(ctx context.Context, mailing, after string) (string, []push.Dead, error) {
	q := s.mailing(mailing).Collection("batches").Where("hasDead", "==", true).
		OrderBy(firestore.DocumentID, firestore.Asc).Select("dead").Limit(1)
	if after != "" {
		q = q.StartAfter(after)
	}
	snaps, err := q.Documents(ctx).GetAll()
	if err != nil || len(snaps) == 0 {
		return "", nil, classify(err, "listing the invalid tokens of mailing %s", mailing)
	}
	var d batchDoc
	if err := snaps[0].DataTo(&d); err != nil {
		return "", nil, fmt.Errorf("decoding batch %s: %w", snaps[0].Ref.Path, err)
	}
	var dead []push.Dead
	if err := json.Unmarshal([]byte(d.Dead), &dead); err != nil {
		return "", nil, fmt.Errorf("decoding the dead tokens of batch %s: %w", snaps[0].Ref.Path, err)
	}
	return snaps[0].Ref.ID, dead, nil
}

// unflagAtOnce is how many customers' flags are taken back side by side.
const unflagAtOnce = 16

// Unflag takes back every flag a mailing set that still stands, and answers how
// many and the events that tell it, also of those it took back before an error.
func (s *Store) Unflag(ctx context.Context, mailing string) (int, []push.Event, error) {
	var events []push.Event
	n, after := 0, ""
	for {
		id, dead, err := s.nextDead(ctx, mailing, after)
		if err != nil || id == "" {
			return n, events, err
		}
		took, told, err := s.unflagAll(ctx, mailing, dead)
		n, events, after = n+took, append(events, told...), id
		if err != nil {
			return n, events, err
		}
	}
}

// unflagAll takes back the flags of a batch that still stand, a transaction a
// customer. All customers are read first, and those with nothing to take back
// are passed over: a call that was cut short is called again.
func (s *Store) unflagAll(ctx context.Context, mailing string, dead []push.Dead) (n int, events []push.Event, err error) {
	ids := make([]string, len(dead))
	for i, d := range dead {
		ids[i] = d.Customer
	}
	customers, err := s.readCustomers(ctx, ids)
	if err != nil {
		return 0, nil, err
	}
	of := map[string][]string{}
	for _, d := range dead {
		c := customers[d.Customer]
		if c == nil {
			continue
		}
		if t, ok := c.Token(d.TokenID); ok && flaggedBy(t, mailing) {
			of[d.Customer] = append(of[d.Customer], d.TokenID)
		}
	}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(unflagAtOnce)
	for customer, tokens := range of {
		g.Go(func() error {
			took, told, err := s.unflag(gctx, mailing, customer, tokens)
			mu.Lock()
			defer mu.Unlock()
			n, events = n+took, append(events, told...)
			return err
		})
	}
	err = g.Wait()
	return n, events, err
}
