package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// A firestore.indexes.json as firebase-tools reads it: with comments, and with
// the forms of older versions (collectionId, mode) beside those of today.

// oldArray is how older files say arrayConfig.
const oldArray = "ARRAY_CONTAINS"

// indexKeys are the keys known at each level of the file. Those that say nothing
// about which queries an index serves are taken and not used.
var indexKeys = map[string][]string{
	"":                       {"indexes", "fieldOverrides"},
	"indexes":                {"collectionGroup", "collectionId", "queryScope", "apiScope", "density", "multikey", "unique", "fields"},
	"indexes.fields":         {"fieldPath", "order", "mode", "arrayConfig", "vectorConfig"},
	"fieldOverrides":         {"collectionGroup", "fieldPath", "ttl", "indexes"},
	"fieldOverrides.indexes": {"order", "arrayConfig", "queryScope", "apiScope", "density", "multikey", "unique"},
}

// ParseIndexes reads a firestore.indexes.json. All of its faults are in the
// error; a key that nobody knows is one, for a typing error there would be a
// query refused elsewhere.
func ParseIndexes(b []byte) (*Indexes, error) {
	b = withoutComments(b)
	var file any
	ix := &Indexes{}
	if err := errors.Join(json.Unmarshal(b, &file), json.Unmarshal(b, ix)); err != nil {
		return nil, fmt.Errorf("read firestore.indexes.json: %w", err)
	}

	faults := unknownKeys(file, "", "")
	for i := range ix.Composite {
		c := &ix.Composite[i]
		c.upgrade()
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
		return nil, fmt.Errorf("read firestore.indexes.json: %w", err)
	}
	return ix, nil
}

// upgrade turns the forms of older versions into those of today.
func (c *compositeIndex) upgrade() {
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

// unknownKeys names the keys of a value of the file that are none, in the order
// of the file's lists; level is the place in indexKeys.
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
			faults = append(faults, unknownKeys(v[name], join(level, name), join(at, name))...)
		}
	}

	return faults
}

func join(at, name string) string {
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

// withoutComments blanks out // and /* */ outside of strings, and a byte order
// mark. Places in the text stay as they are, so that faults name them rightly.
func withoutComments(b []byte) []byte {
	b = bytes.Clone(bytes.TrimPrefix(b, []byte("\ufeff")))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			i = endOfString(b, i)
		case bytes.HasPrefix(b[i:], []byte("//")):
			i = blank(b, i, bytes.IndexByte(b[i:], '\n'))
		case bytes.HasPrefix(b[i:], []byte("/*")):
			end := bytes.Index(b[i+2:], []byte("*/"))
			if end >= 0 {
				end += 4
			}
			i = blank(b, i, end)
		}
	}

	return b
}

// endOfString is where the string that begins at i ends, or the end of the text.
func endOfString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}

// blank overwrites length bytes from i, or all that follows where length is
// negative, and returns the last place overwritten.
func blank(b []byte, i, length int) int {
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
