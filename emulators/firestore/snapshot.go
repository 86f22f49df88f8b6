package firestore

import (
	"io"

	"carillon.example/emulators/firestore/engine"
)

// Contents says how much a snapshot has.
type Contents = engine.Contents

// Save writes all documents of all databases as they are at one moment. Options.Snapshot reads
// this, in a new server. Save may be called while requests go on, and after Close. Transactions,
// listeners, old versions and billed operations are not saved. It fails only if w fails; then the
// snapshot is not complete.
//
// The form is text, of which each line is one JSON object. The first line and the last one are
// those of package snapshot. Each line between is a document in the REST form of
// google.firestore.v1.Document, with createTime and updateTime.
func (s *Server) Save(w io.Writer) (Contents, error) { return s.engine.Save(w) }

// Changes returns a number that grows with every change of a document. It begins at 0 when the
// snapshot is loaded.
func (s *Server) Changes() uint64 { return s.engine.Changes() }

// Loaded returns what Options.Snapshot had.
func (s *Server) Loaded() Contents { return s.loaded }

// loadSnapshot reads a snapshot, unless it is nil.
func (s *Server) loadSnapshot(r io.Reader) (err error) {
	if r == nil {
		return nil
	}
	s.loaded, err = s.engine.Load(r)
	return err
}
