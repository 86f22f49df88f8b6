package engine

import (
	"slices"
	"strings"
)

// A bound is one end of a range of an index: the first bytes of a key, and
// optionally the path of a document. An entry whose key starts with these bytes
// is equal to the bound.
type bound struct {
	key       string
	name      string // "" for none
	inclusive bool
}

func (b bound) compareEntry(e entry) int {
	k := e.key
	if len(k) > len(b.key) {
		k = k[:len(b.key)]
	}
	if c := strings.Compare(k, b.key); c != 0 || b.name == "" {
		return c
	}
	return comparePaths(e.doc.path, b.name)
}

// A plan says how to read one branch of a query: a range of an index, forwards
// or backwards, and the conditions that the range does not satisfy.
type plan struct {
	parts       []part
	pinned      int // number of parts whose value all entries share; the orders follow
	sharedBytes int // number of bytes of the key that all entries share; the rest is the order
	backward    bool
	lower       []bound // entries must be above all of these
	upper       []bound // and below all of these
	pins        branch  // the conditions that fix the shared values
	rest        branch  // the conditions to check for each document
	required    []fieldPath
}

func (p *plan) aboveLower(e entry) bool {
	for _, b := range p.lower {
		if c := b.compareEntry(e); c < 0 || c == 0 && !b.inclusive {
			return false
		}
	}
	return true
}

func (p *plan) belowUpper(e entry) bool {
	for _, b := range p.upper {
		if c := b.compareEntry(e); c > 0 || c == 0 && !b.inclusive {
			return false
		}
	}
	return true
}

// planBranch chooses the index and the range for a branch. The index starts
// with the fields that are compared for equality, whose values all entries of
// the range share. The orders follow. The direction of __name__ is the
// direction of reading.
func (q *Query) planBranch(b branch) *plan {
	p := &plan{backward: q.orders[slices.IndexFunc(q.orders, func(o order) bool { return o.path == nil })].desc, required: q.required}
	var key []byte
	for _, c := range sortedBranch(b) {
		if !p.canPin(c) {
			p.rest = append(p.rest, c)
			continue
		}
		p.pins = append(p.pins, c)
		pt := part{path: c.path, contains: c.op == arrayContains}
		p.parts = append(p.parts, pt)
		key = pt.appendValue(key, c.value)
	}

	p.pinned, p.sharedBytes = len(p.parts), len(key)
	prefix := string(key)
	p.lower = []bound{{key: prefix, inclusive: true}}
	p.upper = []bound{{key: prefix, inclusive: true}}
	named := p.addOrders(q.orders)
	p.narrowRange(prefix, named)
	if q.start != nil {
		p.addCursor(q.start, prefix, !p.backward, q.start.before)
	}
	if q.end != nil {
		p.addCursor(q.end, prefix, p.backward, !q.end.before)
	}

	return p
}

// byName returns the same plan on the list of all documents. It checks the
// conditions of the index for each document. It is only valid for plans whose
// only order is __name__.
func (p *plan) byName() *plan {
	out := &plan{backward: p.backward, rest: append(slices.Clip(p.rest), p.pins...), required: p.required}
	for _, b := range p.lower {
		out.lower = append(out.lower, bound{name: b.name, inclusive: b.inclusive})
	}
	for _, b := range p.upper {
		out.upper = append(out.upper, bound{name: b.name, inclusive: b.inclusive})
	}
	return out
}

// sortedBranch sorts conditions by their fields, so that the same set of fields
// uses the same index.
func sortedBranch(b branch) branch {
	b = slices.Clone(b)
	slices.SortStableFunc(b, func(x, y condition) int { return strings.Compare(x.path.String(), y.path.String()) })
	return b
}

// canPin reports whether a condition fixes the next value at the start of the
// key.
func (p *plan) canPin(c condition) bool {
	if c.path == nil || c.impliesOrder() {
		return false
	}
	return !slices.ContainsFunc(p.parts, func(x part) bool {
		return slices.Equal(x.path, c.path) && x.contains == (c.op == arrayContains)
	})
}

// addOrders appends the orders before __name__ and reports whether __name__ is
// the first order. The orders after __name__ cannot change the result, because
// names are unique. Their fields are only required.
func (p *plan) addOrders(orders []order) bool {
	for i, o := range orders {
		if o.path == nil {
			for _, behind := range orders[i+1:] {
				p.required = append(slices.Clip(p.required), behind.path)
			}
			return i == 0
		}
		p.parts = append(p.parts, part{path: o.path, desc: o.desc != p.backward})
	}
	return false
}

// narrowRange turns the conditions on the first order into bounds.
func (p *plan) narrowRange(prefix string, named bool) {
	var rest branch
	for _, c := range p.rest {
		switch {
		case c.path == nil && named && c.op != notEqual && c.op != notIn:
			p.boundName(prefix, c)
		case c.path != nil && !named && c.isRange() && p.ordersBy(c.path) && c.key[0] != kindNull && !isNaN(c.value):
			p.boundValue(prefix, c)
		default:
			rest = append(rest, c)
		}
	}
	p.rest = rest
}

// ordersBy reports whether path is the first order of the plan.
func (p *plan) ordersBy(path fieldPath) bool {
	return p.pinned < len(p.parts) && slices.Equal(p.parts[p.pinned].path, path)
}

func (p *plan) boundName(prefix string, c condition) {
	b := bound{key: prefix, name: c.name, inclusive: c.op != less && c.op != greater}
	if c.op != less && c.op != lessOrEqual {
		p.lower = append(p.lower, b)
	}
	if c.op != greater && c.op != greaterOrEqual {
		p.upper = append(p.upper, b)
	}
}

// boundValue limits the range to values of the condition's type. For numbers it
// excludes NaN.
func (p *plan) boundValue(prefix string, c condition) {
	pt := p.parts[p.pinned]
	whole := c.key[:1]
	at := func(key string, inclusive bool) bound {
		b := []byte(prefix + key)
		if pt.desc {
			invertBytes(b, len(prefix))
		}
		return bound{key: string(b), inclusive: inclusive}
	}

	low, high := at(whole, true), at(whole, true)
	if whole[0] == kindNumber {
		low = at(string(encodeValue(nil, doubleValue(nan))), false)
	}

	value := at(c.key, c.op == lessOrEqual || c.op == greaterOrEqual)
	if c.op == less || c.op == lessOrEqual {
		high = value
	} else {
		low = value
	}
	if pt.desc {
		low, high = high, low
	}

	p.lower, p.upper = append(p.lower, low), append(p.upper, high)
}

// addCursor bounds the range by a cursor. low selects the lower end of the
// index range.
func (p *plan) addCursor(c *cursor, prefix string, low, inclusive bool) {
	b := bound{inclusive: inclusive, name: c.name}
	key := []byte(prefix)
	for i, v := range c.values {
		if p.pinned+i == len(p.parts) {
			break // __name__, or an order after it
		}
		key = p.parts[p.pinned+i].appendValue(key, v)
	}

	b.key = string(key)
	if low {
		p.lower = append(p.lower, b)
	} else {
		p.upper = append(p.upper, b)
	}
}
