package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// This file parses a firestore.indexes.json as firebase-tools does: with
// comments, and with the keys of older versions (collectionId, mode) beside the
// current ones.

// oldArray is the value of mode that older files use for arrayConfig.
const oldArray = "ARRAY_CONTAINS"

// indexKeys are the known keys at each level of the file. Keys that do not
// affect which queries an index serves are accepted and ignored.
var indexKeys = map[string][]string{
	"":                       {"indexes", "fieldOverrides"},
	"indexes":                {"collectionGroup", "collectionId", "queryScope", "apiScope", "density", "multikey", "unique", "fields"},
	"indexes.fields":         {"fieldPath", "order", "mode", "arrayConfig", "vectorConfig"},
	"fieldOverrides":         {"collectionGroup", "fieldPath", "ttl", "indexes"},
	"fieldOverrides.indexes": {"order", "arrayConfig", "queryScope", "apiScope", "density", "multikey", "unique"},
}

// ParseIndexes parses a file like firestore.indexes.json. name is that of the file, for the texts
// of errors, also of those of queries. The error joins all faults of the file. An unknown key is a fault, because a typing error would otherwise
// make the service refuse a query.
func ParseIndexes(name string, b []byte) (*Indexes, error) {
	b = withoutComments(b)
	var file any
	ix := &Indexes{file: name}
	if err := errors.Join(json.Unmarshal(b, &file), json.Unmarshal(b, ix)); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}

	faults := unknownKeys(file, "", "")
	for i := range ix.Composite {
		c := &ix.Composite[i]
		c.convertOldForms()
		if c.Group == "" || len(c.Fields) == 0 {
			faults = append(faults, fmt.Errorf("indexes[%d] lacks collectionGroup or fields", i))
		}
		for j, f := range c.Fields {
			if _, err := queryPath(f.Path); err != nil {
				faults = append(faults, fmt.Errorf("indexes[%d].fields[%d]: %w", i, j, err))
			}
			if f.Order == "" && f.Array == "" && f.Other == nil {
				faults = append(faults, fmt.Errorf("indexes[%d].fields[%d] lacks order, arrayConfig or vectorConfig", i, j))
			}
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return ix, nil
}

// convertOldForms converts the forms of older versions to the current ones.
func (c *compositeIndex) convertOldForms() {
	if c.Group == "" {
		c.Group = c.OldGroup
	}
	if c.Scope == "" {
		c.Scope = inCollection
	}

	for j := range c.Fields {
		f := &c.Fields[j]
		switch {
		case f.Mode == "" || f.Order != "" || f.Array != "":
		case f.Mode == oldArray:
			f.Array = elements
		default:
			f.Order = f.Mode
		}
		f.Mode = ""
	}
}

// unknownKeys reports the unknown keys in a value of the file, in the order of
// the file's lists. level selects the known keys in indexKeys; at is the place
// for the fault.
func unknownKeys(value any, level, at string) (faults []error) {
	switch v := value.(type) {
	case []any:
		for i, x := range v {
			faults = append(faults, unknownKeys(x, level, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		known, listed := indexKeys[level]
		if !listed {
			return nil
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if !slices.Contains(known, name) {
				faults = append(faults, fmt.Errorf("%s has the unknown key %q: %s are known", levelName(at), name, known))
				continue
			}
			faults = append(faults, unknownKeys(v[name], joinLevels(level, name), joinLevels(at, name))...)
		}
	}

	return faults
}

func joinLevels(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

func levelName(at string) string {
	if at == "" {
		return "the file"
	}
	return at
}

// withoutComments overwrites comments (// and /* */ outside of strings) and a
// byte order mark with spaces. Offsets stay the same, so that faults name the
// right place.
func withoutComments(b []byte) []byte {
	b = bytes.Clone(bytes.TrimPrefix(b, []byte("\ufeff")))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			i = endOfString(b, i)
		case bytes.HasPrefix(b[i:], []byte("//")):
			i = overwriteBlank(b, i, bytes.IndexByte(b[i:], '\n'))
		case bytes.HasPrefix(b[i:], []byte("/*")):
			end := bytes.Index(b[i+2:], []byte("*/"))
			if end >= 0 {
				end += 4
			}
			i = overwriteBlank(b, i, end)
		}
	}

	return b
}

// endOfString returns the end of the string that begins at i, or the end of the
// text.
func endOfString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}

// overwriteBlank overwrites length bytes from i, or the rest when length is
// negative, and returns the last offset that it overwrites.
func overwriteBlank(b []byte, i, length int) int {
	end := len(b)
	if length >= 0 {
		end = i + length
	}
	for j := i; j < end; j++ {
		if b[j] != '\n' {
			b[j] = ' '
		}
	}
	return end - 1
}
