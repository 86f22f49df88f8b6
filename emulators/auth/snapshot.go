package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"carillon.example/emulators/snapshot"
)

const (
	snapshotName    = "auth"
	snapshotVersion = 1
)

// A savedLine is a line of a snapshot: the project, which comes first, or an account.
type savedLine struct {
	Project string   `json:"project,omitempty"`
	UID     string   `json:"uid,omitempty"`
	Account *Account `json:"account,omitempty"`
}

// Save writes the accounts that Set has set, and returns their number. Options.Snapshot reads
// this, in a new server of the same project. Save may be called while requests go on, and after
// Close. The key that signs tokens is not saved. It fails only if w fails; then the snapshot is
// not complete.
//
// The form is text, of which each line is one JSON object. The first line and the last one are
// those of package snapshot. The second line has the project, and each further one a uid and an
// account.
func (s *Server) Save(w io.Writer) (accounts int, err error) {
	s.mu.Lock()
	all := maps.Clone(s.accounts)
	s.mu.Unlock()

	out := snapshot.NewWriter(w, snapshotName, snapshotVersion, s.now())
	_ = out.Write(savedLine{Project: s.project}) // End returns its error
	for _, uid := range slices.Sorted(maps.Keys(all)) {
		a := all[uid]
		_ = out.Write(savedLine{UID: uid, Account: &a}) // the same
	}
	return len(all), out.End()
}

// Changes returns a number that grows with every change of an account. It begins at 0 when the
// snapshot is loaded.
func (s *Server) Changes() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// Loaded returns the number of accounts that Options.Snapshot had.
func (s *Server) Loaded() int { return s.loaded }

// loadSnapshot reads a snapshot into a server that nobody uses yet; nil is an empty one.
func (s *Server) loadSnapshot(r io.Reader) error {
	if r == nil {
		return nil
	}
	in, err := snapshot.NewReader(r, snapshotName, snapshotVersion)
	if err != nil {
		return err
	}

	for first := true; ; first = false {
		text, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := s.loadLine(text, first); err != nil {
			return in.Fault(err)
		}
	}
	s.loaded = len(s.accounts)
	return nil
}

// loadLine loads the project, which is in the first line, or an account.
func (s *Server) loadLine(text []byte, first bool) error {
	var l savedLine
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return err
	}

	if first {
		if l.Project != s.project {
			return fmt.Errorf("the accounts are of the project %q, and this server is for %q", l.Project, s.project)
		}
		return nil
	}
	if l.UID == "" || l.Account == nil {
		return errors.New("it is no account")
	}
	if _, twice := s.accounts[l.UID]; twice {
		return fmt.Errorf("the account %q is there twice", l.UID)
	}
	s.accounts[l.UID] = *l.Account
	return nil
}
