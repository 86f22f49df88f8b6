package functions_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheAPIPageHasEveryOperation of the HTTP functions, as a heading.
func TestTheAPIPageHasEveryOperation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := documents(t)
	for _, name := range []string{"mailings", "customers", "devices"} {
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join(dir, name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var doc struct{ Paths map[string]map[string]any }
			if err := json.Unmarshal(b, &doc); err != nil {
				t.Fatal(err)
			}
			for path, methods := range doc.Paths {
				for method := range methods {
					if heading := "### `" + strings.ToUpper(method) + " " + path + "`\n"; !strings.Contains(string(page), heading) {
						t.Errorf("docs/api.md has no %s", heading)
					}
				}
			}
		})
	}
}
