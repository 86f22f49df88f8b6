package push

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"time"
)

// Limits of a customer's data beside the tokens. With all of them reached and 20
// tokens, the document of a customer stays below 200 KiB.
const (
	MaxCustomerSegments = 100      // segments a customer is in
	MaxCategories       = 100      // categories a customer has decided on
	MaxAttributes       = 200      // attributes of a customer
	MaxAttributeBytes   = 32 << 10 // all attributes as JSON
	maxAttributeDepth   = 4        // objects and lists within an attribute
)

// A CustomerPatch changes the data of a customer beside the tokens: a JSON merge
// patch (RFC 7396). It does not change fields that it does not name.
type CustomerPatch struct {
	Precondition *Precondition // nil: no condition
	By           string        // the caller: the source of the decisions that it changes
	At           time.Time     // the time of these decisions

	Segments    *[]string        // takes the place of all segments
	Add, Remove []string         // segments; not beside Segments
	Attributes  map[string]any   // nil values take attributes away
	OptedOut    *bool            //
	Categories  map[string]*bool // nil values take decisions back
	TimeZone    *string          // of the IANA database; "" for none

	noAttributes, noCategories bool // null: first take all away
}

// ChangesDecisions reports whether the patch changes what the customer wants: optedOut or
// categories.
func (p *CustomerPatch) ChangesDecisions() bool {
	return p.OptedOut != nil || p.Categories != nil || p.noCategories
}

// ApplyTo changes c, and reports whether anything changed. The error is Faults if c
// would exceed a limit; then c must not be stored.
func (p *CustomerPatch) ApplyTo(c *Customer) (changed bool, err error) {
	before := *c
	if p.Segments != nil {
		c.Segments = *p.Segments
	}

	c.Segments = p.patchSegments(c.Segments)
	if p.OptedOut != nil {
		c.OptedOut = *p.OptedOut
	}
	if p.TimeZone != nil {
		c.TimeZone = *p.TimeZone
	}

	c.Attributes = p.patchAttributes(c.Attributes)
	c.Categories = p.patchCategories(c.Categories)
	var f Faults
	if len(c.Segments) > MaxCustomerSegments {
		f.add("segments", "are %d; a customer is in at most %d", len(c.Segments), MaxCustomerSegments)
	}
	if len(c.Categories) > MaxCategories {
		f.add("categories", "are %d; a customer has at most %d", len(c.Categories), MaxCategories)
	}
	if len(c.Attributes) > MaxAttributes {
		f.add("attributes", "are %d; a customer has at most %d", len(c.Attributes), MaxAttributes)
	}
	if p.Attributes != nil {
		if n := jsonSize(c.Attributes); n > MaxAttributeBytes {
			f.add("attributes", "are %d bytes long together; a customer has at most %d", n, MaxAttributeBytes)
		}
	}

	c.recordConsents(&before, p.At, p.By)
	return !sameData(&before, c), f.Err()
}

// patchSegments returns a sorted copy with the segments added and removed.
func (p *CustomerPatch) patchSegments(have []string) []string {
	if len(p.Add)+len(p.Remove) == 0 {
		return have
	}
	out := slices.Concat(have, p.Add)
	slices.Sort(out)
	out = slices.Compact(out)
	return slices.DeleteFunc(out, func(name string) bool { return slices.Contains(p.Remove, name) })
}

// jsonSize returns the length of attributes as JSON, in bytes; <, > and & count as
// one each.
func jsonSize(attributes map[string]any) int {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(attributes)
	return b.Len() - 1 // without the line's end
}

func (p *CustomerPatch) patchAttributes(have map[string]any) map[string]any {
	if p.noAttributes {
		return nil
	}
	if p.Attributes == nil {
		return have
	}
	return applyMergePatch(have, p.Attributes)
}

// applyMergePatch applies a merge patch (RFC 7396) to a copy. An object that replaces something
// else begins empty.
func applyMergePatch(have, patch map[string]any) map[string]any {
	out := maps.Clone(have)
	if out == nil {
		out = map[string]any{}
	}

	for k, v := range patch {
		if v == nil {
			delete(out, k)
			continue
		}
		if inner, ok := v.(map[string]any); ok {
			old, _ := out[k].(map[string]any)
			v = applyMergePatch(old, inner)
		}
		out[k] = v
	}

	return out
}

func (p *CustomerPatch) patchCategories(have map[string]bool) map[string]bool {
	if p.noCategories {
		return nil
	}
	if p.Categories == nil {
		return have
	}

	out := maps.Clone(have)
	if out == nil {
		out = map[string]bool{}
	}

	for k, v := range p.Categories {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = *v
		}
	}

	return out
}

// sameData reports whether a and b are equal in everything that a CustomerPatch changes.
func sameData(a, b *Customer) bool {
	return a.OptedOut == b.OptedOut && a.TimeZone == b.TimeZone && slices.Equal(a.Segments, b.Segments) &&
		maps.Equal(a.Categories, b.Categories) && sameAttributes(a.Attributes, b.Attributes)
}

func sameAttributes(a, b map[string]any) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}
