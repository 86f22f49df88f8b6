package probe

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
)

// names are the invented names of one run. They are random, so that no phone, no subscriber
// and no data of the project has them.
type names struct {
	token        string // a push token in the form of real ones
	fid          string // a Firebase installation id in the form of real ones
	topic        string
	otherProject string // a project that does not exist
	collection   string // of Firestore
}

// inventNames returns new names.
func inventNames() names {
	random := func() string { return strings.ToLower(rand.Text()[:12]) }
	return names{
		token:        inventFID() + ":APA91b" + randomText(134),
		fid:          inventFID(),
		topic:        "carillon-probe-" + random(),
		otherProject: "carillon-none-" + random(),
		collection:   "carillon-probe-" + random(),
	}
}

// installation returns the part of the push token that names the installation.
func (n names) installation() string {
	id, _, _ := strings.Cut(n.token, ":")
	return id
}

// inventFID returns 22 letters of which the first is c, d, e or f, as in real ids.
func inventFID() string { return "d" + randomText(21) }

// randomText returns n random letters of the alphabet of push tokens.
func randomText(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return base64.RawURLEncoding.EncodeToString(raw)[:n]
}
