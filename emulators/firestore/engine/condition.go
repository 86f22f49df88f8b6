package engine

import (
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// An operator of a condition. The requests' unary filters are conditions too:
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

// A condition is one comparison of a field.
type condition struct {
	path   fieldPath // nil is __name__
	op     operator
	value  *pb.Value
	key    string   // the encoded value
	none   []string // encoded values that notIn excludes
	name   string   // the path of the document compared with, for __name__
	inList bool     // one of the values of in or array-contains-any
}

// ranged reports whether a condition selects a range of its field, so that the
// field is ordered by even when the query does not say so.
func (c condition) ranged() bool { return c.op != equal && c.op != arrayContains }

func (c condition) isRange() bool { return c.op >= less && c.op <= greaterOrEqual }

func (c condition) matches(v *pb.Value) bool {
	switch c.op {
	case equal:
		return string(encode(nil, v)) == c.key
	case notEqual:
		return kindOf(v) != kindNull && string(encode(nil, v)) != c.key
	case notIn:
		return kindOf(v) != kindNull && !slices.Contains(c.none, string(encode(nil, v)))
	case arrayContains:
		for _, e := range v.GetArrayValue().GetValues() {
			if string(encode(nil, e)) == c.key {
				return true
			}
		}
		return false
	}

	return c.inRange(v)
}

// inRange compares with values of the same type only; nothing is less or greater
// than null or NaN.
func (c condition) inRange(v *pb.Value) bool {
	if kindOf(v) != c.key[0] || c.key[0] == kindNull || isNaN(v) || isNaN(c.value) {
		return false
	}
	x := strings.Compare(string(encode(nil, v)), c.key)
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

// A branch is conditions that all must hold. A filter is its branches joined by
// or: the disjunctive normal form.
type branch []condition

func (b branch) matches(get func(fieldPath) (*pb.Value, bool)) bool {
	for _, c := range b {
		if v, ok := get(c.path); !ok || !c.matches(v) {
			return false
		}
	}
	return true
}
