package store

import (
	"context"
	"fmt"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// variantField is the name of a variant in stored sums. Names of fields that begin with
// a digit would have to be quoted.
func variantField(i int) string { return fmt.Sprintf("v%d", i) }

// encodeVariants returns the index of each target's variant, nil without variants.
func encodeVariants(b *push.Batch) []byte {
	if b.Variants == 0 {
		return nil
	}
	out := make([]byte, len(b.Targets))
	for i, t := range b.Targets {
		out[i] = byte(t.Variant)
	}
	return out
}

// decodeVariants gives the targets of a batch their variants.
func decodeVariants(b *push.Batch, d *batchDoc) error {
	b.Variants = len(d.VariantTally)
	if b.Variants == 0 {
		return nil
	}
	if len(d.VariantOf) != len(b.Targets) {
		return fmt.Errorf("batch %s: %w: %d targets and variants of %d", b.Batch, ErrUndecodable, len(b.Targets), len(d.VariantOf))
	}

	for i, v := range d.VariantOf {
		if int(v) >= b.Variants {
			return fmt.Errorf("batch %s: %w: variant %d of %d", b.Batch, ErrUndecodable, v, b.Variants)
		}
		b.Targets[i].Variant = int(v)
	}

	return nil
}

// encodeVariantTally returns the number of targets and the tally of each variant, nil
// without variants. Always written in full, as sums count only documents that have all
// their fields.
func encodeVariantTally(b *push.Batch) map[string]map[string]int {
	if b.Variants == 0 {
		return nil
	}
	results := make([][]push.Result, b.Variants)
	for i, t := range b.Targets {
		results[t.Variant] = append(results[t.Variant], b.Results[i])
	}
	out := make(map[string]map[string]int, b.Variants)
	for i, list := range results {
		out[variantField(i)] = encodeSizedTally(list)
	}
	return out
}

// encodeSizedTally returns the tally of a part of a batch, and how many targets the part
// has.
func encodeSizedTally(results []push.Result) map[string]int {
	out := encodeTally(push.TallyOf(results))
	out["size"] = len(results)
	return out
}

// encodeByVariant returns a number for each variant, with every field.
func encodeByVariant(n [push.MaxVariants]int64) map[string]int64 {
	out := make(map[string]int64, len(n))
	for i := range n {
		out[variantField(i)] = n[i]
	}
	return out
}

// decodeByVariant is the reverse of encodeByVariant.
func decodeByVariant(stored map[string]int64) (n [push.MaxVariants]int64) {
	for i := range n {
		n[i] = stored[variantField(i)]
	}
	return n
}

// tallyUpdates are the fields that count the results of a batch.
func tallyUpdates(b *push.Batch) []firestore.Update {
	appTally, appSums := encodeApps(b.Targets, b.Results)
	up := []firestore.Update{
		{Path: "tally", Value: encodeTally(push.TallyOf(b.Results))},
		{Path: "platformTally", Value: encodePlatformTally(b.Targets, b.Results)},
		{Path: "appTally", Value: appTally},
		{Path: "appSums", Value: appSums},
		{Path: "missingAttribute", Value: b.CountMissingAttribute()},
	}
	up = append(up, missingUpdates(b)...)
	if t := encodeVariantTally(b); t != nil {
		up = append(up, firestore.Update{Path: "variantTally", Value: t})
	}
	return up
}

// closeTally counts the pending targets of a stored tally of that many targets as a
// field of it. It returns the number of targets, which is never less than what the
// tally counts.
func closeTally(stored map[string]any, size int64, pendingAs string) (map[string]int64, int64) {
	tally, known := make(map[string]int64, len(tallyFields)), int64(0)
	for _, f := range tallyFields {
		n, _ := stored[f.name].(int64)
		tally[f.name] = n
		known += n
	}
	size = max(size, known)
	tally[pendingAs] += size - known
	return tally, size
}

// closePartTallies is like closeTally for the tallies of the parts of a batch, its variants
// or platforms; nil without any.
func closePartTallies(stored map[string]any, pendingAs string) map[string]map[string]int64 {
	var out map[string]map[string]int64
	for name, v := range stored {
		fields, _ := v.(map[string]any)
		size, _ := fields["size"].(int64)
		tally, size := closeTally(fields, size, pendingAs)
		tally["size"] = size
		if out == nil {
			out = map[string]map[string]int64{}
		}
		out[name] = tally
	}
	return out
}

// sumVariants computes the sums of each variant of a mailing, nil without variants.
func (s *Store) sumVariants(ctx context.Context, tx *firestore.Transaction, m *push.Mailing) (map[string]push.VariantTotals, error) {
	if len(m.Variants) == 0 {
		return nil, nil
	}

	var fields []string
	for i := range push.MaxVariants {
		fields = append(fields, "targetedBy."+variantField(i))
	}

	customers, err := sumFields(ctx, tx, s.mailingDocument(m.ID).Collection("shards").Query, fields...)
	if err != nil {
		return nil, err
	}

	out := map[string]push.VariantTotals{}
	for i, v := range m.Variants {
		size, tally, err := s.sumTally(ctx, tx, m.ID, "variantTally."+variantField(i)+".size", "variantTally."+variantField(i))
		if err != nil {
			return nil, err
		}
		out[v.Name] = push.VariantTotals{Customers: customers[i], TokenTotals: push.NewTokenTotals(size, tally)}
	}

	return out, nil
}
