package personal

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/osteele/liquid/parser"

	"carillon.example/shared/push"
)

// percentFilter is the name of the filter that is added to every output in a link. It is
// not in filters, so templates cannot use it.
const percentFilter = "carillon_percent_encode"

// percentEncode escapes every character of a value that could end a part of a URL.
func percentEncode(v any) (any, error) {
	s := toText(v)
	if len(s) > MaxRendered {
		return nil, ErrTooLarge
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil
}

// isEncoded matches outputs that end in url_encode. That filter escapes the same
// characters, so these outputs are not encoded again.
var isEncoded = regexp.MustCompile(`\|\s*url_encode\s*$`)

// encodeOutputs returns the source of the template with percentFilter in every output.
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

// hosted and opaque match the beginning of links that lead to the same host for every
// value: a scheme and a complete host, or a scheme without hosts, such as tel and mailto,
// and a character other than a slash. hasFixedHost excludes the schemes of which browsers
// read a host even without slashes (WHATWG URL, special schemes).
var (
	hosted = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#\\\s\pC]+[/?#]`)
	opaque = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*):[^/\\\s\pC]`)
)

// checkLink refuses links whose scheme or host contains a template, and links with
// characters that browsers interpret in different ways.
func (c *templateCheck) checkLink(tokens []parser.Token) {
	if len(tokens) == 0 || tokens[0].Type != parser.TextTokenType || !hasFixedHost(tokens[0].Source) {
		c.addFaultf("has to begin with its scheme and host, as in https://shop.example/: they cannot be templated, and javascript, vbscript, data, blob and intent are not allowed")
	}
	for _, t := range tokens {
		if t.Type == parser.TextTokenType && (strings.Contains(t.Source, `\`) || strings.ContainsFunc(t.Source, unicode.IsControl)) {
			c.addFaultf("has a backslash, a line break or another control character, which browsers interpret in different ways")
			return
		}
	}
}

// hasFixedHost reports whether a link that begins with start leads to the same host for
// every value, and does not run code.
func hasFixedHost(start string) bool {
	if hosted.MatchString(start) {
		return !push.IsExecutableScheme(start[:strings.IndexByte(start, ':')])
	}
	m := opaque.FindStringSubmatch(start)
	return m != nil && !push.NeedsHost(m[1]) && !push.IsExecutableScheme(m[1])
}

var dots = strings.NewReplacer("%2e", ".", "%2E", ".")

// leavesPath reports whether a segment of the path is . or .., also if it is
// percent-encoded. Such a segment leads out of the path of the template, and encoding does
// not prevent that (WHATWG URL, double-dot path segments).
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
