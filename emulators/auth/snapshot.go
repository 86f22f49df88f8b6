package auth

import (
	"cmp"
	"io"
	"maps"
	"slices"

	"carillon.example/emulators/snapshot"
)

const (
	snapshotName    = "auth"
	snapshotVersion = 1
)

// A savedLine is a line of a snapshot. It has one of its fields. Accounts and user ids are of
// the realm of the last line before them that has one.
type savedLine struct {
	Realm   *savedRealm `json:"realm,omitempty"`
	Account *account    `json:"account,omitempty"`
	Set     *string     `json:"set,omitempty"` // a user id of which Set says whether it has an account
}

// A savedRealm is a realm without its accounts.
type savedRealm struct {
	Project string `json:"project"`
	Tenant  string `json:"tenant,omitempty"` // "": the project itself
	Config  config `json:"config"`
}

// A realmCopy is what a snapshot has of a realm.
type realmCopy struct {
	savedRealm
	accounts []*account // by their user ids
	set      []string   // sorted
}

// Save writes the accounts of all projects and tenants, and returns their number.
// Options.Snapshot reads this in a new server. Save may be called while requests go on, and
// after Close. It fails only if w fails; then the snapshot is not complete.
//
// It does not write the codes that were not used yet, nor the key that signs the tokens of Token. ID tokens
// of a sign-in and refresh tokens stay valid, because this server keeps nothing of them.
//
// The form is text, of which each line is one JSON object. The first line and the last one are
// those of package snapshot, and each line between them is a savedLine.
func (s *Server) Save(w io.Writer) (accounts int, err error) {
	realms := s.copyRealms()
	out := snapshot.NewWriter(w, snapshotName, snapshotVersion, s.now())
	for _, m := range realms {
		_ = out.Write(savedLine{Realm: &m.savedRealm}) // End returns the error of each line
		for _, a := range m.accounts {
			_ = out.Write(savedLine{Account: a})
		}
		for _, uid := range m.set {
			_ = out.Write(savedLine{Set: &uid})
		}
		accounts += len(m.accounts)
	}
	return accounts, out.End()
}

// copyRealms returns copies of the realms, all of one moment, by project and tenant. A realm
// that is as a new one is left out.
func (s *Server) copyRealms() []realmCopy {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []realmCopy
	for key, m := range s.realms {
		if len(m.accounts) == 0 && len(m.set) == 0 && m.config == (config{}) {
			continue
		}
		all = append(all, realmCopy{
			savedRealm: savedRealm{key.project, key.tenant, m.config},
			accounts:   copyAccounts(m.sorted()), set: slices.Sorted(maps.Keys(m.set)),
		})
	}

	slices.SortFunc(all, func(a, b realmCopy) int {
		return cmp.Or(cmp.Compare(a.Project, b.Project), cmp.Compare(a.Tenant, b.Tenant))
	})
	return all
}

// Changes returns a number that grows with every change of what Save writes, and with some
// requests that change nothing of it. It begins at 0 when the snapshot is loaded.
func (s *Server) Changes() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changes
}

// Loaded returns the number of accounts that Options.Snapshot had.
func (s *Server) Loaded() int { return s.loaded }
