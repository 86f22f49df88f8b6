package store

import (
	"context"
	"errors"

	"google.golang.org/api/iterator"

	"carillon.example/shared/push"
)

// encodeAppTally returns the number of targets and the tally of each app, as a list: the
// name of an app is any text, and not any text is the name of a field.
func encodeAppTally(targets []push.Target, results []push.Result) []map[string]any {
	var out []map[string]any
	for app, counts := range push.TallyByApp(targets, results) {
		entry := map[string]any{"app": app, "size": counts.Size}
		for _, f := range tallyFields {
			if n := counts.Tally[f.result]; n > 0 {
				entry[f.name] = n
			}
		}
		out = append(out, entry)
	}
	return out
}

// closeAppTallies is like closePartTallies for the tallies of apps.
func closeAppTallies(stored any, pendingAs string) []map[string]any {
	var out []map[string]any
	list, _ := stored.([]any)
	for _, v := range list {
		fields, _ := v.(map[string]any)
		app, _ := fields["app"].(string)
		size, _ := fields["size"].(int64)
		tally, size := closeTally(fields, size, pendingAs)
		entry := map[string]any{"app": app, "size": size}
		for name, n := range tally {
			entry[name] = n
		}
		out = append(out, entry)
	}
	return out
}

// decodeAppTally adds the counts of a stored batch to byApp.
func decodeAppTally(stored any, byApp map[string]push.AppTally) {
	list, _ := stored.([]any)
	for _, v := range list {
		fields, _ := v.(map[string]any)
		app, _ := fields["app"].(string)
		var counts push.AppTally
		counts.Size, _ = fields["size"].(int64)
		for _, f := range tallyFields {
			counts.Tally[f.result], _ = fields[f.name].(int64)
		}
		sum := byApp[app]
		sum.Add(counts)
		byApp[app] = sum
	}
}

// sumAppTotals computes the sums of the tokens of each app of a mailing whose batches do not
// change any more. It reads one field of each batch: a read for up to 1,000 tokens. What
// the batches do not name counts as push.UnknownApp, so that the sums are always those of
// the mailing; all is a tally of its tokens.
func (s *Store) sumAppTotals(ctx context.Context, mailing string, all push.AppTally) (map[string]push.TokenTotals, error) {
	byApp, rest := map[string]push.AppTally{}, all
	snaps := s.mailingDocument(mailing).Collection("batches").Select("appTally").Documents(ctx)
	defer snaps.Stop()
	for {
		snap, err := snaps.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return nil, err
		}
		decodeAppTally(snap.Data()["appTally"], byApp)
	}

	for _, counts := range byApp {
		rest.Size -= counts.Size
		for r, n := range counts.Tally {
			rest.Tally[r] -= n
		}
	}
	if rest != (push.AppTally{}) {
		sum := byApp[push.UnknownApp]
		sum.Add(rest)
		byApp[push.UnknownApp] = sum
	}
	return push.AppTotals(byApp), nil
}
