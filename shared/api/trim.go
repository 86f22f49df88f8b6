package api

import (
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/push"
)

// A trimmer removes those parts of a body that would only add faults beyond the number
// that an answer names. huma writes a text for each fault, so without a trimmer a body of
// faults costs much time.
type trimmer struct {
	registry huma.Registry
	left     int                 // how many more faults the answer can name
	more     bool                // a part was removed
	scratch  huma.ValidateResult // reused by countFaults
}

// trimValue returns v without the unknown fields, and without the items of lists and
// maps, that come after the last fault that is looked for. It changes v.
func (t *trimmer) trimValue(s *huma.Schema, v any) any {
	for s.Ref != "" {
		s = t.registry.SchemaFromRef(s.Ref)
	}

	switch v := v.(type) {
	case map[string]any:
		t.trimFields(s, v)
	case []any:
		if s.Items != nil {
			return t.trimItems(s.Items, v)
		}
	}
	return v
}

// trimFields trims the values of m, and removes unknown fields beyond the limit. The
// fields are sorted, so that the same body gets the same faults.
func (t *trimmer) trimFields(s *huma.Schema, m map[string]any) {
	var unknown []string
	for name, v := range m {
		switch property, more := s.Properties[name], s.AdditionalProperties; {
		case property != nil:
			m[name] = t.trimValue(property, v)
		case more == false:
			unknown = append(unknown, name)
		}
	}

	t.useUpFaults(len(unknown), func(from int) {
		slices.Sort(unknown)
		for _, name := range unknown[from:] {
			delete(m, name)
		}
	})

	each, ok := s.AdditionalProperties.(*huma.Schema)
	if !ok {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if s.Properties[name] != nil {
			continue
		}
		m[name] = t.trimValue(each, m[name])
		t.useUpFaults(t.countFaults(each, m[name]), func(int) { delete(m, name) })
	}
}

// trimItems trims the items of a list, and cuts the list where the limit is reached.
func (t *trimmer) trimItems(s *huma.Schema, list []any) []any {
	for i := range list {
		if t.left == 0 {
			t.more = true
			return list[:i]
		}
		list[i] = t.trimValue(s, list[i])
		t.useUpFaults(t.countFaults(s, list[i]), func(int) {})
	}
	return list
}

// useUpFaults subtracts n faults from those that are left. If fewer than n are left, it
// calls cut with the index of the first fault that is too many.
func (t *trimmer) useUpFaults(n int, cut func(from int)) {
	if n > t.left {
		t.more = true
		cut(t.left)
		n = t.left
	}
	t.left -= n
}

// countFaults returns how many faults a value has by its schema.
func (t *trimmer) countFaults(s *huma.Schema, v any) int {
	t.scratch.Reset()
	huma.Validate(t.registry, s, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &t.scratch)
	return len(t.scratch.Errors)
}

// moreFaults is the last fault of an answer that does not name all faults.
var moreFaults = push.Fault{Location: "body", Message: "has more faults than are named here"}
