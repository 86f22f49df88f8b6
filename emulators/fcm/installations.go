package fcm

import (
	"maps"
	"slices"
	"strings"
	"sync"
)

// An Installation says which address FCM knows for an installation of an app. A
// registration token has the form FID:rest. The token and the FID of one installation
// exclude each other.
type Installation struct {
	FID string `json:"fid"`
	// Registered is what the app registered with FCM last: token, fid or none.
	Registered string `json:"registered"`
}

// Values of Installation.Registered.
const (
	ByToken = "token"
	ByFID   = "fid"
	ByNone  = "none"
)

// check returns the faults of an installation, by field.
func (i Installation) check() faults {
	var f faults
	if i.FID == "" || strings.ContainsAny(i.FID, ":*") {
		f = append(f, fault{"fid", "must be an installation id: the part of a token before its colon"})
	}
	if !slices.Contains([]string{ByToken, ByFID, ByNone}, i.Registered) {
		f = append(f, fault{"registered", "must be token, fid or none"})
	}
	return f
}

// installations has the registered address of each installation.
type installations struct {
	mu  sync.Mutex        // guards all
	all map[string]string // ByToken, ByFID, ByNone by FID
}

func (s *installations) set(fid, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]string{}
	}
	s.all[fid] = by
}

// registerIfUnknown registers an installation by the address of a send, if nothing is
// known about it.
func (s *installations) registerIfUnknown(fid, by string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]string{}
	}
	if s.all[fid] == "" {
		s.all[fid] = by
	}
}

func (s *installations) registeredBy(fid string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[fid]
}

func (s *installations) list() []Installation {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Installation, 0, len(s.all))
	for _, fid := range slices.Sorted(maps.Keys(s.all)) {
		out = append(out, Installation{fid, s.all[fid]})
	}
	return out
}

func (s *installations) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = nil
}

// SetInstallations sets what apps have registered. If one of them has a fault, it changes
// nothing and returns every fault. With Settings.ExclusiveInstallations, an app that has
// registered its token gets UNREGISTERED for its FID, and the other way round. With
// Settings.FIDsMustRegister, a FID that is not registered gets UNREGISTERED as well.
func (s *Server) SetInstallations(all ...Installation) error {
	if err := checkAll("setting installations", all); err != nil {
		return err
	}
	for _, i := range all {
		s.installations.set(i.FID, i.Registered)
	}
	s.publishEvent(EventChanged, "", nil)
	return nil
}

// Installations returns the known installations, sorted by FID.
func (s *Server) Installations() []Installation { return s.installations.list() }

// ClearInstallations deletes all registrations.
func (s *Server) ClearInstallations() {
	s.installations.clear()
	s.publishEvent(EventChanged, "", nil)
}

// installation returns the FID of the device, and whether the message addresses it by
// token or by FID. The form of the address decides, because the field token may also
// have a FID.
func (m *decoded) installation() (fid, by string) {
	address := m.address()
	fid, _, isToken := strings.Cut(address, ":")
	if isToken {
		return fid, ByToken
	}
	return fid, ByFID
}

// knowsAddress reports whether FCM knows the installation by the address that the
// message has.
func (s *Server) knowsAddress(p *policy, m *decoded) bool {
	if !p.ExclusiveInstallations && !p.FIDsMustRegister {
		return true
	}

	fid, by := m.installation()
	if m.target == "fid" && by == ByToken {
		return false
	}

	registered := s.installations.registeredBy(fid)
	if p.FIDsMustRegister && m.target == "fid" && registered != ByFID {
		return false
	}
	return !p.ExclusiveInstallations || registered == "" || registered == by
}
