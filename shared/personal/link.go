package personal

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"github.com/osteele/liquid/parser"

	"carillon.example/shared/push"
)

// percent is put behind every output in a link; templates cannot name it.
const percent = "carillon_percent_encode"

// encode leaves nothing of a value that could end a part of a URL.
func encode(v any) (any, error) {
	s := str(v)
	if len(s) > MaxRendered {
		return nil, ErrTooLarge
	}
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), nil
}

// isEncoded finds outputs that end in url_encode: a second encoding would spoil
// the first, which lets nothing through either.
var isEncoded = regexp.MustCompile(`\|\s*url_encode\s*$`)

// encoded is the template with every output percent-encoded.
func encoded(tokens []parser.Token) string {
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
		b.WriteString(left + t.Args + " | " + percent + right)
	}

	return b.String()
}

// A link leads to one place whatever the values are if it begins with a scheme
// and, up to what ends it, a host. Where the scheme has no hosts, as tel and
// mailto, something other than a slash has to follow; browsers read a host even
// without slashes after the schemes they know (WHATWG URL, special schemes).
var (
	hosted = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#\\\s\pC]+[/?#]`)
	opaque = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*):[^/\\\s\pC]`)
)

// link refuses links whose scheme or host is templated, or that browsers read
// differently from how they look.
func (c *check) link(tokens []parser.Token) {
	if len(tokens) == 0 || tokens[0].Type != parser.TextTokenType || !fixed(tokens[0].Source) {
		c.say("has to begin with its scheme and host, as in https://shop.example/: they cannot be templated, and javascript, vbscript, data, blob and intent are not taken")
	}
	for _, t := range tokens {
		if t.Type == parser.TextTokenType && (strings.Contains(t.Source, `\`) || strings.ContainsFunc(t.Source, unicode.IsControl)) {
			c.say("has a backslash, a line break or another control character, which browsers read in ways of their own")
			return
		}
	}
}

func fixed(start string) bool {
	if hosted.MatchString(start) {
		return !push.IsExecutableScheme(start[:strings.IndexByte(start, ':')])
	}
	m := opaque.FindStringSubmatch(start)
	return m != nil && !push.NeedsHost(m[1]) && !push.IsExecutableScheme(m[1])
}

var dots = strings.NewReplacer("%2e", ".", "%2E", ".")

// wanders reports whether a part of the path is . or .., in whichever writing:
// they lead out of it, and percent-encoding does not help (WHATWG URL,
// double-dot path segments).
func wanders(link string) bool {
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
