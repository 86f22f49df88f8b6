package personal

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// A decimal is a number that is not an integer. The library compares it as a float and
// writes it with String: 1234567.25, not 1.23456725e+06.
type decimal float64

func (d decimal) String() string {
	f := float64(d)
	if a := math.Abs(f); a != 0 && (a < 1e-9 || a >= 1e21) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// toPlain converts an attribute to a type that templates can use: a string, a boolean, an
// integer if the number is one, or a decimal. Everything else is nil.
func toPlain(v any) any {
	switch v := v.(type) {
	case string, bool, int64:
		return v
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case float32:
		return ofFloat(float64(v))
	case float64:
		return ofFloat(v)
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return ofFloat(f)
		}
	}

	return nil
}

// ofFloat returns an int64 if f is an integer of at most 2⁵³, else a decimal. Above that a
// float does not represent every integer. NaN and infinity are nil.
func ofFloat(f float64) any {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return nil
	case f == math.Trunc(f) && math.Abs(f) <= 1<<53:
		return int64(f)
	}
	return decimal(f)
}

// toNumber converts numbers, and strings of at most 40 bytes that are numbers.
func toNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case decimal:
		return float64(v), true
	case string:
		if len(v) > 40 {
			return 0, false
		}
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		return f, err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	}

	return 0, false
}

// calculate returns f of two numbers, and nil if a value or the result is not a number.
// nil renders as nothing, and the filter default applies to it. Results have 15 digits,
// the precision of a float, so that 0.1 and 0.2 add up to 0.3.
func calculate(a, b any, f func(a, b float64) float64) any {
	x, ok := toNumber(a)
	y, ok2 := toNumber(b)
	if !ok || !ok2 {
		return nil
	}

	r := f(x, y)
	if r != math.Trunc(r) {
		r, _ = strconv.ParseFloat(strconv.FormatFloat(r, 'g', 15, 64), 64)
	}
	return ofFloat(r)
}

// round rounds to 0 to 9 digits after the point.
func round(a any, digits any) any {
	n, ok := toNumber(digits)
	if x, isNumber := toNumber(a); isNumber && ok && n >= 1 && n <= 9 && math.Abs(x) < 1e21 {
		return strconv.FormatFloat(x, 'f', int(n), 64)
	}
	return calculate(a, 0, func(a, _ float64) float64 { return math.Round(a) })
}

// thousands drops the digits after the point and puts mark, of at most 8 bytes, between
// groups of three digits, as in 12 500. Other values and marks give nil.
func thousands(a any, mark string) any {
	x, ok := toNumber(a)
	if !ok || math.Abs(x) >= 1e15 || len(mark) > 8 {
		return nil
	}

	whole := strconv.FormatFloat(math.Abs(math.Trunc(x)), 'f', 0, 64)
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + mark + whole[i:]
	}
	if x <= -1 {
		whole = "-" + whole
	}
	return whole
}

// pluralize returns one if a is the number 1, and many for every other value.
func pluralize(a any, one, many string) string {
	if x, ok := toNumber(a); ok && x == 1 {
		return one
	}
	return many
}
