package console

import (
	"fmt"
	"slices"
	"strings"

	"carillon.example/shared/push"
)

// A Role says what a person may do with the console.
type Role string

// The roles. Who may send may also look.
const (
	RoleNone Role = ""
	RoleLook Role = "look" // see everything, change nothing
	RoleSend Role = "send" // send mailings, change their state and the settings, erase customers
)

// allows reports whether a person with role r may do what needs the role least.
func (r Role) allows(least Role) bool {
	return r == RoleSend || r == RoleLook && least == RoleLook
}

// Roles lists who has which role: e-mail addresses like anna@shop.example, and domains
// like @shop.example, which stand for every address of the domain, but not of its
// subdomains.
type Roles struct{ Look, Send []string }

// of returns the highest role of a person.
func (r Roles) of(p push.Caller) Role {
	switch {
	case listed(r.Send, p):
		return RoleSend
	case listed(r.Look, p):
		return RoleLook
	}
	return RoleNone
}

func listed(list []string, p push.Caller) bool {
	name := string(p)
	at := strings.LastIndexByte(name, '@')
	if at < 1 {
		return false // a subject has no address
	}
	return slices.ContainsFunc(list, func(entry string) bool {
		entry = strings.ToLower(strings.TrimSpace(entry))
		return entry == name || entry == name[at:]
	})
}

// checkList returns the faults of the list in the environment variable name.
func checkList(name string, list []string) (faults []error) {
	for _, entry := range list {
		e := strings.TrimSpace(entry)
		if domain := e[strings.LastIndexByte(e, '@')+1:]; strings.Count(e, "@") != 1 || domain == "" || strings.ContainsAny(e, " *") {
			faults = append(faults, fmt.Errorf("%s has %q, which is neither an e-mail address nor a domain like @shop.example", name, e))
		}
	}
	return faults
}
