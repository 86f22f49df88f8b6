package engine

import (
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// An operator of a condition. The unary filters of requests are conditions too:
// "is null" is equality with null, "is not NaN" is inequality with NaN.
type operator int

const (
	equal operator = iota
	notEqual
	less
	lessOrEqual
	greater
	greaterOrEqual
	arrayContains
	notIn
)

// A condition compares one field with a value.
type condition struct {
	path   fieldPath // nil is __name__
	op     operator
	value  *pb.Value
	key    string   // the encoded value
	none   []string // the encoded values that notIn excludes
	name   string   // for __name__: the path of the document to compare with
	inList bool     // one of the values of in or array-contains-any
}

// impliesOrder reports whether a condition selects a range of its field. The query is
// then ordered by the field, even without an explicit order.
func (c condition) impliesOrder() bool { return c.op != equal && c.op != arrayContains }

// isRange reports whether the operator is less, greater, or one of them with equality.
func (c condition) isRange() bool { return c.op >= less && c.op <= greaterOrEqual }

func (c condition) matchesValue(v *pb.Value) bool {
	switch c.op {
	case equal:
		return string(encodeValue(nil, v)) == c.key
	case notEqual:
		return kindOf(v) != kindNull && string(encodeValue(nil, v)) != c.key
	case notIn:
		return kindOf(v) != kindNull && !slices.Contains(c.none, string(encodeValue(nil, v)))
	case arrayContains:
		for _, e := range v.GetArrayValue().GetValues() {
			if string(encodeValue(nil, e)) == c.key {
				return true
			}
		}
		return false
	}

	return c.inRange(v)
}

// inRange compares only with values of the same type. No value is less or
// greater than null or NaN.
func (c condition) inRange(v *pb.Value) bool {
	if kindOf(v) != c.key[0] || c.key[0] == kindNull || isNaN(v) || isNaN(c.value) {
		return false
	}

	x := strings.Compare(string(encodeValue(nil, v)), c.key)
	switch c.op {
	case less:
		return x < 0
	case lessOrEqual:
		return x <= 0
	case greater:
		return x > 0
	default:
		return x >= 0
	}
}

// A branch is a list of conditions that must all match. A filter is a list of
// branches of which one must match: the disjunctive normal form.
type branch []condition

func (b branch) matchesFields(get func(fieldPath) (*pb.Value, bool)) bool {
	for _, c := range b {
		if v, ok := get(c.path); !ok || !c.matchesValue(v) {
			return false
		}
	}
	return true
}
