package testcloud

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"
)

// A Reporter takes the failures of a check: a *testing.T, or a *rapid.T.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// Equal checks that got is want. A failure says what was checked, what came and what was
// wanted; what was checked is named by a format and its arguments. It compares as cmp.Diff
// does, and unexported fields too.
func Equal[T any](t Reporter, got, want T, format string, args ...any) {
	t.Helper()
	diff := gocmp.Diff(want, got, gocmp.Exporter(func(reflect.Type) bool { return true }))
	if diff == "" {
		return
	}

	what := fmt.Sprintf(format, args...)
	switch reflect.ValueOf(&got).Elem().Kind() {
	case reflect.String:
		t.Errorf("%s is %q, want %q", what, any(got), any(want))
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer, reflect.Interface:
		t.Errorf("%s (-want +got):\n%s", what, diff)
	default:
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// CheckCode checks the status of an answer. A failure says what was asked, and shows the
// whole answer.
func CheckCode(t Reporter, a Answer, want int) {
	t.Helper()
	if a.Code != want {
		t.Errorf("%s was answered %v, want %d", a.Request, a, want)
	}
}

// Between checks that got is at least least and at most most.
func Between[N cmp.Ordered](t Reporter, got, least, most N, format string, args ...any) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("%s is %v, want %v to %v", fmt.Sprintf(format, args...), got, least, most)
	}
}

// Contains checks that a text has a part.
func Contains(t Reporter, text, part, format string, args ...any) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s does not contain %q: %s", fmt.Sprintf(format, args...), part, text)
	}
}

// NotContains checks that a text does not have a part.
func NotContains(t Reporter, text, part, format string, args ...any) {
	t.Helper()
	if strings.Contains(text, part) {
		t.Errorf("%s contains %q, want it without: %s", fmt.Sprintf(format, args...), part, text)
	}
}
