package auth

import (
	"errors"
	"fmt"
	"io"

	"carillon.example/emulators/snapshot"
)

// loadSnapshot reads a snapshot into a server that nobody uses yet; nil is an empty one.
func (s *Server) loadSnapshot(r io.Reader) error {
	if r == nil {
		return nil
	}
	in, err := snapshot.NewReader(r, snapshotName, snapshotVersion)
	if err != nil {
		return err
	}

	var of *realm // of the lines that follow
	return in.Each(func(line []byte) (err error) {
		of, err = s.loadLine(of, line)
		return err
	})
}

// loadLine loads a realm, or an account or a user id of the realm before it. It returns the
// realm of the lines that follow.
func (s *Server) loadLine(of *realm, text []byte) (*realm, error) {
	var l savedLine
	if err := snapshot.Decode(text, &l); err != nil {
		return nil, err
	}

	hasRealm, hasAccount, hasSet := l.Realm != nil, l.Account != nil, l.Set != nil
	switch {
	case hasRealm && !hasAccount && !hasSet:
		return s.loadRealm(*l.Realm)
	case hasRealm || hasAccount == hasSet:
		return nil, errors.New("it must have one of realm, account and set")
	case of == nil:
		return nil, errors.New("no realm comes before it")
	case hasSet:
		of.set[*l.Set] = true
		return of, nil
	}
	s.loaded++
	return of, of.load(l.Account)
}

// loadRealm creates a realm without accounts.
func (s *Server) loadRealm(saved savedRealm) (*realm, error) {
	key := realmKey{saved.Project, saved.Tenant}
	if key.project == "" {
		return nil, errors.New("the realm has no project")
	}
	if s.realms[key] != nil {
		return nil, fmt.Errorf("the realm of the project %q and the tenant %q is there twice", key.project, key.tenant)
	}

	m := s.openRealm(key)
	m.config = saved.Config
	return m, nil
}

// load enters an account that was saved, and finds it by its e-mail address and its phone
// number from then on. What must be unique in a realm must be so here.
func (m *realm) load(a *account) error {
	switch {
	case a.LocalID == "":
		return errors.New("the account has no localId")
	case a.TenantID != m.tenant:
		return fmt.Errorf("the account %q is of the tenant %q, and the realm before it is of %q", a.LocalID, a.TenantID, m.tenant)
	case m.accounts[a.LocalID] != nil:
		return fmt.Errorf("the account %q is there twice", a.LocalID)
	case m.byEmail[a.Email] != nil:
		return fmt.Errorf("two accounts have the e-mail address %q", a.Email)
	case m.byPhone[a.PhoneNumber] != nil:
		return fmt.Errorf("two accounts have the phone number %q", a.PhoneNumber)
	}

	m.accounts[a.LocalID] = a
	m.index(a)
	return nil
}
