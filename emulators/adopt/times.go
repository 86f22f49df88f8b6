package adopt

import (
	"fmt"
	"math"
	"time"

	"carillon.example/shared/push"
)

// defaultTimeLayouts are the layouts of times that are texts, in the order of the document.
var defaultTimeLayouts = []string{time.RFC3339, "2006-01-02 15:04:05", time.DateOnly}

// firstMilliseconds is the least number that is a time in milliseconds since 1970. In
// seconds it is in the year 5138, in milliseconds in 1973.
const firstMilliseconds = 1e11

// parseTime reads a time that is a text; "" is zero. Times without a zone are in UTC.
func parseTime(text string, layouts []string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if layouts == nil {
		layouts = defaultTimeLayouts
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time as %s", push.Truncate(text, 40), layouts[0])
}

// timeOf reads a time from a value of Firestore: a timestamp, a text, or a number of seconds
// or milliseconds since 1970. nil, "" and 0 are zero: the source does not know the time.
func timeOf(value any) (time.Time, error) {
	switch v := value.(type) {
	case nil:
		return time.Time{}, nil
	case time.Time:
		return v.UTC(), nil
	case string:
		return parseTime(v, nil)
	case int64:
		return timeOfNumber(float64(v))
	case float64:
		return timeOfNumber(v)
	}
	return time.Time{}, fmt.Errorf("a value of the type %T is no time; want a timestamp, a text or a number", value)
}

// timeOfNumber reads a number of seconds or milliseconds since 1970.
func timeOfNumber(n float64) (time.Time, error) {
	switch {
	case n == 0:
		return time.Time{}, nil
	case n < 0 || n >= 1000*firstMilliseconds || math.IsNaN(n):
		return time.Time{}, fmt.Errorf("%g is no time in seconds or milliseconds since 1970", n)
	case n >= firstMilliseconds:
		return time.UnixMilli(int64(n)).UTC(), nil
	}
	return time.Unix(int64(n), 0).UTC(), nil
}
