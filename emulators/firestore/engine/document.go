package engine

import (
	"math"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/encoding/protowire"
)

// gone is the creation time of a version in which the document is deleted.
const gone instant = math.MinInt64

// A version is one state of a document. Only prev ever changes. Database.mu
// guards prev.
type version struct {
	at, created instant
	body        body
	prev        *version
}

func (v *version) exists() bool { return v != nil && v.created != gone }

// A document is the list of the versions at one path, newest first.
type document struct {
	path string // below documents/
	last *version
	in   *collection
}

func (d *document) id() string { return d.path[len(d.in.path)+1:] }

// versionAt returns the state at a time, or nil when the document does not exist
// then.
func (d *document) versionAt(at instant) *version {
	if d == nil {
		return nil
	}
	v := d.last
	for v != nil && v.at > at {
		v = v.prev
	}
	if !v.exists() {
		return nil
	}
	return v
}

// A Document is the state of a document at the time of a read.
type Document struct {
	Path   string // below documents/
	prefix string // projects/P/databases/D/documents/
	v      *version
	mask   []fieldPath // the fields to return, when masked is set
	masked bool
	extra  map[string]*pb.Value // fields that a vector search adds
}

// Name returns the full name: projects/P/databases/D/documents/ and the path.
func (d *Document) Name() string { return d.prefix + d.Path }

func (d *Document) withMask(mask []fieldPath, masked bool) *Document {
	d.mask, d.masked = mask, masked
	return d
}

// Proto returns the document as a message.
func (d *Document) Proto() *pb.Document {
	m := &pb.Document{Name: d.Name()}
	if d.v == nil {
		return m
	}

	m.CreateTime, m.UpdateTime = toTimestamp(d.v.created), toTimestamp(d.v.at)
	m.Fields = d.v.body.decodeFields()

	if d.masked {
		m.Fields = selectFields(m.Fields, d.mask)
	}
	for k, v := range d.extra {
		m.Fields = withField(m.Fields, fieldPath{k}, v)
	}
	return m
}

// Append appends the document in wire format. Without a mask it copies the
// stored bytes unchanged.
func (d *Document) Append(b []byte) []byte {
	b = protowire.AppendTag(b, documentName, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(d.prefix)+len(d.Path)))
	b = append(append(b, d.prefix...), d.Path...)
	if d.v == nil {
		return b
	}

	fields := d.v.body
	if d.masked || len(d.extra) > 0 {
		fields = nil
		if len(d.mask) > 0 || len(d.extra) > 0 {
			fields, _ = newBody(d.Proto().Fields) // these fields were encoded before, so this cannot fail
		}
	}

	b = append(b, fields...)
	b = appendTimestamp(b, documentCreated, d.v.created)
	return appendTimestamp(b, documentUpdated, d.v.at)
}
