package store

import (
	"context"

	"carillon.example/shared/push"
)

// UnflagToken takes back one flag of a mailing.
func (s *Store) UnflagToken(ctx context.Context, mailing string, d push.Dead) (bool, []push.Event, error) {
	return s.unflag(ctx, mailing, d)
}
