package official_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon.example/emulators/official"
)

// TestRowsAreOfTests checks that each row names an existing test and has every column.
func TestRowsAreOfTests(t *testing.T) {
	t.Parallel()
	code := testCode(t)
	seen := map[string]bool{}
	for _, d := range official.Differences {
		if seen[d.Test] {
			t.Errorf("%s has two rows", d.Test)
		}
		seen[d.Test] = true
		function, subtest, _ := strings.Cut(d.Test, "/")
		if !strings.Contains(code, "func "+function+"(") {
			t.Errorf("the test %s of a row does not exist", function)
		}
		if name := strings.ReplaceAll(subtest, "_", " "); name != "" && !strings.Contains(code, `t.Run("`+name+`"`) {
			t.Errorf("the subtest %q of %s does not exist", name, function)
		}
		for column, text := range map[string]string{"Server": d.Server, "Needs": d.Needs, "Does": d.Does, "Service": d.Service, "Known": d.Known} {
			if text == "" {
				t.Errorf("the row of %s has no %s", d.Test, column)
			}
		}
	}
	if len(official.Differences) >= 15 {
		t.Errorf("%d rows; fewer than 15 tests may be skipped on Google's emulators", len(official.Differences))
	}
}

// TestReadmeHasTheTable checks that README.md has every row of the table.
func TestReadmeHasTheTable(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	servers := map[string]string{official.Firestore: "Firestore", official.PubSub: "Pub/Sub"}
	for _, d := range official.Differences {
		row := "| " + strings.Join([]string{servers[d.Server], d.Needs, d.Does, d.Service, d.Known, "`" + d.Test + "`"}, " | ") + " |"
		if !strings.Contains(string(readme), row+"\n") {
			t.Errorf("README.md lacks this row:\n%s", row)
		}
	}
}

// testCode returns the source of all tests of the repository.
func testCode(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && d.Name() == "node_modules":
			return filepath.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		b, err := os.ReadFile(path)
		all.Write(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
