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

// A filter computes a result from a value and arguments. It accepts values of every type,
// so that every customer gets the message, whatever type an attribute has. Its only error
// is ErrTooLarge.
type filter struct {
	least, most int  // number of arguments
	long        bool // it also accepts values longer than MaxRendered
	compute     func(v any, args []any) (any, error)
}

// describeArgs says how many arguments f accepts.
func (f filter) describeArgs() string {
	if f.least == f.most {
		return strconv.Itoa(f.least)
	}
	return fmt.Sprintf("%d to %d", f.least, f.most)
}

// callWithLimit is the function that the library calls. It refuses a value longer than
// MaxRendered, so a chain of filters cannot make a text grow without limit.
func (f filter) callWithLimit(v any, args ...any) (any, error) {
	if s, ok := v.(string); ok && !f.long && len(s) > MaxRendered {
		return nil, ErrTooLarge
	}
	for _, a := range args {
		if s, ok := a.(string); ok && len(s) > MaxRendered {
			return nil, ErrTooLarge
		}
	}
	return f.compute(v, args)
}

// filters has every filter by name.
var filters = map[string]filter{
	"append":     {1, 1, false, func(v any, a []any) (any, error) { return toText(v) + toText(a[0]), nil }},
	"capitalize": ofText(capitalize),
	"ceil":       ofNumber(math.Ceil),
	"default":    {1, 1, true, defaultValue},
	"divided_by": ofNumbers(func(a, b float64) float64 { return a / b }),
	"downcase":   ofText(strings.ToLower),
	"first_word": {0, 0, true, func(v any, _ []any) (any, error) { return firstWord(toText(v)), nil }},
	"floor":      ofNumber(math.Floor),
	"minus":      ofNumbers(func(a, b float64) float64 { return a - b }),
	"pluralize":  {2, 2, false, func(v any, a []any) (any, error) { return pluralize(v, toText(a[0]), toText(a[1])), nil }},
	"plus":       ofNumbers(func(a, b float64) float64 { return a + b }),
	"prepend":    {1, 1, false, func(v any, a []any) (any, error) { return toText(a[0]) + toText(v), nil }},
	"remove":     {1, 1, false, func(v any, a []any) (any, error) { return replaceText(toText(v), toText(a[0]), "") }},
	"replace":    {2, 2, false, func(v any, a []any) (any, error) { return replaceText(toText(v), toText(a[0]), toText(a[1])) }},
	"round":      {0, 1, false, func(v any, a []any) (any, error) { return round(v, optionalArg(a, 0, 0)), nil }},
	"strip":      ofText(strings.TrimSpace),
	"thousands":  {0, 1, false, func(v any, a []any) (any, error) { return thousands(v, toText(optionalArg(a, 0, "\u202f"))), nil }},
	"times":      ofNumbers(func(a, b float64) float64 { return a * b }),
	"truncate": {1, 2, true, func(v any, a []any) (any, error) {
		return truncate(toText(v), a[0], toText(optionalArg(a, 1, "…"))), nil
	}},
	"upcase":     ofText(strings.ToUpper),
	"url_encode": ofText(url.QueryEscape),
}

// ofText returns the filter that computes a text from a text.
func ofText(f func(string) string) filter {
	return filter{0, 0, false, func(v any, _ []any) (any, error) { return f(toText(v)), nil }}
}

// ofNumber returns the filter that computes a number from a number.
func ofNumber(f func(float64) float64) filter {
	return filter{0, 0, false, func(v any, _ []any) (any, error) {
		return calculate(v, 0, func(a, _ float64) float64 { return f(a) }), nil
	}}
}

// ofNumbers returns the filter that computes a number from a number and an argument.
func ofNumbers(f func(a, b float64) float64) filter {
	return filter{1, 1, false, func(v any, args []any) (any, error) { return calculate(v, args[0], f), nil }}
}

// optionalArg returns argument i, or without if it is missing.
func optionalArg(args []any, i int, without any) any {
	if i < len(args) {
		return args[i]
	}
	return without
}

// toText returns the text of a value.
func toText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64: // a number that is written in the template
		return decimal(v).String()
	}
	return fmt.Sprint(v)
}

// defaultValue returns the argument if v is missing, false or empty.
func defaultValue(v any, args []any) (any, error) {
	if v == nil || v == false || v == "" {
		return args[0], nil
	}
	return v, nil
}

// capitalize makes the first letter upper case and leaves the rest as it is.
func capitalize(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// replaceText replaces every old in s. It computes the size of the result before it makes
// it, because the result may be thousands of times as long as s.
func replaceText(s, old, by string) (any, error) {
	if old == "" {
		return s, nil
	}
	if grown := len(s) + strings.Count(s, old)*(len(by)-len(old)); grown > MaxRendered {
		return nil, ErrTooLarge
	}
	return strings.ReplaceAll(s, old, by), nil
}

// truncate shortens a text to n characters, including the ending. If n is not a number,
// the text stays as it is.
func truncate(s string, count any, ending string) string {
	n, ok := toNumber(count)
	if !ok || n < 0 || n > MaxRendered {
		return s
	}
	end := ending[:prefixLength(ending, int(n))]
	if prefixLength(s, int(n)) == len(s) {
		return s
	}
	return s[:prefixLength(s, int(n)-utf8.RuneCountInString(end))] + end
}

// prefixLength returns the number of bytes of the first n characters of s.
func prefixLength(s string, n int) int {
	for i := range s {
		if n--; n < 0 {
			return i
		}
	}
	return len(s)
}

// firstWord returns s up to its first white space, without leading white space.
func firstWord(s string) string {
	for word := range strings.FieldsSeq(s) {
		return word
	}
	return ""
}
