package personal

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A filter is a function of a value and its arguments, and how many arguments
// it takes.
type filter struct {
	least, most int
	make        any
}

func (f filter) takes() string {
	if f.least == f.most {
		return strconv.Itoa(f.least)
	}
	return fmt.Sprintf("%d to %d", f.least, f.most)
}

// filters are all there are; each is quick, and bounded in what it makes.
var filters = map[string]filter{
	"default":    {1, 1, fallback},
	"upcase":     {0, 0, strings.ToUpper},
	"downcase":   {0, 0, strings.ToLower},
	"capitalize": {0, 0, capitalize},
	"strip":      {0, 0, strings.TrimSpace},
	"append":     {1, 1, func(s, t string) (string, error) { return within(s + t) }},
	"prepend":    {1, 1, func(s, t string) (string, error) { return within(t + s) }},
	"replace":    {2, 2, replace},
	"remove":     {1, 1, func(s, old string) (string, error) { return replace(s, old, "") }},
	"truncate":   {1, 2, truncate},
	"first_word": {0, 0, firstWord},
	"url_encode": {0, 0, url.QueryEscape},
	"plus":       {1, 1, func(a, b any) any { return arithmetic(a, b, func(a, b float64) float64 { return a + b }) }},
	"minus":      {1, 1, func(a, b any) any { return arithmetic(a, b, func(a, b float64) float64 { return a - b }) }},
	"times":      {1, 1, func(a, b any) any { return arithmetic(a, b, func(a, b float64) float64 { return a * b }) }},
	"divided_by": {1, 1, func(a, b any) any { return arithmetic(a, b, func(a, b float64) float64 { return a / b }) }},
	"round":      {0, 1, round},
	"floor":      {0, 0, func(a any) any { return arithmetic(a, 0, func(a, _ float64) float64 { return math.Floor(a) }) }},
	"ceil":       {0, 0, func(a any) any { return arithmetic(a, 0, func(a, _ float64) float64 { return math.Ceil(a) }) }},
	"thousands":  {0, 1, thousands},
	"pluralize":  {2, 2, pluralize},
}

// percent is put behind every output in a link; templates cannot name it.
const percent = "carillon_percent_encode"

// encode leaves nothing of a value that could end a part of a URL.
func encode(v any) string {
	if v == nil {
		return ""
	}
	return strings.ReplaceAll(url.QueryEscape(fmt.Sprint(v)), "+", "%20")
}

func within(s string) (string, error) {
	if len(s) > MaxRendered {
		return "", ErrTooLarge
	}
	return s, nil
}

// fallback is d where v is missing, false or empty.
func fallback(v, d any) any {
	if v == nil || v == false || v == "" {
		return d
	}
	return v
}

func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

func replace(s, old, by string) (string, error) {
	if old == "" {
		return s, nil
	}
	if grown := len(s) + strings.Count(s, old)*(len(by)-len(old)); grown > MaxRendered {
		return "", ErrTooLarge
	}
	return strings.ReplaceAll(s, old, by), nil
}

// truncate keeps n characters, the last of them the ending.
func truncate(s string, n int, ending func(string) string) string {
	end := ending("…")
	r, e := []rune(s), []rune(end)
	if n < 0 || len(r) <= n {
		return s
	}
	if n <= len(e) {
		return string(e[:n])
	}
	return string(r[:n-len(e)]) + end
}

func firstWord(s string) string {
	words := strings.Fields(s)
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// arithmetic is nil where a value is no number or the result is none: it
// renders as nothing, and default applies to it.
func arithmetic(a, b any, f func(a, b float64) float64) any {
	x, ok := toNumber(a)
	y, ok2 := toNumber(b)
	if !ok || !ok2 {
		return nil
	}
	r := f(x, y)
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return nil
	}
	return plain(math.Round(r*1e9) / 1e9)
}

func toNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	}
	return 0, false
}

func round(a any, digits func(int) int) any {
	n := digits(0)
	if n < 0 || n > 9 {
		return nil
	}
	if n == 0 {
		return arithmetic(a, 0, func(a, _ float64) float64 { return math.Round(a) })
	}
	x, ok := toNumber(a)
	if !ok {
		return nil
	}
	return strconv.FormatFloat(x, 'f', n, 64)
}

// thousands parts a number's thousands: 12 500.
func thousands(a any, mark func(string) string) any {
	x, ok := toNumber(a)
	if !ok || math.Abs(x) >= 1e15 {
		return nil
	}
	whole := strconv.FormatFloat(math.Abs(math.Trunc(x)), 'f', 0, 64)
	by := mark("\u202f")
	if len(by) > 8 {
		return nil
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + by + whole[i:]
	}
	if x <= -1 {
		whole = "-" + whole
	}
	return whole
}

// pluralize is one for 1 and many for everything else.
func pluralize(a any, one, many string) string {
	if x, ok := toNumber(a); ok && x == 1 {
		return one
	}
	return many
}
