package engine

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"carillon.example/emulators/snapshot"
)

// Load reads what Save wrote into an engine that nobody has used yet. The documents keep their
// create and update times. History does not survive: a read at a time before Load is too old,
// and a listener that resumes gets all its results again. If Load fails, the error says where the
// snapshot is wrong, and the engine has a part of it and must not be used.
func (e *Engine) Load(r io.Reader) (Contents, error) {
	in, err := snapshot.NewReader(r, snapshotName, snapshotVersion)
	if err != nil {
		return Contents{}, err
	}

	var c Contents
	latest := max(e.opt.Now().UnixMicro(), in.At().UnixMicro())
	err = in.Each(func(line []byte) error {
		updated, err := e.loadDocument(line)
		if err != nil {
			return errors.New(status.Convert(err).Message())
		}
		latest = max(latest, updated)
		c.Documents++
		return nil
	})
	if err != nil {
		return Contents{}, err
	}

	e.mu.Lock()
	defer e.mu.Unlock()
	for _, db := range e.databases {
		db.beginHistory(latest)
	}
	c.Databases = len(e.databases)
	return c, nil
}

// loadDocument stores a document of a snapshot, and returns its update time.
func (e *Engine) loadDocument(line []byte) (updated instant, err error) {
	var d pb.Document
	if err := protojson.Unmarshal(line, &d); err != nil {
		return 0, err
	}

	name, path, err := parseDocName(d.GetName())
	if err != nil {
		return 0, err
	}
	v, err := newVersion(&d)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", d.GetName(), err)
	}

	db, err := e.Database(name)
	if err != nil {
		return 0, err
	}
	if err := db.checkSize(path, d.GetFields()); err != nil {
		return 0, err
	}
	return v.at, db.addLoaded(path, v)
}

// newVersion returns the version that a document of a snapshot describes.
func newVersion(d *pb.Document) (*version, error) {
	if err := errors.Join(d.GetCreateTime().CheckValid(), d.GetUpdateTime().CheckValid()); err != nil {
		return nil, fmt.Errorf("createTime or updateTime: %w", err)
	}
	v := &version{at: toInstant(d.GetUpdateTime()), created: toInstant(d.GetCreateTime())}
	if v.created > v.at {
		return nil, fmt.Errorf("it was created at %s, after its update at %s", time.UnixMicro(v.created).UTC(), time.UnixMicro(v.at).UTC())
	}

	err := checkFields(d.GetFields(), 1)
	if err == nil {
		v.body, err = newBody(d.GetFields())
	}
	return v, err
}

// addLoaded adds a document that the database does not have. It writes no history.
func (db *Database) addLoaded(path string, v *version) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.documents.get(path) != nil {
		return fmt.Errorf("%s%s is there twice", db.documentsPrefix(), path)
	}

	db.addDocument(strings.Clone(path), v) // it is a part of the name, which would stay in memory with it
	return nil
}

// addDocument adds a document that the database does not have. It writes no history. db.mu must
// be held.
func (db *Database) addDocument(path string, v *version) {
	d := &document{path: path, last: v, in: db.collectionAt(parentPath(path))}
	db.documents.put(d)
	d.in.size++
	d.in.names.updateEntries(d, nil, v)
}

// beginHistory makes a time the beginning of all that can be read. A client may have a read
// time or a resume token from before, of commits that the snapshot does not have.
func (db *Database) beginHistory(at instant) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.clock, db.committed, db.history.lost = at, at, at
}
