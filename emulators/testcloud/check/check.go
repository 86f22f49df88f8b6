// Package check has the checks of all tests. A failure says what was checked, what came and
// what was wanted.
package check

import (
	"cmp"
	"fmt"
	"reflect"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// A Reporter takes the failures of a check: a *testing.T, or a *rapid.T.
type Reporter interface {
	Helper()
	Errorf(format string, args ...any)
}

// unexported lets cmp look at unexported fields too.
var unexported = gocmp.Exporter(func(reflect.Type) bool { return true })

// equal reports whether two values are the same, as Equal compares them.
func equal[T any](got, want T) bool { return gocmp.Equal(want, got, unexported) }

// Equal checks that got is want. A failure says what was checked, what came and what was
// wanted; what was checked is named by a format and its arguments. It compares as cmp.Diff
// does, and unexported fields too.
func Equal[T any](t Reporter, got, want T, format string, args ...any) {
	t.Helper()
	if equal(got, want) {
		return
	}

	what := fmt.Sprintf(format, args...)
	switch reflect.ValueOf(&got).Elem().Kind() {
	case reflect.String:
		t.Errorf("%s is %q, want %q", what, any(got), any(want))
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer, reflect.Interface:
		t.Errorf("%s (-want +got):\n%s", what, gocmp.Diff(want, got, unexported))
	default:
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// MustEqual is Equal for a value without which the test cannot go on: it ends the test.
func MustEqual[T any](t testing.TB, got, want T, format string, args ...any) {
	t.Helper()
	Equal(t, got, want, format, args...)
	if !equal(got, want) {
		t.FailNow()
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

// Error checks that err is an error whose text has want in it. what names the call.
func Error(t Reporter, what string, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: there is no error, want one with %q", what, want)
	case !strings.Contains(err.Error(), want):
		t.Errorf("%s: the error is %q, want %q in it", what, err, want)
	}
}
