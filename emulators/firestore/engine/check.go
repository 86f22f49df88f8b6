package engine

import (
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

const (
	maxDocumentSize = 1 << 20
	maxDepth        = 20 // of nested maps and arrays
	maxFieldName    = 1500
)

// checkFields checks the fields of a document or of a map in it. It rounds
// timestamps down to microseconds, as the service stores them.
func checkFields(m map[string]*pb.Value, depth int) error {
	if depth > maxDepth {
		return invalidArgument("Input nesting is deeper than the maximum of %d.", maxDepth)
	}
	for k, v := range m {
		switch {
		case k == "":
			return invalidArgument("Document fields must not be empty.")
		case len(k) > maxFieldName:
			return invalidArgument("Property name is longer than %d bytes.", maxFieldName)
		case isReserved(k) && !(depth > 1 && k == "__type__"):
			return invalidArgument("Property name %q is reserved.", k)
		}
		if err := checkValue(v, depth); err != nil {
			return err
		}
	}

	return nil
}

func checkValue(v *pb.Value, depth int) error {
	switch x := v.GetValueType().(type) {
	case *pb.Value_NullValue, *pb.Value_BooleanValue, *pb.Value_IntegerValue, *pb.Value_DoubleValue,
		*pb.Value_StringValue, *pb.Value_BytesValue:
		return nil
	case *pb.Value_MapValue:
		if isVector(x.MapValue) {
			return checkVector(v)
		}
		return checkFields(x.MapValue.GetFields(), depth+1)
	case *pb.Value_ArrayValue:
		return checkArray(x.ArrayValue.GetValues(), depth+1)
	case *pb.Value_TimestampValue:
		if x.TimestampValue.CheckValid() != nil {
			return invalidArgument("Timestamp is outside of the years 1 to 9999.")
		}
		x.TimestampValue.Nanos -= x.TimestampValue.Nanos % 1000
		return nil
	case *pb.Value_ReferenceValue:
		_, _, err := parseDocName(x.ReferenceValue)
		return err
	case *pb.Value_GeoPointValue:
		lat, lng := x.GeoPointValue.GetLatitude(), x.GeoPointValue.GetLongitude()
		if !(lat >= -90 && lat <= 90 && lng >= -180 && lng <= 180) {
			return invalidArgument("Geo point (%g, %g) is out of range.", lat, lng)
		}
		return nil
	}

	return invalidArgument("A value has no type that can be stored.")
}

func checkArray(vs []*pb.Value, depth int) error {
	if depth > maxDepth {
		return invalidArgument("Input nesting is deeper than the maximum of %d.", maxDepth)
	}
	for _, e := range vs {
		if kindOf(e) == kindArray {
			return invalidArgument("Cannot convert an array value in an array value.")
		}
		if err := checkValue(e, depth); err != nil {
			return err
		}
	}
	return nil
}

const maxDimensions = 2048

func checkVector(v *pb.Value) error {
	vs := vectorOf(v)
	if len(v.GetMapValue().GetFields()) != 2 || len(vs) == 0 || len(vs) > maxDimensions {
		return invalidArgument("A vector has 1 to %d dimensions and nothing else.", maxDimensions)
	}
	for _, e := range vs {
		if kindOf(e) != kindNumber {
			return invalidArgument("A vector holds numbers only.")
		}
	}
	return nil
}

// The functions below compute sizes in bytes as Firestore documents them under "Storage size calculations".

func documentSize(path string, fields map[string]*pb.Value) int {
	return nameSize(path) + fieldsSize(fields) + 32
}

func nameSize(path string) int { return 16 + len(path) + 1 }

func fieldsSize(m map[string]*pb.Value) int {
	n := 0
	for k, v := range m {
		n += len(k) + 1 + valueSize(v)
	}
	return n
}

func valueSize(v *pb.Value) int {
	switch x := v.GetValueType().(type) {
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue, *pb.Value_TimestampValue:
		return 8
	case *pb.Value_StringValue:
		return len(x.StringValue) + 1
	case *pb.Value_BytesValue:
		return len(x.BytesValue)
	case *pb.Value_ReferenceValue:
		_, path, _ := strings.Cut(x.ReferenceValue, "/documents/")
		return nameSize(path)
	case *pb.Value_GeoPointValue:
		return 16
	case *pb.Value_ArrayValue:
		n := 0
		for _, e := range x.ArrayValue.GetValues() {
			n += valueSize(e)
		}
		return n
	case *pb.Value_MapValue:
		return fieldsSize(x.MapValue.GetFields()) + 32
	}

	return 1
}
