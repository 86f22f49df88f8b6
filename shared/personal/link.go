package personal

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/osteele/liquid/parser"

	"carillon.example/shared/push"
)

// percent is the name of the filter that is added to every output in a link. Templates
// cannot use the name.
const percentFilter = "carillon_percent_encode"

// percentEncode escapes every character of a value that could end a part of a URL.
func percentEncode(v any) (any, error) {
	s := toText(v)
	if len(s) > MaxRendered {
		return nil, ErrTooLarge
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil
}

// isEncoded matches outputs that end in url_encode. They are not encoded twice, because
// url_encode escapes the same characters.
var isEncoded = regexp.MustCompile(`\|\s*url_encode\s*$`)

// encodeOutputs returns the template with every output percent-encoded.
func encodeOutputs(tokens []parser.Token) string {
	var b strings.Builder
	for _, t := range tokens {
		if t.Type != parser.ObjTokenType || isEncoded.MatchString(t.Args) {
			b.WriteString(t.Source)
			continue
		}
		left, right := "{{ ", " }}"
		if t.Source[2] == '-' {
			left = "{{- "
		}
		if t.Source[len(t.Source)-3] == '-' {
			right = " -}}"
		}
		b.WriteString(left + t.Args + " | " + percentFilter + right)
	}

	return b.String()
}

// A link leads to the same host for every value if it begins with a scheme and a complete
// host. After a scheme without hosts, such as tel and mailto, a character other than a
// slash must follow. After the schemes that browsers know they read a host even without
// slashes (WHATWG URL, special schemes).
var (
	hosted = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#\\\s\pC]+[/?#]`)
	opaque = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*):[^/\\\s\pC]`)
)

// checkLink refuses links whose scheme or host contains a template, and links that browsers
// read differently from how they look.
func (c *templateCheck) checkLink(tokens []parser.Token) {
	if len(tokens) == 0 || tokens[0].Type != parser.TextTokenType || !hasFixedHost(tokens[0].Source) {
		c.addFaultf("has to begin with its scheme and host, as in https://shop.example/: they cannot be templated, and javascript, vbscript, data, blob and intent are not allowed")
	}
	for _, t := range tokens {
		if t.Type == parser.TextTokenType && (strings.Contains(t.Source, `\`) || strings.ContainsFunc(t.Source, unicode.IsControl)) {
			c.addFaultf("has a backslash, a line break or another control character, which browsers read in ways of their own")
			return
		}
	}
}

func hasFixedHost(start string) bool {
	if hosted.MatchString(start) {
		return !push.IsExecutableScheme(start[:strings.IndexByte(start, ':')])
	}
	m := opaque.FindStringSubmatch(start)
	return m != nil && !push.NeedsHost(m[1]) && !push.IsExecutableScheme(m[1])
}

var dots = strings.NewReplacer("%2e", ".", "%2E", ".")

// leavesPath reports whether a segment of the path is . or .., also percent-encoded. Such a
// segment leads out of the path, and encoding it does not help (WHATWG URL, double-dot
// path segments).
func leavesPath(link string) bool {
	_, path, ok := strings.Cut(link, "://")
	if !ok {
		return false
	}
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	for part := range strings.SplitSeq(path, "/") {
		if p := dots.Replace(part); p == "." || p == ".." {
			return true
		}
	}
	return false
}
