package docs_test

import (
	"os"
	"regexp"
	"testing"

	"carillon.example/shared/push"
)

// TestChangelogHasTheVersion checks that the first version in CHANGELOG.md is the one of
// the code, and that it is a semantic version.
func TestChangelogHasTheVersion(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\]`).FindSubmatch(text)
	if found == nil {
		t.Fatal("CHANGELOG.md has no section of a version")
	}
	if got := string(found[1]); got != push.Version {
		t.Errorf("the first version in CHANGELOG.md is %s, want %s", got, push.Version)
	}
}
