package engine

import (
	"fmt"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// A body holds the fields of a document in wire format: the entries of the map
// Document.fields, ordered by key. It is small, it is never changed, and it is
// sent without encoding it again. Two bodies are equal when their bytes are
// equal.
type body []byte

// These are the field numbers of the messages that this package reads and writes without generated code.
const (
	documentName, documentFields, documentCreated, documentUpdated = 1, 2, 3, 4
	valueBool, valueInteger, valueDouble, valueMap, valueString    = 1, 2, 3, 6, 17
	mapFields                                                      = 1
	entryKey, entryValue                                           = 1, 2
	timestampSeconds, timestampNanos                               = 1, 2
)

func newBody(fields map[string]*pb.Value) (body, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&pb.Document{Fields: fields})
	if err != nil {
		return nil, invalidArgument("Document cannot be encoded: %v", err)
	}
	return b, nil
}

// decodeFields decodes the whole body.
func (b body) decodeFields() map[string]*pb.Value {
	var d pb.Document
	if err := proto.Unmarshal(b, &d); err != nil {
		panic(fmt.Sprintf("a stored document does not decode: %v", err)) // this package encoded it
	}
	return d.Fields
}

// rawValueAt returns the encoded value at path.
func (b body) rawValueAt(path fieldPath) (raw []byte, ok bool) {
	raw, ok = findEntry(b, documentFields, path[0])
	for _, name := range path[1:] {
		if !ok {
			return nil, false
		}
		var m []byte
		if m, ok = findBytes(raw, valueMap); ok {
			raw, ok = findEntry(m, mapFields, name)
		}
	}
	return raw, ok
}

// valueAt decodes only the field at path.
func (b body) valueAt(path fieldPath) (*pb.Value, bool) {
	raw, ok := b.rawValueAt(path)
	if !ok {
		return nil, false
	}
	return decodeValue(raw), true
}

func decodeValue(raw []byte) *pb.Value {
	v := &pb.Value{}
	if err := proto.Unmarshal(raw, v); err != nil {
		panic(fmt.Sprintf("a stored value does not decode: %v", err)) // this package encoded it
	}
	return v
}

// findEntry returns the value of a key in a map. The map is field number n of
// message b.
func findEntry(b []byte, n protowire.Number, key string) ([]byte, bool) {
	for len(b) > 0 {
		num, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return nil, false
		}
		if num != n || typ != protowire.BytesType {
			size := protowire.ConsumeFieldValue(num, typ, b[tag:])
			if size < 0 {
				return nil, false
			}
			b = b[tag+size:]
			continue
		}
		e, size := protowire.ConsumeBytes(b[tag:])
		if size < 0 {
			return nil, false
		}
		if k, _ := findBytes(e, entryKey); string(k) == key {
			v, _ := findBytes(e, entryValue)
			return v, true
		}
		b = b[tag+size:]
	}

	return nil, false
}

func findBytes(b []byte, n protowire.Number) ([]byte, bool) {
	for len(b) > 0 {
		num, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return nil, false
		}
		size := protowire.ConsumeFieldValue(num, typ, b[tag:])
		if size < 0 {
			return nil, false
		}
		if num == n && typ == protowire.BytesType {
			v, _ := protowire.ConsumeBytes(b[tag:])
			return v, true
		}
		b = b[tag+size:]
	}

	return nil, false
}

// An instant is a point in time with Firestore's precision: microseconds since
// 1970.
type instant = int64

func toInstant(t *timestamppb.Timestamp) instant {
	return t.GetSeconds()*1e6 + int64(t.GetNanos())/1000
}

func toTimestamp(t instant) *timestamppb.Timestamp { return timestamppb.New(time.UnixMicro(t)) }

func appendTimestamp(b []byte, n protowire.Number, t instant) []byte {
	ts := toTimestamp(t)
	size := 2 + protowire.SizeVarint(uint64(ts.Seconds)) + protowire.SizeVarint(uint64(ts.Nanos))
	b = protowire.AppendTag(b, n, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = protowire.AppendTag(b, timestampSeconds, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(ts.Seconds))
	b = protowire.AppendTag(b, timestampNanos, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(ts.Nanos))
}
