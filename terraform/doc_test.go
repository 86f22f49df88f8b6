// Package terraform_test holds the deployment against the code it deploys: what
// Terraform tells a function is what the function reads, what the alerts listen
// for is what the functions say, and what README prints is what is there.
package terraform_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// functionNames are the functions that have a file of their own here; devices is
// deployed when it is asked for.
var functionNames = []string{"mailings", "customers", "dispatch", "deliver", "tick", "devices"}

// inCode are the functions whose folder is there.
func inCode(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, name := range functionNames {
		if _, err := os.Stat(filepath.Join("..", "functions", name, "function.go")); err == nil {
			out = append(out, name)
		} else if name != "devices" {
			t.Errorf("terraform deploys %s, and functions/%s/function.go is not there", name, name)
		}
	}
	return out
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// glob reads files together, without Go's tests.
func glob(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file is named like %s (%v)", pattern, err)
	}
	var all string
	for _, f := range files {
		if !testFile.MatchString(f) {
			all += read(t, f)
		}
	}
	return all
}

var testFile = regexp.MustCompile(`_test\.go$`)

// found is the first group of every match, sorted, each once.
func found(pattern, text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func without(list, drop []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return slices.Contains(drop, x) })
}
