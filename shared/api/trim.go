package api

import (
	"maps"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/push"
)

// A trimmer removes from a body what would only add more faults than an answer names,
// so that finding them stays cheap: huma writes a text for each.
type trimmer struct {
	registry huma.Registry
	left     int  // how many more faults are looked for
	more     bool // something was removed
	scratch  huma.ValidateResult
}

// trim returns v without the unknown fields, and the items of lists and maps, after
// the last fault that is looked for. It changes v.
func (t *trimmer) trim(s *huma.Schema, v any) any {
	for s.Ref != "" {
		s = t.registry.SchemaFromRef(s.Ref)
	}
	switch v := v.(type) {
	case map[string]any:
		t.fields(s, v)
	case []any:
		if s.Items != nil {
			return t.items(s.Items, v)
		}
	}
	return v
}

func (t *trimmer) fields(s *huma.Schema, m map[string]any) {
	var unknown []string
	for name, v := range m {
		switch property, more := s.Properties[name], s.AdditionalProperties; {
		case property != nil:
			m[name] = t.trim(property, v)
		case more == false:
			unknown = append(unknown, name)
		}
	}
	t.spend(len(unknown), func(from int) {
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
		m[name] = t.trim(each, m[name])
		t.spend(t.faults(each, m[name]), func(int) { delete(m, name) })
	}
}

func (t *trimmer) items(s *huma.Schema, list []any) []any {
	for i := range list {
		if t.left == 0 {
			t.more = true
			return list[:i]
		}
		list[i] = t.trim(s, list[i])
		t.spend(t.faults(s, list[i]), func(int) {})
	}
	return list
}

// spend counts n faults. If fewer are left, cut removes those from that one on.
func (t *trimmer) spend(n int, cut func(from int)) {
	if n > t.left {
		t.more = true
		cut(t.left)
		n = t.left
	}
	t.left -= n
}

// faults returns how many faults a value has.
func (t *trimmer) faults(s *huma.Schema, v any) int {
	t.scratch.Reset()
	huma.Validate(t.registry, s, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &t.scratch)
	return len(t.scratch.Errors)
}

// moreFaults is the last fault of an answer that does not name all.
var moreFaults = push.Fault{Location: "body", Message: "has more faults than are named here"}
