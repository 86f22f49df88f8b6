package engine

import (
	"bytes"
	"cmp"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A write is a checked pb.Write.
type write struct {
	path       string
	deletes    bool
	fields     map[string]*pb.Value
	encoded    body // the encoded fields, when they replace the whole document
	merges     bool // only the fields of the mask are set or removed
	mask       []fieldPath
	transforms []transform
	condition  *pb.Precondition
}

// checkWrites checks writes. It does all work that does not need the stored
// documents, so that this runs outside of the lock.
func (db *Database) checkWrites(ws []*pb.Write) ([]write, error) {
	out := make([]write, len(ws))
	for i, w := range ws {
		var err error
		if out[i], err = db.checkWrite(w); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (db *Database) checkWrite(w *pb.Write) (out write, err error) {
	name := writtenName(w)
	database, path, err := parseDocName(name)
	if err != nil {
		return out, err
	}
	if database != db.name {
		return out, invalidArgument("Document %.200q is not in database %q.", name, db.name)
	}

	out = write{path: path, condition: w.GetCurrentDocument()}
	transforms := w.GetUpdateTransforms()
	switch op := w.GetOperation().(type) {
	case *pb.Write_Delete:
		out.deletes = true
		return out, nil
	case *pb.Write_Transform:
		out.merges = true
		transforms = op.Transform.GetFieldTransforms()
	case *pb.Write_Update:
		if err := out.setFields(op.Update.GetFields(), w.GetUpdateMask()); err != nil {
			return out, err
		}
	default:
		return out, invalidArgument("Write has no operation.")
	}
	if out.transforms, err = newTransforms(transforms); err != nil {
		return out, err
	}
	if !out.merges && len(out.transforms) == 0 {
		if out.encoded, err = newBody(out.fields); err == nil {
			err = db.checkSize(path, out.fields)
		}
	}

	return out, err
}

func (w *write) setFields(fields map[string]*pb.Value, mask *pb.DocumentMask) (err error) {
	w.fields, w.merges = fields, mask != nil
	if err := checkFields(fields, 1); err != nil {
		return err
	}
	w.mask, err = parseMask(mask)
	return err
}

// writtenName returns the name of the document that a write changes.
func writtenName(w *pb.Write) string {
	return cmp.Or(w.GetUpdate().GetName(), w.GetDelete(), w.GetTransform().GetDocument())
}

func (db *Database) checkSize(path string, fields map[string]*pb.Value) error {
	if n := documentSize(path, fields); n > maxDocumentSize {
		return invalidArgument("Document '%s' cannot be written because its size (%d bytes) exceeds the maximum allowed size of %d bytes.", db.documentsPrefix()+path, n, maxDocumentSize)
	}
	return nil
}

// checkCondition checks the precondition of a write against the stored version.
func (db *Database) checkCondition(w write, cur *version) error {
	switch c := w.condition.GetConditionType().(type) {
	case *pb.Precondition_Exists:
		if c.Exists && !cur.exists() {
			return status.Errorf(codes.NotFound, "No document to update: %s", db.documentsPrefix()+w.path)
		}
		if !c.Exists && cur.exists() {
			return status.Errorf(codes.AlreadyExists, "Document already exists: %s", db.documentsPrefix()+w.path)
		}
	case *pb.Precondition_UpdateTime:
		var stored instant // a missing document has no version
		if cur.exists() {
			stored = cur.at
		}
		if want := toInstant(c.UpdateTime); stored != want {
			return status.Errorf(codes.FailedPrecondition, "the stored version (%d) does not match the required base version (%d)", stored, want)
		}
	}

	return nil
}

// applyWrite returns the version that a write makes from the current one, and the
// write result. A write that changes nothing returns cur.
func (db *Database) applyWrite(w write, cur *version, at instant) (*version, *pb.WriteResult, error) {
	res := &pb.WriteResult{}
	if err := db.checkCondition(w, cur); err != nil {
		return nil, nil, err
	}
	if w.deletes {
		if !cur.exists() {
			return cur, res, nil
		}
		return &version{at: at, created: gone}, res, nil
	}

	b := w.encoded
	if w.merges || len(w.transforms) > 0 {
		fields, results, err := w.mergeFields(cur, at)
		if err != nil {
			return nil, nil, err
		}
		if err := db.checkSize(w.path, fields); err != nil {
			return nil, nil, err
		}
		if b, err = newBody(fields); err != nil {
			return nil, nil, err
		}
		res.TransformResults = results
	}
	if cur.exists() && bytes.Equal(cur.body, b) {
		res.UpdateTime = toTimestamp(cur.at)
		return cur, res, nil
	}

	v := &version{at: at, created: at, body: b}
	if cur.exists() {
		v.created = cur.created
	}

	res.UpdateTime = toTimestamp(at)
	return v, res, nil
}

// mergeFields returns the fields after the mask and the transforms are applied.
func (w write) mergeFields(cur *version, at instant) (map[string]*pb.Value, []*pb.Value, error) {
	fields := w.fields
	if w.merges {
		fields = nil
		if cur.exists() {
			fields = cur.body.decodeFields()
		}
		for _, p := range w.mask {
			v, _ := fieldAt(w.fields, p)
			fields = withField(fields, p, v)
		}
	}

	var results []*pb.Value
	for _, t := range w.transforms {
		old, _ := fieldAt(fields, t.path)
		v, result := t.apply(old, at)
		fields = withField(fields, t.path, v)
		results = append(results, result)
	}
	if len(w.transforms) > 0 || len(w.mask) > 0 {
		if err := checkFields(fields, 1); err != nil { // a field path may be too deep
			return nil, nil, err
		}
	}

	return fields, results, nil
}
