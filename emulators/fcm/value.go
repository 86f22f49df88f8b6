package fcm

import (
	"strconv"
	"strings"
	"time"
)

// isWrong means that the fault has the value as it was written.
const isWrong = "\x00"

const (
	wrongDuration = "Illegal duration format; duration must end with 's'"
	wrongTime     = "Illegal timestamp format; timestamps must end with 'Z' or have a valid timezone offset."
)

// stringFault says why a string is not a value of the field, "" if it is one. Numbers
// and booleans may be written as strings, as in the JSON of proto3.
func (f *field) stringFault(v string) string {
	ok := true
	switch f.kind {
	case kindBool:
		ok = v == "true" || v == "false"
	case kindInt32:
		_, err := strconv.ParseInt(v, 10, 32)
		ok = err == nil
	case kindFloat:
		_, err := strconv.ParseFloat(v, 32)
		ok = err == nil
	case kindDuration:
		if !isDuration(v) {
			return "Field '" + camelCase(f.name) + "', " + wrongDuration
		}
	case kindTime:
		if _, err := time.Parse(time.RFC3339Nano, v); err != nil {
			return "Field '" + camelCase(f.name) + "', " + wrongTime
		}
	case kindEnum:
		ok = f.hasValue(v)
	}
	if !ok {
		return isWrong
	}

	return ""
}

func (f *field) hasValue(v string) bool {
	for _, known := range f.values {
		if strings.EqualFold(v, known) {
			return true
		}
	}
	return false
}

// acceptsScalar reports whether a number or a boolean is a value of the field.
func (f *field) acceptsScalar(v string) bool {
	switch f.kind {
	case kindBool:
		return v == "true" || v == "false"
	case kindInt32:
		n, err := strconv.ParseFloat(v, 64)
		return err == nil && n == float64(int32(n))
	case kindFloat:
		_, err := strconv.ParseFloat(v, 64)
		return err == nil
	case kindEnum:
		n, err := strconv.Atoi(v)
		return err == nil && n >= 0 && n < len(f.values)
	}

	return false
}

// isDuration reports whether v is a google.protobuf.Duration in JSON: whole seconds, at
// most nine digits after the point, and an s.
func isDuration(v string) bool {
	v, ok := strings.CutSuffix(v, "s")
	v = strings.TrimPrefix(v, "-")
	whole, part, point := strings.Cut(v, ".")
	return ok && len(whole) > 0 && len(whole) <= 12 && countDigits(whole) == len(whole) &&
		(!point || len(part) > 0 && len(part) <= 9 && countDigits(part) == len(part))
}
