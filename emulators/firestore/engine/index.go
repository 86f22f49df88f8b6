package engine

import (
	"slices"
	"strings"
	"sync/atomic"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// A part of an index is a field whose value is in the key.
type part struct {
	path     fieldPath
	contains bool // the key holds one element of the array instead of the whole value
	desc     bool
}

// An index lists the documents of a collection that have all its fields,
// ordered by the values and then by name. Without parts it lists all documents
// by name.
//
// live holds the entries of the current versions. past holds the entries of
// older versions that differ, for reads at a time. A reader of past compares
// each entry with the version at its read time.
type index struct {
	parts      []part
	live, past sorted
	used       atomic.Int64 // the value of uses at the last use
}

// indexID returns the identity of an index, from its parts.
func indexID(parts []part) string {
	var b strings.Builder
	for _, p := range parts {
		switch {
		case p.contains:
			b.WriteByte('@')
		case p.desc:
			b.WriteByte('-')
		default:
			b.WriteByte('+')
		}
		b.WriteString(p.path.String())
	}
	return b.String()
}

// keysOf returns the keys of a version in the index: none when a field is
// missing, otherwise one, or one per element of an array.
func (ix *index) keysOf(v *version) []string {
	if !v.exists() {
		return nil
	}
	if k, ok := ix.onlyKey(nil, v); ok {
		return []string{string(k)}
	}

	keys := [][]byte{nil}
	for _, p := range ix.parts {
		value, ok := v.body.valueAt(p.path)
		if !ok {
			return nil
		}
		if keys = p.extendKeys(keys, value); len(keys) == 0 {
			return nil
		}
	}

	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = string(k)
	}
	return out
}

// onlyKey appends the single key of a version. ok is false when the index has
// array elements or the version lacks a field.
func (ix *index) onlyKey(b []byte, v *version) ([]byte, bool) {
	for _, p := range ix.parts {
		if p.contains {
			return nil, false
		}
		raw, ok := v.body.rawValueAt(p.path)
		if !ok {
			return nil, false
		}
		from := len(b)
		b = encodeRaw(b, raw)
		if p.desc {
			invertBytes(b, from)
		}
	}

	return b, true
}

// extendKeys appends a value, or each distinct element of an array, to every key.
func (p part) extendKeys(keys [][]byte, v *pb.Value) [][]byte {
	if !p.contains {
		for i, k := range keys {
			keys[i] = p.appendValue(k, v)
		}
		return keys
	}

	var out [][]byte
	seen := map[string]bool{}
	for _, e := range v.GetArrayValue().GetValues() {
		enc := p.appendValue(nil, e)
		if seen[string(enc)] {
			continue
		}
		seen[string(enc)] = true
		for _, k := range keys {
			out = append(out, append(slices.Clip(k), enc...))
		}
	}

	return out
}

func (p part) appendValue(key []byte, v *pb.Value) []byte {
	from := len(key)
	key = encodeValue(key, v)
	if p.desc {
		invertBytes(key, from)
	}
	return key
}

// updateEntries replaces the entries of one version of a document with those of
// the next.
func (ix *index) updateEntries(d *document, before, after *version) {
	if len(ix.parts) == 0 && before.exists() && after.exists() {
		return
	}
	was, is := ix.keysOf(before), ix.keysOf(after)
	for _, k := range was {
		if !slices.Contains(is, k) {
			ix.live.remove(entry{k, d})
			ix.past.insert(entry{k, d})
		}
	}

	for _, k := range is {
		if !slices.Contains(was, k) {
			ix.live.insert(entry{k, d})
		}
	}
}

// dropPastEntries removes the entries that updateEntries moved to past when the version
// after was stored.
func (ix *index) dropPastEntries(d *document, after *version) {
	if !after.prev.exists() || len(ix.parts) == 0 && after.exists() {
		return
	}
	is := ix.keysOf(after)
	for _, k := range ix.keysOf(after.prev) {
		if !slices.Contains(is, k) {
			ix.past.remove(entry{k, d})
		}
	}
}
