package engine

import (
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

const (
	maxBranches = 30  // disjunctions in the normal form
	maxFilters  = 100 // filters and orders of a query
	maxNotIn    = 10
	maxUnequal  = 10 // fields with inequalities
)

// A filterReader turns the filter of a request into branches.
type filterReader struct {
	databasePrefix string // prefix of the names in the database
	seen           int    // number of filters read so far
	ops            map[pb.StructuredQuery_FieldFilter_Operator]int
	unequal        map[string]fieldPath // the fields with inequalities, by name
	hasOr          bool
}

var always = []branch{{}}

func (r *filterReader) parseFilter(f *pb.StructuredQuery_Filter) ([]branch, error) {
	if r.seen++; r.seen > 2*maxFilters {
		return nil, tooComplex()
	}
	switch x := f.GetFilterType().(type) {
	case *pb.StructuredQuery_Filter_CompositeFilter:
		return r.parseComposite(x.CompositeFilter)
	case *pb.StructuredQuery_Filter_UnaryFilter:
		return r.parseUnary(x.UnaryFilter)
	case *pb.StructuredQuery_Filter_FieldFilter:
		return r.parseField(x.FieldFilter)
	}
	return nil, invalidArgument("Filter has no type.")
}

func tooComplex() error {
	return invalidArgument("The query is too complex: at most %d filters and orders are allowed.", maxFilters)
}

func (r *filterReader) parseComposite(f *pb.StructuredQuery_CompositeFilter) ([]branch, error) {
	if len(f.GetFilters()) == 0 {
		return nil, invalidArgument("Composite filter has no filters.")
	}
	or := f.GetOp() == pb.StructuredQuery_CompositeFilter_OR
	if !or && f.GetOp() != pb.StructuredQuery_CompositeFilter_AND {
		return nil, invalidArgument("Composite filter has no operator.")
	}

	r.hasOr = r.hasOr || or && len(f.GetFilters()) > 1
	var out []branch
	if !or {
		out = always
	}

	for _, sub := range f.GetFilters() {
		bs, err := r.parseFilter(sub)
		if err != nil {
			return nil, err
		}
		if or {
			out = append(out, bs...)
		} else if out, err = crossBranches(out, bs); err != nil {
			return nil, err
		}
		if len(out) > maxBranches {
			return nil, invalidArgument("The query has more than %d disjunctions in its normal form.", maxBranches)
		}
	}

	return out, nil
}

// crossBranches combines every branch of a with every branch of b.
func crossBranches(a, b []branch) ([]branch, error) {
	if len(a)*len(b) > maxBranches {
		return nil, invalidArgument("The query has more than %d disjunctions in its normal form.", maxBranches)
	}
	var out []branch
	for _, x := range a {
		for _, y := range b {
			out = append(out, append(slices.Clip(x), y...))
		}
	}
	return out, nil
}

func (r *filterReader) parseUnary(f *pb.StructuredQuery_UnaryFilter) ([]branch, error) {
	ff := &pb.StructuredQuery_FieldFilter{Field: f.GetField(), Value: nullValue, Op: pb.StructuredQuery_FieldFilter_EQUAL}
	switch f.GetOp() {
	case pb.StructuredQuery_UnaryFilter_IS_NULL:
	case pb.StructuredQuery_UnaryFilter_IS_NAN:
		ff.Value = doubleValue(nan)
	case pb.StructuredQuery_UnaryFilter_IS_NOT_NULL:
		ff.Op = pb.StructuredQuery_FieldFilter_NOT_EQUAL
	case pb.StructuredQuery_UnaryFilter_IS_NOT_NAN:
		ff.Op, ff.Value = pb.StructuredQuery_FieldFilter_NOT_EQUAL, doubleValue(nan)
	default:
		return nil, invalidArgument("Unary filter has no operator.")
	}

	return r.parseField(ff)
}

var operators = map[pb.StructuredQuery_FieldFilter_Operator]operator{
	pb.StructuredQuery_FieldFilter_EQUAL:                 equal,
	pb.StructuredQuery_FieldFilter_NOT_EQUAL:             notEqual,
	pb.StructuredQuery_FieldFilter_LESS_THAN:             less,
	pb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL:    lessOrEqual,
	pb.StructuredQuery_FieldFilter_GREATER_THAN:          greater,
	pb.StructuredQuery_FieldFilter_GREATER_THAN_OR_EQUAL: greaterOrEqual,
	pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS:        arrayContains,
	pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY:    arrayContains,
	pb.StructuredQuery_FieldFilter_IN:                    equal,
	pb.StructuredQuery_FieldFilter_NOT_IN:                notIn,
}

func (r *filterReader) parseField(f *pb.StructuredQuery_FieldFilter) ([]branch, error) {
	path, err := queryPath(f.GetField().GetFieldPath())
	if err != nil {
		return nil, err
	}

	op, ok := operators[f.GetOp()]
	if !ok {
		return nil, invalidArgument("Field filter has no operator.")
	}

	r.ops[f.GetOp()]++
	c := condition{path: path, op: op, value: f.GetValue()}
	if c.impliesOrder() {
		r.unequal[path.String()] = path
	}

	switch f.GetOp() {
	case pb.StructuredQuery_FieldFilter_IN, pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY:
		return r.anyOf(c, f.GetOp())
	case pb.StructuredQuery_FieldFilter_NOT_IN:
		return r.noneOf(c)
	}
	if c, err = r.bindValue(c, c.value); err != nil {
		return nil, err
	}

	return []branch{{c}}, nil
}

// bindValue sets the value that a condition compares with.
func (r *filterReader) bindValue(c condition, v *pb.Value) (condition, error) {
	if v.GetValueType() == nil {
		return c, invalidArgument("Filter value is missing.")
	}

	c.value, c.key = v, string(encodeValue(nil, v))
	if c.path != nil {
		return c, nil
	}
	if c.op == arrayContains {
		return c, invalidArgument("%s cannot be filtered by array-contains.", nameField)
	}

	var err error
	c.name, err = r.documentPath(v)
	return c, err
}

// documentPath returns the path of the document in a reference.
func (r *filterReader) documentPath(v *pb.Value) (string, error) {
	path, ok := strings.CutPrefix(v.GetReferenceValue(), r.databasePrefix)
	if !ok {
		return "", invalidArgument("__key__ filter value must be a Key of this database")
	}
	_, _, err := parseDocName(v.GetReferenceValue())
	return path, err
}

// anyOf handles in and array-contains-any: it returns one branch per value. Null and NaN in
// the list match nothing: the integration tests of the JavaScript SDK (query.test.ts, "can
// use IN filters" and "can use array-contains-any filters") expect this of the service.
func (r *filterReader) anyOf(c condition, op pb.StructuredQuery_FieldFilter_Operator) ([]branch, error) {
	vs := c.value.GetArrayValue().GetValues()
	if len(vs) == 0 {
		return nil, invalidArgument("'%v' requires a non-empty ArrayValue.", op)
	}
	if len(vs) > maxBranches {
		return nil, invalidArgument("'%v' supports up to %d comparison values.", op, maxBranches)
	}

	c.inList = true
	out := []branch{}
	for _, v := range vs {
		one, err := r.bindValue(c, v)
		if err != nil {
			return nil, err
		}
		if kindOf(v) != kindNull && !isNaN(v) {
			out = append(out, branch{one})
		}
	}

	return out, nil
}

func (r *filterReader) noneOf(c condition) ([]branch, error) {
	vs := c.value.GetArrayValue().GetValues()
	if len(vs) == 0 {
		return nil, invalidArgument("'NOT_IN' requires a non-empty ArrayValue.")
	}
	if len(vs) > maxNotIn {
		return nil, invalidArgument("'NOT_IN' supports up to %d comparison values.", maxNotIn)
	}

	for _, v := range vs {
		one, err := r.bindValue(c, v)
		if err != nil {
			return nil, err
		}
		c.none = append(c.none, one.key)
		if kindOf(v) == kindNull {
			return []branch{}, nil // no value is known to differ from null, so the filter matches nothing
		}
	}

	return []branch{{c}}, nil
}

// checkCombination applies the rules for combining filters.
func (r *filterReader) checkCombination(bs []branch) error {
	ne, ni := r.ops[pb.StructuredQuery_FieldFilter_NOT_EQUAL], r.ops[pb.StructuredQuery_FieldFilter_NOT_IN]
	switch {
	case ni > 1, ni > 0 && ne > 0:
		return invalidArgument("Only one NOT_IN filter is allowed, and none together with NOT_EQUAL.")
	case ni > 0 && (r.hasOr || r.ops[pb.StructuredQuery_FieldFilter_IN] > 0 || r.ops[pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS_ANY] > 0):
		return invalidArgument("NOT_IN cannot be used in the same query with OR, IN or ARRAY_CONTAINS_ANY.")
	case len(r.unequal) > maxUnequal:
		return invalidArgument("At most %d fields may have inequality filters.", maxUnequal)
	}

	for _, b := range bs {
		n := 0
		for _, c := range b {
			if c.op == arrayContains {
				n++
			}
		}
		if n > 1 {
			return invalidArgument("A maximum of 1 'ARRAY_CONTAINS' filter is allowed per disjunction.")
		}
	}

	return nil
}
