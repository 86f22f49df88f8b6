package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sharedFolders are the packages that several emulators use.
var sharedFolders = []string{"../emulators/loopback", "../emulators/webchannel"}

// TestCompatibilityPagesNameTestsThatExist checks that each test that a COMPAT.md names is in
// its folder, or in a package that emulators share, and that each row says where the behaviour is known from.
func TestCompatibilityPagesNameTestsThatExist(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../emulators/*/COMPAT.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(pages) != 4 {
		t.Errorf("found the pages %v, want one of each of four emulators", pages)
	}
	for _, page := range pages {
		t.Run(filepath.Base(filepath.Dir(page)), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			code := testsOf(t, append(slices.Clone(sharedFolders), filepath.Dir(page))...)
			for _, name := range regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(string(text), -1) {
				if !strings.Contains(code, "func "+name[1]+"(") {
					t.Errorf("%s names %s, which is no test of the folder", page, name[1])
				}
			}
			for row := range strings.Lines(string(text)) {
				cells := strings.Split(strings.ReplaceAll(row, `\|`, ""), "|")
				if strings.HasPrefix(row, "| ") && (len(cells) < 4 || strings.TrimSpace(cells[2]) == "") {
					t.Errorf("this row has no evidence: %s", row)
				}
			}
		})
	}
}

// testsOf returns the test files of folders.
func testsOf(t *testing.T, folders ...string) string {
	t.Helper()
	var files []string
	for _, folder := range folders {
		found, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}

	var out strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	return out.String()
}
