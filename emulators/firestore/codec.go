package firestore

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"carillon.example/emulators/firestore/engine"
)

// An encoded message is a response that is already in wire format. Documents
// are stored encoded, and most responses contain little else.
type encoded []byte

// A codec is the standard codec for protocol buffers, except that it sends
// encoded messages unchanged.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

// Marshal encodes a message.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if b, ok := v.(encoded); ok {
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	out, err := c.CodecV2.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return out, nil
}

// These are the field numbers of the responses that this package encodes without generated code.
const (
	runQueryDocument, runQueryReadTime = 1, 3
	batchGetFound, batchGetReadTime    = 1, 4
)

// documentMessage returns a response that holds a document in one field and the
// read time in another. It encodes the document into scratch and returns
// scratch for the next call.
func documentMessage(scratch []byte, document, readTime protowire.Number, d *engine.Document, at []byte) (encoded, []byte) {
	scratch = d.Append(scratch[:0])
	b := make([]byte, 0, len(scratch)+len(at)+16)
	b = protowire.AppendTag(b, document, protowire.BytesType)
	b = protowire.AppendBytes(b, scratch)
	b = protowire.AppendTag(b, readTime, protowire.BytesType)
	return protowire.AppendBytes(b, at), scratch
}
