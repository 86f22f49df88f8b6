package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	codeText = regexp.MustCompile("(?s)```.*?```")
	noSlug   = regexp.MustCompile(`[^\p{L}\p{N}\s_-]`)
)

// TestLinksOfDocuments checks that each link between documents leads to a file of the
// repository, and to a heading that this file has.
func TestLinksOfDocuments(t *testing.T) {
	t.Parallel()
	documents := markdownFiles(t)
	if len(documents) < 20 {
		t.Fatalf("found %d documents, want at least 20", len(documents))
	}

	for file, text := range documents {
		for _, found := range link.FindAllStringSubmatch(codeText.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			to := file
			if target != "" {
				to = filepath.Join(filepath.Dir(file), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s, which does not exist", file, found[1])
				continue
			}
			if anchor != "" && !slugs(documents[to])[anchor] {
				t.Errorf("%s links to %s, and %s has no such heading", file, found[1], to)
			}
		}
	}
}

// markdownFiles returns the texts of all documents of the repository, by path.
func markdownFiles(t *testing.T) map[string]string {
	t.Helper()
	documents := map[string]string{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		documents[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return documents
}

// slugs returns the anchors of the headings of a document, as code hosts name them.
func slugs(text string) map[string]bool {
	all := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(codeText.ReplaceAllString(text, ""), -1) {
		plain := noSlug.ReplaceAllString(strings.ToLower(h[1]), "")
		all[strings.ReplaceAll(plain, " ", "-")] = true
	}
	return all
}

// TestDocumentsAreTwoClicksAway checks that README links to each document, or to one that
// links to it. A link to a folder leads to the documents in it.
func TestDocumentsAreTwoClicksAway(t *testing.T) {
	t.Parallel()
	documents := markdownFiles(t)
	linked := func(from string) (to []string) {
		for _, found := range link.FindAllStringSubmatch(codeText.ReplaceAllString(documents[from], ""), -1) {
			path, _, _ := strings.Cut(found[1], "#")
			target := filepath.Join(filepath.Dir(from), path)
			for document := range documents {
				if path != "" && (document == target || filepath.Dir(document) == target) {
					to = append(to, document)
				}
			}
		}
		return to
	}

	near := map[string]bool{"../README.md": true}
	for _, first := range linked("../README.md") {
		near[first] = true
		for _, second := range linked(first) {
			near[second] = true
		}
	}
	for document := range documents {
		if !near[document] && !strings.HasPrefix(document, "../.github/") {
			t.Errorf("%s is more than two clicks away from README.md", document)
		}
	}
}
