package store

import (
	"fmt"

	"cloud.google.com/go/firestore"

	"carillon.example/shared/push"
)

// encodeMissing returns a byte for each target, 1 if its message was rendered without an
// attribute that the templates name; nil if there is none.
func encodeMissing(targets []push.Target) []byte {
	var out []byte
	for i, t := range targets {
		if !t.MissingAttribute {
			continue
		}
		if out == nil {
			out = make([]byte, len(targets))
		}
		out[i] = 1
	}
	return out
}

// decodeMissing gives the targets of a batch what encodeMissing wrote.
func decodeMissing(b *push.Batch, d *batchDoc) error {
	if len(d.MissingAttributeOf) == 0 {
		return nil
	}
	if len(d.MissingAttributeOf) != len(b.Targets) {
		return fmt.Errorf("batch %s: %w: %d targets and missing attributes of %d", b.Batch, ErrUndecodable, len(b.Targets), len(d.MissingAttributeOf))
	}
	for i, m := range d.MissingAttributeOf {
		b.Targets[i].MissingAttribute = m != 0
	}
	return nil
}

// missingUpdates returns the update of the field that says which targets lacked an attribute.
// It returns none for a batch without such a target.
func missingUpdates(b *push.Batch) []firestore.Update {
	list := encodeMissing(b.Targets)
	switch {
	case list == nil:
		return nil
	case b.Settled: // the count says all that is still needed
		return []firestore.Update{{Path: "missingAttributeOf", Value: firestore.Delete}}
	}
	return []firestore.Update{{Path: "missingAttributeOf", Value: list}}
}
