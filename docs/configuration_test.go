package docs_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the mechanical columns of configuration.md again")

const configurationPage = "configuration.md"

// A variable is an environment variable of functions.
type variable struct {
	functions []string // that read it, sorted; nil: all
	fallback  string   // its default, as the page writes it
	terraform string   // the variables of Terraform that it comes from, as the page writes them
}

// TestConfiguration checks that the page has one row for each environment variable that a
// function reads, with the functions, the default and the Terraform variables of the code,
// and a meaning. With -update it writes all but the meanings.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(configurationPage)
	if err != nil {
		t.Fatalf("reading the page: %v", err)
	}
	begin, rows, end := cutTable(t, string(page))
	variables := readVariables(t)
	if len(variables) < 30 {
		t.Fatalf("the code has %d variables, want at least 30: the test does not find them", len(variables))
	}

	var table strings.Builder
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		v := variables[name]
		meaning := rows[name]
		if meaning == "" {
			t.Errorf("%s has no meaning in %s", name, configurationPage)
		}
		functions := "all"
		if v.functions != nil {
			functions = strings.Join(v.functions, ", ")
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s | %s |\n", name, functions, v.fallback, v.terraform, meaning)
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("%s has a row for %s, which no function reads", configurationPage, name)
	}

	want := begin + table.String() + end
	if *update {
		if err := os.WriteFile(configurationPage, []byte(want), 0o644); err != nil {
			t.Fatalf("writing the page: %v", err)
		}
		return
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("the page is out of date: run go test ./docs -run TestConfiguration -update (-code +page)\n%s", diff)
	}
}

// cutTable returns what stands before and behind the rows of the table, and the meaning of
// each row.
func cutTable(t *testing.T, page string) (begin string, meanings map[string]string, end string) {
	t.Helper()
	const header = "| variable | functions | default | Terraform | meaning |\n|---|---|---|---|---|\n"
	at := strings.Index(page, header)
	if at < 0 {
		t.Fatalf("%s has no table with the header %q", configurationPage, header)
	}
	at += len(header)
	size := 0
	meanings = map[string]string{}
	for line := range strings.Lines(page[at:]) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		size += len(line)
		cells := strings.SplitN(strings.Trim(line, "|\n "), " | ", 5)
		if len(cells) == 5 {
			meanings[strings.Trim(cells[0], "`")] = cells[4]
		}
	}
	return page[:at], meanings, page[at+size:]
}

// readVariables reads the tags of the settings, and where Terraform takes the values from.
func readVariables(t *testing.T) map[string]variable {
	t.Helper()
	files, err := filepath.Glob("../functions/*/function.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no functions: %v", err)
	}

	tag := regexp.MustCompile("`env:\"([A-Z0-9_]+)([a-zA-Z,]*)\"(?: envDefault:\"([^\"]*)\")?")
	out := map[string]variable{}
	sources := readTerraform(t)
	for _, file := range append(files, "../shared/cloud/settings.go") {
		for _, found := range tag.FindAllStringSubmatch(readText(t, file), -1) {
			name := found[1]
			v := out[name]
			switch {
			case strings.Contains(found[2], "required"):
				v.fallback = "required"
			case found[3] == "":
				v.fallback = "empty"
			default:
				v.fallback = "`" + found[3] + "`"
			}
			if old, known := out[name]; known && old.fallback != v.fallback {
				t.Errorf("%s has the defaults %s and %s", name, old.fallback, v.fallback)
			}
			if strings.HasPrefix(file, "../functions/") {
				v.functions = append(v.functions, filepath.Base(filepath.Dir(file)))
				slices.Sort(v.functions)
			}
			v.terraform = sources[name]
			out[name] = v
		}
	}
	return out
}

// readTerraform returns, for each environment variable that Terraform sets, the variables
// of Terraform in its value.
func readTerraform(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../terraform/*.tf")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no Terraform files: %v", err)
	}
	all := ""
	for _, file := range files {
		all += readText(t, file) + "\n"
	}

	sources := map[string]map[string]bool{}
	for _, found := range regexp.MustCompile(`(?m)^\s+([A-Z][A-Z0-9_]+)\s+=\s+(.+)$`).FindAllStringSubmatch(all, -1) {
		if sources[found[1]] == nil {
			sources[found[1]] = map[string]bool{}
		}
		for _, name := range inputsOf(all, found[2], 3) {
			sources[found[1]][name] = true
		}
	}

	out := map[string]string{}
	for name, inputs := range sources {
		var texts []string
		for _, input := range slices.Sorted(maps.Keys(inputs)) {
			texts = append(texts, "`"+input+"`")
		}
		if out[name] = strings.Join(texts, ", "); len(texts) == 0 {
			out[name] = "sets it"
		}
	}
	return out
}

// inputsOf returns the variables of Terraform in an expression, also those in the local
// values that it names, to some depth.
func inputsOf(all, expression string, depth int) (inputs []string) {
	for _, found := range regexp.MustCompile(`var\.([a-z_]+)(\[each\.key\])?((?:\.[a-z_]+)?)(\.[a-z_]+)?`).FindAllStringSubmatch(expression, -1) {
		name := found[1] + found[3]
		if found[1] == "functions" {
			name = "functions" // each function has its own
		}
		inputs = append(inputs, name)
	}
	if depth == 0 {
		return inputs
	}
	for _, found := range regexp.MustCompile(`local\.([a-z_]+)`).FindAllStringSubmatch(expression, -1) {
		definition := regexp.MustCompile(`(?ms)^  ` + found[1] + `\s+=\s+(.+?)(?:^  [a-z_]+\s+=|^})`).FindStringSubmatch(all)
		if definition != nil {
			inputs = append(inputs, inputsOf(all, definition[1], depth-1)...)
		}
	}
	return inputs
}

func readText(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("reading %s: %v", file, err)
	}
	return string(text)
}
