package engine

import (
	"math"
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

var nan = math.NaN()

type order struct {
	path fieldPath // nil is __name__
	desc bool
}

type cursor struct {
	values []*pb.Value
	name   string // the path of the document, when the values contain one
	before bool
}

// A Query is a checked StructuredQuery. It is immutable.
type Query struct {
	prefix     string // prefix of the names in the database
	parent     string // "" or a document's path
	id         string // collection id, "" for all collections
	deep       bool   // collections at any depth below parent
	branches   []branch
	orders     []order     // all orders, including __name__
	required   []fieldPath // other fields that a document must have
	start, end *cursor
	offset     int
	limit      int // -1 for none
	mask       []fieldPath
	masked     bool
	nearest    *nearest
}

// NewQuery checks a query. parent is the name of a document or documents/
// itself; the query reads collections below it.
func NewQuery(parent string, sq *pb.StructuredQuery) (*Query, error) {
	db, path, err := parseParent(parent)
	if err != nil {
		return nil, err
	}
	if len(sq.GetFrom()) != 1 {
		return nil, invalidArgument("Query must have exactly one collection selector.")
	}

	from := sq.GetFrom()[0]
	q := &Query{
		prefix: db + "/documents/", parent: path, limit: -1, offset: int(sq.GetOffset()),
		id: from.GetCollectionId(), deep: from.GetAllDescendants(), branches: always,
	}
	for _, step := range []func(*pb.StructuredQuery) error{q.readFrom, q.readLimits, q.readFilter, q.checkDescendants, q.readCursors, q.readSelect, q.readNearest} {
		if err := step(sq); err != nil {
			return nil, err
		}
	}

	return q, nil
}

func (q *Query) readFrom(*pb.StructuredQuery) error {
	if q.id == "" && q.deep {
		return nil
	}
	if strings.Contains(q.id, "/") {
		return invalidArgument("Collection id %.200q is invalid because it contains \"/\".", q.id)
	}
	return checkID(q.id)
}

func (q *Query) readLimits(sq *pb.StructuredQuery) error {
	if q.offset < 0 {
		return invalidArgument("offset must not be negative.")
	}
	if l := sq.GetLimit(); l != nil {
		if q.limit = int(l.GetValue()); q.limit < 0 {
			return invalidArgument("limit must not be negative.")
		}
	}
	return nil
}

func (q *Query) readFilter(sq *pb.StructuredQuery) error {
	r := &filterReader{databasePrefix: q.prefix, ops: map[pb.StructuredQuery_FieldFilter_Operator]int{}, unequal: map[string]fieldPath{}}
	if f := sq.GetWhere(); f != nil {
		bs, err := r.parseFilter(f)
		if err != nil {
			return err
		}
		if err := r.checkCombination(bs); err != nil {
			return err
		}
		q.branches = bs
	}
	if r.seen+len(sq.GetOrderBy()) > maxFilters {
		return tooComplex()
	}

	return q.readOrders(sq.GetOrderBy(), r.unequal)
}

// readOrders completes the explicit orders: it adds the fields with
// inequalities, sorted by name, and then __name__, in the direction of the last
// explicit order.
func (q *Query) readOrders(os []*pb.StructuredQuery_Order, unequal map[string]fieldPath) error {
	seen, desc := map[string]bool{}, false
	for _, o := range os {
		p, err := queryPath(o.GetField().GetFieldPath())
		if err != nil {
			return err
		}
		desc = o.GetDirection() == pb.StructuredQuery_DESCENDING
		if seen[p.String()] {
			return invalidArgument("order by clause cannot contain duplicate fields %s", p)
		}
		seen[p.String()] = true
		q.orders = append(q.orders, order{p, desc})
	}

	var implied []string
	for name := range unequal {
		if !seen[name] && name != nameField {
			implied = append(implied, name)
		}
	}

	slices.Sort(implied)
	for _, name := range implied {
		q.orders = append(q.orders, order{unequal[name], desc})
	}
	if !seen[nameField] {
		q.orders = append(q.orders, order{nil, desc})
	}

	return nil
}

func (q *Query) readCursors(sq *pb.StructuredQuery) (err error) {
	if q.start, err = q.readCursor(sq.GetStartAt()); err != nil {
		return err
	}
	q.end, err = q.readCursor(sq.GetEndAt())
	return err
}

func (q *Query) readCursor(c *pb.Cursor) (*cursor, error) {
	if c == nil || len(c.GetValues()) == 0 {
		return nil, nil
	}
	if len(c.GetValues()) > len(q.orders) {
		return nil, invalidArgument("Cursor has too many values.")
	}

	out := &cursor{values: c.GetValues(), before: c.GetBefore()}
	for i, v := range c.GetValues() {
		if v.GetValueType() == nil {
			return nil, invalidArgument("Cursor value %d is missing.", i)
		}
		if q.orders[i].path != nil {
			continue
		}
		var err error
		if out.name, err = (&filterReader{databasePrefix: q.prefix}).documentPath(v); err != nil {
			return nil, invalidArgument("Cursor value for %s must be a reference in this database.", nameField)
		}
	}

	return out, nil
}

func (q *Query) readSelect(sq *pb.StructuredQuery) error {
	sel := sq.GetSelect()
	if sel == nil || len(sel.GetFields()) == 0 {
		return nil
	}

	q.masked = true
	for _, f := range sel.GetFields() {
		p, err := queryPath(f.GetFieldPath())
		if err != nil {
			return err
		}
		if p != nil {
			q.mask = append(q.mask, p)
		}
	}

	return nil
}

// coversPath reports whether a document is in one of the collections of the
// query.
func (q *Query) coversPath(path string) bool {
	c := parentPath(path)
	if !q.deep {
		return c == joinPath(q.parent, q.id)
	}
	return (q.id == "" || lastSegment(c) == q.id) && (q.parent == "" || strings.HasPrefix(c, q.parent+"/"))
}

// matchesDocument reports whether a version of a covered document passes the
// filter and has all ordered fields. It ignores cursors, offset and limit.
func (q *Query) matchesDocument(path string, v *version) bool {
	if !v.exists() {
		return false
	}
	get := q.fieldGetter(path, v)
	for _, o := range q.orders {
		if _, ok := get(o.path); !ok {
			return false
		}
	}
	return q.hasRequired(v) && slices.ContainsFunc(q.branches, func(b branch) bool { return b.matchesFields(get) })
}

// isChangedBy reports whether a change of a document alters the result of the query. It
// ignores cursors, offset and limit.
func (q *Query) isChangedBy(path string, before, after *version) bool {
	return q.coversPath(path) && (q.matchesDocument(path, before) || q.matchesDocument(path, after))
}

func (q *Query) hasRequired(v *version) bool {
	for _, p := range q.required {
		if _, ok := v.body.valueAt(p); !ok {
			return false
		}
	}
	return true
}

func (q *Query) fieldGetter(path string, v *version) func(fieldPath) (*pb.Value, bool) {
	return func(p fieldPath) (*pb.Value, bool) {
		if p == nil {
			return referenceValue(q.prefix + path), true
		}
		return v.body.valueAt(p)
	}
}
