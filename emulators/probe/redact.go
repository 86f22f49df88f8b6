package probe

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A redactor replaces tokens, ids and names in texts by words like <token>.
type redactor struct {
	known []hiddenText
}

type hiddenText struct{ text, word string }

// patterns find what the run did not invent: a service may answer with the number of the
// project, with names of accounts and messages, or with a link in which the name of an index
// is encoded.
var patterns = []struct {
	find *regexp.Regexp
	word string
}{
	{regexp.MustCompile(`create_composite=[^\s&"']+`), "create_composite=<index>"},
	{regexp.MustCompile(`\bmessages/[^/\s"']+`), "messages/<message>"},
	{regexp.MustCompile(`\bprojects/[^/\s"'<]+`), "projects/<project>"},
	{regexp.MustCompile(`\bdatabases/[^/\s"'<]+`), "databases/<database>"},
	{regexp.MustCompile(`[\w.+-]+@[\w-]+(\.[\w-]+)+`), "<account>"},
	{regexp.MustCompile(`[\w-]*:APA91[\w-]*`), "<token>"},
	{regexp.MustCompile(`[A-Za-z0-9_-]{40,}`), "<long>"},
	{regexp.MustCompile(`\d{9,}`), "<number>"},
}

func newRedactor() *redactor { return &redactor{} }

// add hides texts, also in the form that they have in URLs, behind a word. Longer texts are
// replaced first, because one may be a part of another.
func (r *redactor) add(word string, texts ...string) {
	for _, text := range texts {
		if text == "" {
			continue
		}
		r.known = append(r.known, hiddenText{text, "<" + word + ">"})
		if escaped := url.QueryEscape(text); escaped != text {
			r.known = append(r.known, hiddenText{escaped, "<" + word + ">"})
		}
	}
	slices.SortStableFunc(r.known, func(a, b hiddenText) int { return cmp.Compare(len(b.text), len(a.text)) })
}

// hide returns a text without what is secret in it.
func (r *redactor) hide(text string) string {
	for _, k := range r.known {
		text = strings.ReplaceAll(text, k.text, k.word)
	}
	for _, p := range patterns {
		text = p.find.ReplaceAllString(text, p.word)
	}
	return text
}
