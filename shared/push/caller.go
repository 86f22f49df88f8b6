package push

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Caller names who made a request, as Google has verified it: the e-mail address of
// the ID token, or its subject if it has no verified address. "" is an unknown
// caller.
type Caller string

// MaxCaller is the maximum length of a caller's name in bytes: an e-mail address has at
// most 254, a subject 255.
const MaxCaller = 255

// CheckCaller returns what is wrong with a caller's name, "" if it is valid.
func CheckCaller(name Caller) string { return checkText(string(name), MaxCaller) }

// CallerWithEmail returns the caller for an e-mail address, in lower case, so that case does
// not matter in comparisons.
func CallerWithEmail(email string) Caller { return Caller(strings.ToLower(email)) }

// A Permission allows a caller some operations.
type Permission string

// The permissions. Every operation of the API needs exactly one.
const (
	PermissionRead     Permission = "read"     // show mailings, customers, settings, exports
	PermissionRegister Permission = "register" // register and remove push tokens
	PermissionProfile  Permission = "profile"  // change and import customers
	PermissionErase    Permission = "erase"    // erase customers
	PermissionSend     Permission = "send"     // create mailings and change their state
	PermissionSettings Permission = "settings" // change the settings
)

// Permissions returns all permissions, in the order of error texts.
func Permissions() []Permission {
	return []Permission{PermissionRead, PermissionRegister, PermissionProfile, PermissionErase, PermissionSend, PermissionSettings}
}

// Callers says what each caller may do. nil: every caller may do everything.
type Callers map[Caller][]Permission

// HasPermission reports whether a caller has a permission. If c is not nil, a caller that is
// not in it has none.
func (c Callers) HasPermission(caller Caller, p Permission) bool {
	return c == nil || slices.Contains(c[caller], p)
}

// UnmarshalText reads the setting CALLERS: a JSON object from caller to a list of
// permissions, as in {"crm@shop.iam.gserviceaccount.com": ["read", "send"]}. An
// empty text is nil. The error names every fault.
func (c *Callers) UnmarshalText(text []byte) error {
	*c = nil
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}

	var listed map[string][]Permission
	if err := json.Unmarshal(text, &listed); err != nil || listed == nil {
		return errors.New(`CALLERS must be a JSON object from caller to a list of permissions, as in {"crm@shop.example": ["read", "send"]}`)
	}

	callers := Callers{}
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(listed)) {
		caller := Caller(name)
		if strings.Contains(name, "@") {
			caller = CallerWithEmail(name)
		}
		if why := CheckCaller(caller); why != "" {
			faults = append(faults, fmt.Sprintf("the name %q %s", Truncate(name, 60), why))
		}
		if _, twice := callers[caller]; twice {
			faults = append(faults, fmt.Sprintf("the caller %q is listed twice", caller))
		}

		callers[caller] = listed[name]
		for _, p := range listed[name] {
			if !slices.Contains(Permissions(), p) {
				faults = append(faults, fmt.Sprintf("the caller %q has the permission %q, which is not one of %v", caller, p, Permissions()))
			}
		}
	}

	if len(faults) > 0 {
		return fmt.Errorf("CALLERS: %s", strings.Join(faults, "; "))
	}

	*c = callers
	return nil
}
