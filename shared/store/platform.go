package store

import (
	"context"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// encodePlatformTally returns the number of targets and the tally of each platform. It
// has every platform, as sums count only documents that have all their fields.
func encodePlatformTally(targets []push.Target, results []push.Result) map[string]map[string]int {
	byName := map[string][]push.Result{}
	for i, t := range targets {
		name := t.Platform.NameInSums()
		byName[name] = append(byName[name], results[i])
	}

	out := map[string]map[string]int{}
	for _, name := range push.PlatformNames() {
		out[name] = encodeSizedTally(byName[name])
	}
	return out
}

// sumPlatforms computes the sums of the tokens of each platform of a mailing. It takes
// one aggregation query, and two more for each platform that has targets. The first has
// room for one more sum: that of the tokens whose message lacked an attribute.
func (s *Store) sumPlatforms(ctx context.Context, tx *firestore.Transaction, mailing string) (platforms map[string]push.TokenTotals, missingAttribute int64, err error) {
	names := push.PlatformNames()
	var fields []string
	for _, name := range names {
		fields = append(fields, "platformTally."+name+".size")
	}

	sums, err := sumFields(ctx, tx, s.mailingDocument(mailing).Collection("batches").Query, append(fields, "missingAttribute")...)
	if err != nil {
		return nil, 0, err
	}

	platforms = map[string]push.TokenTotals{}
	for i, name := range names {
		size, tally := sums[i], push.Tally{}
		if size > 0 {
			if size, tally, err = s.sumTally(ctx, tx, mailing, fields[i], "platformTally."+name); err != nil {
				return nil, 0, err
			}
		}
		platforms[name] = push.NewTokenTotals(size, tally)
	}

	return platforms, sums[len(names)], nil
}
