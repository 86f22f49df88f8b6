package push

import (
	"regexp"
	"strings"
)

// MaxDevice is the longest id of a device in bytes.
const MaxDevice = 200

// CheckDevice returns the fault of the id of a device, "" if there is none.
func CheckDevice(device string) string {
	if device == "" {
		return ""
	}
	return checkText(device, MaxDevice)
}

// fidPattern is the shape of the ids of Firebase Installations: 22 characters of
// base64url whose first four bits are 0111.
var fidPattern = regexp.MustCompile(`^[cdef][A-Za-z0-9_-]{21}$`)

// minTokenSize is the size in bytes from which a value without a colon is a
// registration token of the old form: those have 140 and more, a FID has 22.
const minTokenSize = 100

// KindOf returns the kind of a push token by its shape, or the declared kind if the
// shape does not show it.
func KindOf(value string, declared Kind) Kind {
	switch {
	case strings.Contains(value, ":"), len(value) >= minTokenSize:
		return KindToken
	case fidPattern.MatchString(value):
		return KindFID
	}
	return declared
}

// InstallationOf returns the FID of the app installation that a push token belongs to.
// A FID is its own; a registration token begins with it and a colon. It is "" for a
// registration token that does not have it.
func InstallationOf(kind Kind, value string) string {
	if kind == KindFID {
		return value
	}
	fid, _, found := strings.Cut(value, ":")
	if !found {
		return ""
	}
	return fid
}

// SamePhone reports whether a newly registered token r replaces t because both reach
// the same phone: a FID and a registration token of one installation, or two tokens
// of one device and app.
func (t *Token) SamePhone(r Registration) bool {
	if t.Value == r.Value {
		return false
	}
	if r.Device != "" && t.Device == r.Device && t.App == r.App {
		return true
	}
	return t.SameInstallation(r)
}

// SameInstallation reports whether r and t are the FID and a registration token of one
// installation: the same target under two names.
func (t *Token) SameInstallation(r Registration) bool {
	fid := InstallationOf(r.Kind, r.Value)
	return fid != "" && t.Kind != r.Kind && InstallationOf(t.Kind, t.Value) == fid
}
