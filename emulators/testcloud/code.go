package testcloud

import "carillon.example/emulators/testcloud/check"

// CheckCode checks the status of an answer. A failure says what was asked, and shows the
// whole answer.
func CheckCode(t check.Reporter, a Answer, want int) {
	t.Helper()
	if a.Code != want {
		t.Errorf("%s was answered %v, want %d", a.Request, a, want)
	}
}
