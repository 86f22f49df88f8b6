package engine

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/encoding/protowire"
)

// encodeValue appends the encoding of v to b.
//
// The encoding is a string of bytes in Firestore's order of values, across
// types: 1 and 1.0 have the same key, NaN precedes all numbers, and -0 equals
// 0. No encoding is a prefix of another one. So encodings can be joined to the
// key of an index over several fields, and complemented byte by byte for
// descending order.
func encodeValue(b []byte, v *pb.Value) []byte {
	kind := kindOf(v)
	b = append(b, kind)
	switch kind {
	case kindBool:
		if v.GetBooleanValue() {
			return append(b, 1)
		}
		return append(b, 0)
	case kindNumber:
		return encodeNumber(b, v)
	case kindTimestamp:
		return binary.BigEndian.AppendUint64(b, uint64(toInstant(v.GetTimestampValue()))^1<<63)
	case kindString:
		return encodeString(b, v.GetStringValue())
	case kindBytes:
		return encodeString(b, v.GetBytesValue())
	case kindReference:
		return encodePath(b, v.GetReferenceValue())
	case kindGeoPoint:
		b = encodeDouble(b, v.GetGeoPointValue().GetLatitude())
		return encodeDouble(b, v.GetGeoPointValue().GetLongitude())
	case kindArray:
		for _, e := range v.GetArrayValue().GetValues() {
			b = encodeValue(b, e)
		}
		return append(b, 0)
	case kindVector:
		vs := vectorOf(v)
		b = binary.BigEndian.AppendUint32(b, uint32(len(vs)))
		for _, e := range vs {
			b = encodeValue(b, e)
		}
	case kindMap:
		return encodeMap(b, v.GetMapValue().GetFields())
	}

	return b
}

// encodeRaw is encodeValue for a value in wire format. It reads the common types in
// place and decodes the others.
func encodeRaw(b, raw []byte) []byte {
	num, typ, n := protowire.ConsumeTag(raw)
	switch {
	case n < 0:
	case num == valueBool && typ == protowire.VarintType:
		x, _ := protowire.ConsumeVarint(raw[n:])
		return append(b, kindBool, byte(min(x, 1)))
	case num == valueInteger && typ == protowire.VarintType:
		x, _ := protowire.ConsumeVarint(raw[n:])
		return encodeInteger(append(b, kindNumber), int64(x))
	case num == valueString && typ == protowire.BytesType:
		x, _ := protowire.ConsumeBytes(raw[n:])
		return encodeString(append(b, kindString), x)
	}

	return encodeValue(b, decodeValue(raw))
}

// encodeMap orders maps key by key, in the order of their keys, and then by
// size.
func encodeMap(b []byte, m map[string]*pb.Value) []byte {
	for _, k := range sortedKeys(m) {
		b = encodeString(append(b, 1), k)
		b = encodeValue(b, m[k])
	}
	return append(b, 0)
}

// encodeDouble maps a double to eight bytes that sort like doubles, NaN first.
func encodeDouble(b []byte, d float64) []byte {
	if math.IsNaN(d) {
		return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	}
	if d == 0 {
		d = 0 // not -0
	}

	bits := math.Float64bits(d)
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(b, bits)
}

// exact is the magnitude above which a double cannot represent every integer.
// From there on, a number is encoded as the greatest double that is not above
// it, with two bytes for the difference.
const exact = 1 << 53

func encodeNumber(b []byte, v *pb.Value) []byte {
	i, isInt := v.GetValueType().(*pb.Value_IntegerValue)
	if !isInt {
		d := v.GetDoubleValue()
		b = encodeDouble(b, d)
		if math.Abs(d) >= exact {
			b = append(b, 0, 0)
		}
		return b
	}
	return encodeInteger(b, i.IntegerValue)
}

func encodeInteger(b []byte, n int64) []byte {
	if n > -exact && n < exact {
		return encodeDouble(b, float64(n))
	}
	d := float64(n)
	if d >= 1<<63 || int64(d) > n {
		d = math.Nextafter(d, math.Inf(-1))
	}
	return binary.BigEndian.AppendUint16(encodeDouble(b, d), uint16(n-int64(d)))
}

// encodeString escapes zero bytes. It ends with a pair of bytes that sorts
// before every continuation.
func encodeString[S string | []byte](b []byte, s S) []byte {
	from := 0
	for i := range len(s) {
		if s[i] == 0 {
			b = append(append(b, s[from:i]...), 0, 0xff)
			from = i + 1
		}
	}
	return append(append(b, s[from:]...), 0, 1)
}

// encodePath orders names segment by segment, numeric ids first.
func encodePath(b []byte, name string) []byte {
	for s := range strings.SplitSeq(name, "/") {
		if n, ok := numericID(s); ok {
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(n)^1<<63)
		} else {
			b = encodeString(append(b, 2), s)
		}
	}
	return append(b, 0)
}

// invertBytes complements b from position i on, for descending order.
func invertBytes(b []byte, i int) []byte {
	for ; i < len(b); i++ {
		b[i] = ^b[i]
	}
	return b
}

func sortedKeys(m map[string]*pb.Value) []string {
	ks := make([]string, 0, len(m))
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}
