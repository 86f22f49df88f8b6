package testcloud

import (
	"strings"
	"testing"
)

// WantError fails the test unless err is an error whose text has want in it. what names
// the call.
func WantError(t testing.TB, what string, err error, want string) {
	t.Helper()
	switch {
	case err == nil:
		t.Errorf("%s: there is no error, want one with %q", what, want)
	case !strings.Contains(err.Error(), want):
		t.Errorf("%s: the error is %q, want %q in it", what, err, want)
	}
}
