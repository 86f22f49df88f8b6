package push

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckName says what is wrong with the name of a segment, category or mailing,
// "" if nothing is.
func CheckName(name string) string { return checkText(name, MaxName) }

// CheckTag says what is wrong with a mailing's tag, "" if nothing is.
func CheckTag(tag string) string { return checkText(tag, MaxTag) }

// CheckCustomerID says what is wrong with a customer's id, "" if nothing is. A
// slash or dots alone have no path of their own, however they are encoded (WHATWG
// URL, single-dot and double-dot path segments).
func CheckCustomerID(id string) string {
	if id == "/" || id == "." || id == ".." {
		return "is a slash or dots alone, which no path can name"
	}
	return checkText(id, MaxCustomerID)
}

// CheckToken says what is wrong with a push token, "" if nothing is. Whether
// FCM knows it only FCM can say.
func CheckToken(token string) string { return checkText(token, MaxToken) }

// Truncate cuts a text to at most that many bytes, and says so with "…".
func Truncate(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

func checkText(s string, most int) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > most:
		return fmt.Sprintf("is %d bytes long; at most %d are taken", len(s), most)
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "has control characters"
	}
	return ""
}
