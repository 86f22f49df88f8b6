package push

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// schemePattern is how an absolute URL begins.
var schemePattern = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*):`)

// checkLink finds faults of a draft's own link. It has to be absolute, because the
// app gets it as it is.
func checkLink(f *Faults, link string) {
	if link == "" {
		return
	}
	if len(link) > MaxLink {
		f.add("body.link", "is %d bytes long; at most %d are allowed", len(link), MaxLink)
		return
	}
	if why := CheckLink(link); why != "" {
		f.add("body.link", "%s", why)
		return
	}
	if hasTemplates(link) {
		return // shared/personal checks the rest
	}
	if u, err := url.Parse(link); err != nil || !schemePattern.MatchString(link) || u.Hostname() == "" && NeedsHost(u.Scheme) || link[len(u.Scheme)+1:] == "" {
		f.add("body.link", "must be an absolute URL, as https://shop.example/")
	}
}

// CheckLink returns why a link is dangerous for a user who taps on it, "" if it is
// not: it is executed, or leads to another place than it shows. It may be relative,
// and have templates.
func CheckLink(link string) string {
	link = asBrowsersRead(link)
	if m := schemePattern.FindStringSubmatch(link); m != nil && IsExecutableScheme(m[1]) {
		return "is executed or shown instead of leading to a place: javascript, vbscript, data, blob and intent are not allowed"
	}
	return CheckImage(link)
}

// CheckImage is CheckLink for images, which lead nowhere: data and blob are allowed.
func CheckImage(link string) string {
	link = asBrowsersRead(link)
	m := schemePattern.FindStringSubmatch(link)
	switch {
	case m != nil && isProgramScheme(m[1]):
		return "is executed instead of shown: javascript, vbscript and intent are not allowed"
	case strings.ContainsFunc(link, misleads):
		return "has control characters, or some that change the direction of writing"
	case userInfoPattern.MatchString(link):
		return "has user information in front of the host, which hides where it leads"
	}
	return ""
}

// userInfoPattern finds user information in front of a host.
var userInfoPattern = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/?#]*@`)

// templatePattern are outputs and tags of Liquid.
var templatePattern = regexp.MustCompile(`\{\{.*?\}\}|\{%.*?%\}`)

func hasTemplates(s string) bool { return strings.Contains(s, "{{") || strings.Contains(s, "{%") }

// asBrowsersRead returns a link as browsers read it (WHATWG URL): without spaces and
// control characters around it, without tabs and line breaks in it, and with slashes
// for backslashes. A template is replaced by a letter.
func asBrowsersRead(link string) string {
	link = templatePattern.ReplaceAllString(link, "x")
	link = strings.TrimFunc(link, func(r rune) bool { return r <= ' ' })
	link = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(link)
	if m := schemePattern.FindStringSubmatch(link); m == nil || NeedsHost(m[1]) {
		link = strings.ReplaceAll(link, `\`, "/")
	}
	return link
}

// misleads reports whether a character makes a link look like another one.
func misleads(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// NeedsHost reports whether links of a scheme always have a host (WHATWG URL, special
// schemes).
func NeedsHost(scheme string) bool {
	return slices.Contains([]string{"http", "https", "ftp", "ws", "wss", "file"}, strings.ToLower(scheme))
}

// IsExecutableScheme reports whether the rest of a link with that scheme is executed
// or shown, percent-encoded or not.
func IsExecutableScheme(scheme string) bool {
	return isProgramScheme(scheme) || slices.Contains([]string{"data", "blob"}, strings.ToLower(scheme))
}

// isProgramScheme reports whether the rest of a link with that scheme is a program. An
// intent names a part of any app on an Android phone, and data for it.
func isProgramScheme(scheme string) bool {
	return slices.Contains([]string{"javascript", "vbscript", "intent"}, strings.ToLower(scheme))
}

// Ends of the names of a message's members that hold links and images, in small
// letters, without _ and -: those of FCM, APNs and web push, and what senders
// call their own in data.
var (
	linkNames  = []string{"link", "links", "url", "urls", "uri", "href", "navigate", "clickaction", "deeplink"}
	imageNames = []string{"image", "imageurl", "icon", "iconurl", "badge"}
)

// checkLinks finds faults of the links and images in a message, at any place. Texts
// are not checked, whatever they begin with.
func checkLinks(f *Faults, message json.RawMessage) {
	var v any
	if json.Unmarshal(message, &v) != nil {
		return // another check reports it
	}
	w := linkWalk{faults: f}
	w.checkValue("body.message", "", v)
	if w.found > maxNamed {
		f.add("body.message", "has %d more links that are not taken", w.found-maxNamed)
	}
}

// A linkWalk visits all values of a message and counts faulty links.
type linkWalk struct {
	faults *Faults
	found  int
}

// checkValue checks a value whose member has that name. Items of a list have the name of
// the list.
func (w *linkWalk) checkValue(at, name string, v any) {
	switch v := v.(type) {
	case string:
		if why := checkMember(name, v); why != "" {
			if w.found++; w.found <= maxNamed {
				w.faults.add(at, "%s", why)
			}
		}
	case []any:
		for i, item := range v {
			w.checkValue(fmt.Sprintf("%s[%d]", at, i), name, item)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			w.checkValue(at+"."+Truncate(key, 60), key, v[key])
		}
	}
}

// checkMember returns the fault of a text by the name of its member: whether it is a link or
// an image. "" is no fault.
func checkMember(name, value string) string {
	name = strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(name))
	ends := func(end string) bool { return strings.HasSuffix(name, end) }
	switch {
	case slices.ContainsFunc(imageNames, ends):
		return CheckImage(value)
	case slices.ContainsFunc(linkNames, ends):
		return CheckLink(value)
	}
	return ""
}
