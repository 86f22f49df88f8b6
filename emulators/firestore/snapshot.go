package firestore

import (
	"bytes"
	"errors"
	"io"
	"net/http"

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

// Replace replaces all documents of all databases by those of a snapshot that Save wrote, while
// the server runs. Listeners get every document again. The create times are those of the
// snapshot, and the update time of all documents is the time of Replace. It fails, and changes
// nothing, if the snapshot is not complete or a transaction is open (ErrOpenTransactions).
func (s *Server) Replace(r io.Reader) (Contents, error) { return s.engine.Replace(r) }

// ErrOpenTransactions is the error of Replace while a transaction is open.
var ErrOpenTransactions = engine.ErrOpenTransactions

// serveSnapshot answers with what Save writes. It is in memory first, so that a slow client does
// not hold up other saves.
func (s *Server) serveSnapshot(w http.ResponseWriter, _ *http.Request) {
	var saved bytes.Buffer
	if _, err := s.Save(&saved); err != nil {
		writeProblem(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	_, _ = saved.WriteTo(w) // the client may have disconnected
}

// replaceSnapshot replaces the documents by those of the body, and answers with their number.
func (s *Server) replaceSnapshot(w http.ResponseWriter, r *http.Request) {
	c, err := s.Replace(r.Body)
	switch {
	case errors.Is(err, ErrOpenTransactions):
		writeProblem(w, http.StatusConflict, err.Error())
	case err != nil:
		writeProblem(w, http.StatusBadRequest, "the snapshot cannot be used, and nothing was changed: "+err.Error())
	default:
		writeJSON(w, map[string]int{"databases": c.Databases, "documents": c.Documents})
	}
}

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
