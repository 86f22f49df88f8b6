package push

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckName returns the fault of the name of a segment, category or mailing, "" if
// there is none.
func CheckName(name string) string { return checkText(name, MaxName) }

// CheckTag returns the fault of a tag of a mailing, "" if there is none.
func CheckTag(tag string) string { return checkText(tag, MaxTag) }

// CheckCustomerID returns the fault of the id of a customer, "" if there is none. A
// slash, or dots alone, cannot be in a path, however they are encoded (WHATWG URL,
// single-dot and double-dot path segments).
func CheckCustomerID(id string) string {
	if id == "/" || id == "." || id == ".." {
		return "is a slash or dots alone, which no path can name"
	}
	return checkText(id, MaxCustomerID)
}

// CheckToken returns the fault of a push token, "" if there is none. Only FCM can say
// whether the token exists.
func CheckToken(token string) string { return checkText(token, MaxToken) }

// Truncate shortens a text to at most that many bytes, with "…" at the end.
func Truncate(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// checkText returns the fault of a text that may have at most that many bytes, "" if there
// is none.
func checkText(s string, most int) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > most:
		return fmt.Sprintf("is %d bytes long; at most %d are allowed", len(s), most)
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "has control characters"
	}
	return ""
}
