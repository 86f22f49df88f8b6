package docs_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A testCommand is a `go test` command of a document with a pattern of names.
type testCommand struct {
	text     string
	packages []string // paths from the root of the repository, like ./shared/fcm
	flag     string   // -run, -bench or -fuzz
	pattern  string
}

// TestCommandsOfDocumentsRunTests checks that `go test -run PATTERN PACKAGE` of a document, and
// the same with -bench and -fuzz, matches a test in each package, and that each alternative of
// the pattern matches one. Otherwise the command says ok and runs nothing.
func TestCommandsOfDocumentsRunTests(t *testing.T) {
	t.Parallel()
	found := 0
	for file, text := range markdownFiles(t) {
		for _, c := range testCommandsOf(text) {
			found++
			for _, fault := range c.faults(t) {
				t.Errorf("%s: %q: %s", strings.TrimPrefix(file, "../"), c.text, fault)
			}
		}
	}
	if found < 20 {
		t.Errorf("%d commands with a pattern were found, want at least 20: the test no longer recognizes them", found)
	}
}

// TestWrongCommandsAreFound shows that the check above can fail.
func TestWrongCommandsAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"`go test -run TestWrongCommandsAreFound ./docs`":                 0,
		"`go test ./docs -run 'WrongCommands\\|Configuration' -v`":        0,
		"`go test -run NoTestHasThisName ./docs`":                         1,
		"`go test -run 'WrongCommands\\|NoTestHasThisName' ./docs`":       1,
		"`go test -run WrongCommandsAreFound ./docs ./terraform`":         1,
		"`go test -run '^$' -bench NoBenchmarkHasThisName ./shared/fcm`":  1,
		"go test -run - -fuzz NoFuzzTestHasThisName ./functions/mailings": 1,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			commands := testCommandsOf(text)
			if len(commands) != 1 {
				t.Fatalf("%d commands are found, want 1: %+v", len(commands), commands)
			}
			if got := commands[0].faults(t); len(got) != want {
				t.Errorf("%d faults are found, want %d: %q", len(got), want, got)
			}
		})
	}
}

var (
	goTestPattern = regexp.MustCompile("go test [^`\n#]*")
	wordPattern   = regexp.MustCompile(`'[^']*'|\S+`)
)

// testCommandsOf returns the commands of a document that have a pattern. A table writes the
// | of a pattern as \|.
func testCommandsOf(text string) (commands []testCommand) {
	for _, command := range goTestPattern.FindAllString(text, -1) {
		c := testCommand{text: strings.TrimSpace(command)}
		patterns := map[string]string{}
		words := wordPattern.FindAllString(strings.ReplaceAll(command, `\|`, "|"), -1)
		for i, word := range words {
			switch {
			case strings.HasPrefix(word, "./"):
				c.packages = append(c.packages, word)
			case i+1 < len(words) && slices.Contains([]string{"-run", "-bench", "-fuzz"}, word):
				patterns[word] = strings.Trim(words[i+1], "'")
			}
		}

		for _, flag := range []string{"-fuzz", "-bench", "-run"} { // -run is '^$' beside the others
			if pattern, ok := patterns[flag]; ok {
				c.flag, c.pattern = flag, pattern
				commands = append(commands, c)
				break
			}
		}
	}
	return commands
}

// faults says which parts of a command run nothing.
func (c testCommand) faults(t *testing.T) (faults []string) {
	t.Helper()
	if len(c.packages) == 0 {
		return []string{"it names no package"}
	}
	matched := map[string]bool{} // packages, and alternatives of the pattern
	name, _, _ := strings.Cut(c.pattern, "/")
	alternatives := strings.Split(name, "|")
	for _, pkg := range c.packages {
		for _, test := range c.namesIn(t, pkg) {
			for _, alternative := range alternatives {
				if regexp.MustCompile(alternative).MatchString(test) {
					matched[pkg], matched[alternative] = true, true
				}
			}
		}
	}

	for _, part := range slices.Concat(c.packages, alternatives) {
		if !matched[part] {
			faults = append(faults, "nothing is run for "+part)
		}
	}
	if len(faults) > 1 && len(c.packages)+len(alternatives) == 2 { // one package, one pattern: the same fault
		faults = faults[:1]
	}
	return faults
}

// namesIn returns the names in the tests of a package that the flag of c chooses from.
func (c testCommand) namesIn(t *testing.T, pkg string) (names []string) {
	t.Helper()
	kinds := map[string]string{"-run": "Test|Example|Fuzz", "-bench": "Benchmark", "-fuzz": "Fuzz"}[c.flag]
	for _, name := range regexp.MustCompile(`(?m)^func ((?:`+kinds+`)\w*)\(`).FindAllStringSubmatch(testsOf(t, filepath.Join("..", pkg)), -1) {
		names = append(names, name[1])
	}
	return names
}
