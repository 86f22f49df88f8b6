// Package terraform_test compares the deployment with the code that it deploys: functions
// read the settings that Terraform sets, functions log the lines that metrics and alerts
// read, and README.md shows the variables, outputs and commands of the module.
package terraform_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// functionNames are the functions that have a file of their own here. devices and console
// are deployed only if they are enabled.
var functionNames = []string{"mailings", "customers", "dispatch", "deliver", "tick", "devices", "console"}

// inCode returns the functions that have a folder in functions/. All except devices
// and console must have one.
func inCode(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, name := range functionNames {
		if _, err := os.Stat(filepath.Join("..", "functions", name, "function.go")); err == nil {
			out = append(out, name)
		} else if name != "devices" && name != "console" {
			t.Errorf("terraform deploys %s, but functions/%s/function.go does not exist", name, name)
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

// glob returns the contents of all files that match a pattern, without Go's test files.
func glob(t *testing.T, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s (%v)", pattern, err)
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

// found returns the first group of every match, sorted and without duplicates.
func found(pattern, text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// without returns list without the members of drop.
func without(list, drop []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(x string) bool { return slices.Contains(drop, x) })
}
