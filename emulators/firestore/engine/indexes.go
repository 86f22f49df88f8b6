package engine

import (
	"encoding/json"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	ascending  = "ASCENDING"
	descending = "DESCENDING"
	elements   = "CONTAINS"

	inCollection = "COLLECTION"
	inGroup      = "COLLECTION_GROUP"
)

// Indexes holds the declarations of a file like firestore.indexes.json: composite
// indexes, and fields whose automatic single-field indexes differ from the
// default.
type Indexes struct {
	Composite []compositeIndex `json:"indexes"`
	Overrides []fieldOverride  `json:"fieldOverrides"`

	file string // its name
}

type compositeIndex struct {
	Group    string         `json:"collectionGroup"`
	OldGroup string         `json:"collectionId,omitempty"` // in older files
	Scope    string         `json:"queryScope"`
	Fields   []indexedField `json:"fields"`
}

type indexedField struct {
	Path  string          `json:"fieldPath"`
	Order string          `json:"order,omitempty"`
	Mode  string          `json:"mode,omitempty"` // in older files: order or arrayConfig; empty once read
	Array string          `json:"arrayConfig,omitempty"`
	Other json.RawMessage `json:"vectorConfig,omitempty"`
}

type fieldOverride struct {
	Group   string        `json:"collectionGroup"`
	Path    string        `json:"fieldPath"`
	Indexes []singleIndex `json:"indexes"`
}

type singleIndex struct {
	Order string `json:"order"`
	Array string `json:"arrayConfig"`
	Scope string `json:"queryScope"`
}

// A need describes the index that one branch of a query requires: fields that
// have one value, the orders that follow, and the fields that an aggregation
// sums.
type need struct {
	group, scope string
	filters      []indexedField
	orders       []indexedField
	sums         []string
	nameOrder    string
}

// checkQuery refuses a query when the automatic and declared indexes do not
// suffice. Several indexes may be merged when they differ only in the fields that
// have one value. A nil *Indexes refuses nothing.
func (ix *Indexes) checkQuery(q *Query, sums []fieldPath) error {
	if ix == nil || q.nearest != nil {
		return nil
	}
	for _, b := range q.branches {
		if n := q.indexNeed(b, sums); !ix.canServe(n) {
			return n.missingIndexError(ix.file)
		}
	}
	return nil
}

func (q *Query) indexNeed(b branch, sums []fieldPath) need {
	n := need{group: q.id, scope: inCollection, nameOrder: ascending}
	if q.deep {
		n.scope = inGroup
	}

	for _, c := range b {
		f := indexedField{Path: c.path.String(), Order: ascending}
		if c.op == arrayContains {
			f.Order, f.Array = "", elements
		}
		if c.path != nil && !c.impliesOrder() && !slices.ContainsFunc(n.filters, f.sameField) {
			n.filters = append(n.filters, f)
		}
	}

	for _, o := range q.orders {
		f := indexedField{Path: o.path.String(), Order: directionName(o.desc)}
		if o.path == nil {
			n.nameOrder = f.Order
			break
		}
		if !slices.ContainsFunc(n.filters, func(x indexedField) bool { return x.Path == f.Path && x.Array == "" }) {
			n.orders = append(n.orders, f)
		}
	}

	n.addSums(sums)
	return n
}

func (n *need) addSums(sums []fieldPath) {
	all := slices.Concat(n.filters, n.orders)
	for _, p := range sums {
		known := func(f indexedField) bool { return f.Path == p.String() && f.Array == "" }
		if !slices.ContainsFunc(all, known) && !slices.Contains(n.sums, p.String()) {
			n.sums = append(n.sums, p.String())
		}
	}
}

func directionName(desc bool) string {
	if desc {
		return descending
	}
	return ascending
}

// sameField compares field and array mode. The direction does not matter for a
// field that has one value.
func (f indexedField) sameField(o indexedField) bool { return f.Path == o.Path && f.Array == o.Array }

