package engine

import (
	"math"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

const maxTransforms = 500 // per document in one write

// A transform is a checked FieldTransform.
type transform struct {
	path fieldPath
	// apply returns the new value of the field and the transform result. old is nil when
	// the document does not have the field.
	apply func(old *pb.Value, at instant) (v, result *pb.Value)
}

func newTransforms(ts []*pb.DocumentTransform_FieldTransform) ([]transform, error) {
	if len(ts) > maxTransforms {
		return nil, invalidArgument("At most %d field transforms per document are allowed, there are %d.", maxTransforms, len(ts))
	}
	out := make([]transform, len(ts))
	for i, t := range ts {
		p, err := parseFieldPath(t.GetFieldPath())
		if err != nil {
			return nil, err
		}
		f, err := newTransformFunc(t)
		if err != nil {
			return nil, err
		}
		out[i] = transform{p, f}
	}

	return out, nil
}

func newTransformFunc(t *pb.DocumentTransform_FieldTransform) (func(*pb.Value, instant) (*pb.Value, *pb.Value), error) {
	switch x := t.GetTransformType().(type) {
	case *pb.DocumentTransform_FieldTransform_SetToServerValue:
		if x.SetToServerValue != pb.DocumentTransform_FieldTransform_REQUEST_TIME {
			return nil, invalidArgument("Unknown server value.")
		}
		return func(_ *pb.Value, at instant) (*pb.Value, *pb.Value) {
			v := requestTime(at)
			return v, v
		}, nil
	case *pb.DocumentTransform_FieldTransform_Increment:
		return numericTransform(x.Increment, sumNumbers)
	case *pb.DocumentTransform_FieldTransform_Maximum:
		return numericTransform(x.Maximum, greaterOf)
	case *pb.DocumentTransform_FieldTransform_Minimum:
		return numericTransform(x.Minimum, lesserOf)
	case *pb.DocumentTransform_FieldTransform_AppendMissingElements:
		return arrayTransform(x.AppendMissingElements.GetValues(), appendMissing)
	case *pb.DocumentTransform_FieldTransform_RemoveAllFromArray:
		return arrayTransform(x.RemoveAllFromArray.GetValues(), removeElements)
	}

	return nil, invalidArgument("Field transform has no type.")
}

// requestTime returns the commit time, rounded down to milliseconds as the
// service does.
func requestTime(at instant) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: toTimestamp(at - at%1000)}}
}

// numericTransform replaces a value that is not a number with the operand. The
// transform result is the new value.
func numericTransform(by *pb.Value, f func(old, by *pb.Value) *pb.Value) (func(*pb.Value, instant) (*pb.Value, *pb.Value), error) {
	if kindOf(by) != kindNumber {
		return nil, invalidArgument("The operand of a numeric transform must be an integer or a double.")
	}
	return func(old *pb.Value, _ instant) (*pb.Value, *pb.Value) {
		v := by
		if old != nil && kindOf(old) == kindNumber {
			v = f(old, by)
		}
		return v, v
	}, nil
}

// sumNumbers adds two numbers. Integers saturate. The sum is a double when one
// of the operands is a double.
func sumNumbers(a, b *pb.Value) *pb.Value {
	_, aInt := a.GetValueType().(*pb.Value_IntegerValue)
	_, bInt := b.GetValueType().(*pb.Value_IntegerValue)
	if !aInt || !bInt {
		return doubleValue(asDouble(a) + asDouble(b))
	}

	x, y := a.GetIntegerValue(), b.GetIntegerValue()
	switch sum := x + y; {
	case x > 0 && y > 0 && sum < 0:
		return intValue(math.MaxInt64)
	case x < 0 && y < 0 && sum >= 0:
		return intValue(math.MinInt64)
	default:
		return intValue(sum)
	}
}

// greaterOf and lesserOf keep the stored value when both are equal. NaN wins.
func greaterOf(old, by *pb.Value) *pb.Value {
	if isNaN(old) || !isNaN(by) && compareNumbers(old, by) >= 0 {
		return old
	}
	return by
}

func lesserOf(old, by *pb.Value) *pb.Value {
	if compareNumbers(old, by) <= 0 {
		return old
	}
	return by
}

// arrayTransform treats a value that is not an array as an empty array. The
// transform result is null.
func arrayTransform(by []*pb.Value, f func(old, by []*pb.Value) []*pb.Value) (func(*pb.Value, instant) (*pb.Value, *pb.Value), error) {
	if err := checkArray(by, 2); err != nil {
		return nil, err
	}
	return func(old *pb.Value, _ instant) (*pb.Value, *pb.Value) {
		return arrayValue(f(old.GetArrayValue().GetValues(), by)), nullValue
	}, nil
}

func appendMissing(old, by []*pb.Value) []*pb.Value {
	out := append([]*pb.Value{}, old...)
	for _, v := range by {
		if !containsValue(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func removeElements(old, by []*pb.Value) []*pb.Value {
	var out []*pb.Value
	for _, v := range old {
		if !containsValue(by, v) {
			out = append(out, v)
		}
	}
	return out
}
