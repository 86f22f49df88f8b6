package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"

	"google.golang.org/api/iterator"

	"carillon.example/shared/push"
)

// summedApps is how many apps of a batch have sums of their own in the field appSums.
const summedApps = 8

// encodeApps returns the number of targets and the tally of each app, in two forms; counts that
// are 0 are left out.
//
// tally is a list, because the name of an app is any text, and not any text is the name of a
// field. sums is for aggregation queries, by appField and the name of the count. It has at most
// summedApps apps, those with the most targets.
func encodeApps(targets []push.Target, results []push.Result) (tally []map[string]any, sums map[string]map[string]int64) {
	byApp := push.TallyByApp(targets, results)
	sums = map[string]map[string]int64{}
	for i, app := range push.AppsBySize(byApp) {
		counts := map[string]int64{"size": byApp[app].Size}
		for _, f := range tallyFields {
			if n := byApp[app].Tally[f.result]; n > 0 {
				counts[f.name] = n
			}
		}

		entry := map[string]any{"app": app}
		for name, n := range counts {
			entry[name] = n
		}
		tally = append(tally, entry)
		if i < summedApps {
			sums[appField(app)] = counts
		}
	}
	return tally, sums
}

// appField returns the name of an app as the name of a field: the name of an app may be any
// text.
func appField(app string) string {
	sum := sha256.Sum256([]byte(app))
	return "a" + hex.EncodeToString(sum[:8])
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
// change any more. What the batches do not name counts as push.UnknownApp, so that the sums are
// always those of the mailing; all is a tally of its tokens.
//
// It costs one read for each batch, that is for up to push.MaxBatch tokens. Of a mailing with
// few apps and many batches it costs sampledBatches reads and, for each app and kind of result,
// one for each 1,000 batches.
func (s *Store) sumAppTotals(ctx context.Context, mailing string, all push.AppTally) (map[string]push.TokenTotals, error) {
	byApp, err := s.addUpApps(ctx, mailing, all)
	if err != nil {
		return nil, err
	}
	if byApp == nil {
		if byApp, err = s.readAppTallies(ctx, mailing, 0); err != nil {
			return nil, err
		}
	}

	if rest := withoutApps(all, byApp); rest != (push.AppTally{}) {
		sum := byApp[push.UnknownApp]
		sum.Add(rest)
		byApp[push.UnknownApp] = sum
	}
	return push.AppTotals(byApp), nil
}

// withoutApps returns what remains of a tally without those of apps.
func withoutApps(all push.AppTally, byApp map[string]push.AppTally) push.AppTally {
	for _, counts := range byApp {
		all.Size -= counts.Size
		for r, n := range counts.Tally {
			all.Tally[r] -= n
		}
	}
	return all
}

// readAppTallies adds up the tallies of apps of a mailing's batches, or of the first ones if
// limit is not 0.
func (s *Store) readAppTallies(ctx context.Context, mailing string, limit int) (map[string]push.AppTally, error) {
	q := s.mailingDocument(mailing).Collection("batches").Select("appTally")
	if limit > 0 {
		q = q.Limit(limit)
	}
	snaps := q.Documents(ctx)
	defer snaps.Stop()

	byApp := map[string]push.AppTally{}
	for {
		snap, err := snaps.Next()
		if errors.Is(err, iterator.Done) {
			return byApp, nil
		}
		if err != nil {
			return nil, err
		}
		decodeAppTally(snap.Data()["appTally"], byApp)
	}
}

// sampledBatches is how many batches are read to learn the apps of a mailing.
const sampledBatches = 20

// addUpApps computes the sums of each app by aggregation queries, for the apps of the first
// batches. It returns nil if that would cost more than to read all batches, or if there are
// other apps too: then the sums are not those of the whole mailing.
//
// Each query has one sum, because several in one query need an index with their fields, and the
// names of apps are not known beforehand.
func (s *Store) addUpApps(ctx context.Context, mailing string, all push.AppTally) (map[string]push.AppTally, error) {
	leastBatches := int(all.Size / push.MaxBatch)
	if leastBatches <= sampledBatches {
		return nil, nil
	}
	sample, err := s.readAppTallies(ctx, mailing, sampledBatches)
	if err != nil {
		return nil, err
	}

	results := slices.DeleteFunc(slices.Clone(tallyFields), func(f tallyField) bool { return all.Tally[f.result] == 0 })
	queries := len(sample) * (1 + len(results))
	if sampledBatches+queries*(1+leastBatches/1000) >= leastBatches {
		return nil, nil
	}

	byApp := map[string]push.AppTally{}
	for app := range sample {
		if byApp[app], err = s.addUpApp(ctx, mailing, app, results); err != nil {
			return nil, err
		}
	}
	if withoutApps(all, byApp) != (push.AppTally{}) {
		return nil, nil
	}
	return byApp, nil
}

// addUpApp computes the sums of one app: the number of its targets, and those with each of some
// results.
func (s *Store) addUpApp(ctx context.Context, mailing, app string, results []tallyField) (push.AppTally, error) {
	var out push.AppTally
	batches, prefix := s.mailingDocument(mailing).Collection("batches").Query, "appSums."+appField(app)+"."
	size, err := sumFields(ctx, nil, batches, prefix+"size")
	if err != nil {
		return out, err
	}
	out.Size = size[0]

	for _, f := range results {
		n, err := sumFields(ctx, nil, batches, prefix+f.name)
		if err != nil {
			return out, err
		}
		out.Tally[f.result] = n[0]
	}
	return out, nil
}
