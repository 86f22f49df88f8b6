package engine

import (
	"bytes"
	"math"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// These are the types of values in their documented order. The number is the first byte
// of an encoded value, so it also orders the entries of an index.
const (
	kindNull      = 0x10
	kindBool      = 0x18
	kindNumber    = 0x20
	kindTimestamp = 0x28
	kindString    = 0x30
	kindBytes     = 0x38
	kindReference = 0x40
	kindGeoPoint  = 0x48
	kindArray     = 0x50
	kindVector    = 0x58
	kindMap       = 0x60
)

var nullValue = &pb.Value{ValueType: &pb.Value_NullValue{}}

func kindOf(v *pb.Value) byte {
	switch x := v.GetValueType().(type) {
	case *pb.Value_BooleanValue:
		return kindBool
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue:
		return kindNumber
	case *pb.Value_TimestampValue:
		return kindTimestamp
	case *pb.Value_StringValue:
		return kindString
	case *pb.Value_BytesValue:
		return kindBytes
	case *pb.Value_ReferenceValue:
		return kindReference
	case *pb.Value_GeoPointValue:
		return kindGeoPoint
	case *pb.Value_ArrayValue:
		return kindArray
	case *pb.Value_MapValue:
		if isVector(x.MapValue) {
			return kindVector
		}
		return kindMap
	}

	return kindNull
}

// isVector reports whether a map is a vector in the form that the SDKs send.
func isVector(m *pb.MapValue) bool {
	return m.GetFields()["__type__"].GetStringValue() == "__vector__"
}

func vectorOf(v *pb.Value) []*pb.Value {
	return v.GetMapValue().GetFields()["value"].GetArrayValue().GetValues()
}

func isNaN(v *pb.Value) bool {
	d, ok := v.GetValueType().(*pb.Value_DoubleValue)
	return ok && math.IsNaN(d.DoubleValue)
}

func asDouble(v *pb.Value) float64 {
	if i, ok := v.GetValueType().(*pb.Value_IntegerValue); ok {
		return float64(i.IntegerValue)
	}
	return v.GetDoubleValue()
}

func equalValues(a, b *pb.Value) bool {
	return string(encodeValue(nil, a)) == string(encodeValue(nil, b))
}

func containsValue(vs []*pb.Value, v *pb.Value) bool {
	return slices.ContainsFunc(vs, func(x *pb.Value) bool { return equalValues(x, v) })
}

func intValue(i int64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: i}}
}

func doubleValue(f float64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: f}}
}

func arrayValue(vs []*pb.Value) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: vs}}}
}

func mapValue(m map[string]*pb.Value) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: m}}}
}

func referenceValue(name string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: name}}
}

func compareNumbers(a, b *pb.Value) int {
	return bytes.Compare(encodeValue(nil, a), encodeValue(nil, b))
}