// canServe reports whether the indexes cover the whole need.
func (ix *Indexes) canServe(n need) bool {
	open := slices.Clone(n.filters)
	found := len(n.orders) == 0 && len(n.sums) == 0
	for _, fields := range ix.candidateIndexes(n) {
		if covered, ok := n.fitsIndex(fields); ok {
			found = true
			open = slices.DeleteFunc(open, func(f indexedField) bool { return slices.ContainsFunc(covered, f.sameField) })
		}
	}
	return found && len(open) == 0
}

// candidateIndexes returns the automatic indexes of the fields of the need and
// the declared indexes of its collection group. Each one ends with the direction
// of __name__.
func (ix *Indexes) candidateIndexes(n need) [][]indexedField {
	var out [][]indexedField
	single := slices.Concat(n.filters, n.orders)
	for _, p := range n.sums {
		single = append(single, indexedField{Path: p, Order: ascending})
	}

	for _, f := range single {
		if ix.isAutomatic(n.group, n.scope, f) {
			out = append(out, []indexedField{f, {Path: nameField, Order: f.Order}})
		}
	}

	for _, c := range ix.Composite {
		if c.Group != n.group || scopeOf(c.Scope) != n.scope {
			continue
		}
		last := c.Fields[len(c.Fields)-1]
		if last.Path != nameField {
			c.Fields = append(slices.Clip(c.Fields), indexedField{Path: nameField, Order: last.Order})
		}
		out = append(out, c.Fields)
	}

	return out
}

func scopeOf(s string) string {
	if s == "" {
		return inCollection
	}
	return s
}

// fitsIndex reports whether an index consists of fields that have one value, then
// exactly the orders, then exactly the summed fields. covered holds the fields
// that have one value.
func (n need) fitsIndex(fields []indexedField) (covered []indexedField, ok bool) {
	name := fields[len(fields)-1]
	fields = fields[:len(fields)-1]
	k := len(fields) - len(n.orders) - len(n.sums)
	if k < 0 || len(n.orders) > 0 && len(n.sums) == 0 && name.Order != n.nameOrder {
		return nil, false
	}

	for _, f := range fields[:k] {
		if !slices.ContainsFunc(n.filters, f.sameField) {
			return nil, false
		}
	}

	for i, o := range n.orders {
		if f := fields[k+i]; f.Path != o.Path || f.Order != o.Order || f.Array != "" {
			return nil, false
		}
	}

	for _, f := range fields[k+len(n.orders):] {
		if f.Array != "" || !slices.Contains(n.sums, f.Path) {
			return nil, false
		}
	}
	return fields[:k], true
}

// isAutomatic reports whether a field has the single-field index. The first of
// these decides: the override of the field, the override of a map that contains
// it, the override "*" of the group, the default. The default is every index
// within a collection and no index across a group.
func (ix *Indexes) isAutomatic(group, scope string, f indexedField) bool {
	p, err := queryPath(f.Path)
	if err != nil {
		return false
	}

	for n := len(p); n >= 0; n-- {
		name := "*"
		if n > 0 {
			name = p[:n].String()
		}
		for _, o := range ix.Overrides {
			if o.Group == group && o.Path == name {
				return o.hasIndex(f, scope)
			}
		}
	}

	return scope == inCollection
}

func (o fieldOverride) hasIndex(f indexedField, scope string) bool {
	return slices.ContainsFunc(o.Indexes, func(s singleIndex) bool {
		return scopeOf(s.Scope) == scope && s.Array == f.Array && (f.Array != "" || s.Order == f.Order)
	})
}

// missingIndexError describes the index that would serve the query, in the
// format of firestore.indexes.json, and names the file that lacks it.
func (n need) missingIndexError(file string) error {
	fields := slices.Concat(n.filters, n.orders)
	for _, p := range n.sums {
		fields = append(fields, indexedField{Path: p, Order: ascending})
	}

	if len(fields) == 1 {
		f := fields[0]
		return status.Errorf(codes.FailedPrecondition, "The query requires a %s index for collection %s and field %s.", n.scope+"_"+f.Order+f.Array, n.group, f.Path)
	}

	b, err := json.Marshal(compositeIndex{Group: n.group, Scope: n.scope, Fields: fields})
	if err != nil {
		return err
	}
	return status.Errorf(codes.FailedPrecondition, "The query requires an index. Declare it in %s: %s", file, b)
}
