package docs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sharedFolders are the packages that several emulators use.
var sharedFolders = []string{"../emulators/loopback", "../emulators/webchannel"}

var (
	boldText     = regexp.MustCompile(`\*\*([a-z ]+)\*\*`)
	namedTest    = regexp.MustCompile("`(Test[A-Za-z0-9]+)`")
	testFunction = regexp.MustCompile(`(?m)^func (Test[A-Za-z0-9]+)\(`)
	namedOutcome = regexp.MustCompile("`([A-Z][A-Z_]+)`")
	// reasoned finds what has no test, with at least three words of a reason.
	reasoned = regexp.MustCompile(`(?i)\bnot (there|tested): \S+ \S+ \S+`)
	// notThere finds a sentence that says that something is missing.
	notThere = regexp.MustCompile(`(?i)\bnot there\b`)
)

// A compatRow is a row of a COMPAT.md.
type compatRow struct{ behaviour, evidence, test string }

// TestCompatibilityPages checks each COMPAT.md by the rules of compatFaults, against the tests of
// its folder and of the packages that emulators share.
func TestCompatibilityPages(t *testing.T) {
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
			own := testsIn(t, filepath.Dir(page))
			if len(own) < 30 {
				t.Errorf("found %d tests in the folder of %s, want at least 30", len(own), page)
			}
			for _, fault := range compatFaults(readText(t, page), own, testsIn(t, sharedFolders...)) {
				t.Errorf("%s: %s", page, fault)
			}
		})
	}
}

// TestCompatibilityOfFCMHasEveryOutcome checks that each outcome that the README of the FCM
// emulator lists is the subject of a row.
func TestCompatibilityOfFCMHasEveryOutcome(t *testing.T) {
	t.Parallel()
	outcomes := outcomesOf(readText(t, "../emulators/fcm/README.md"))
	if len(outcomes) < 30 {
		t.Errorf("the README lists %d outcomes, want at least 30", len(outcomes))
	}
	_, rows := compatTable(readText(t, "../emulators/fcm/COMPAT.md"))
	for _, name := range missingOutcomes(outcomes, rows) {
		t.Errorf("no row of COMPAT.md is about the outcome %s", name)
	}
}

// TestFaultsOfCompatibilityPagesAreFound checks that each rule finds a page that breaks it.
func TestFaultsOfCompatibilityPagesAreFound(t *testing.T) {
	t.Parallel()
	const intro = "The evidence is one of: **documented** (by Google), **not there** (with the reason).\n\n"
	own, shared := []string{"TestOne"}, []string{"TestShared"}
	for name, c := range map[string]struct {
		text string
		want []string // a part of each fault
	}{
		"a good page":             {intro + "| `a \\| b` | documented | `TestOne`, `TestShared` |", nil},
		"a reason for no test":    {intro + "`TestOne`\n\n| a | documented | not tested: it takes an hour |", nil},
		"a reason for its lack":   {intro + "`TestOne`\n\n| a | not there: nobody needs it | |", nil},
		"no kinds of evidence":    {"| a | documented | `TestOne` |", []string{"no kinds of evidence", "no kind of evidence"}},
		"another kind":            {intro + "| a | guessed | `TestOne` |", []string{"no kind of evidence"}},
		"a part of a word":        {intro + "| a | undocumented | `TestOne` |", []string{"no kind of evidence"}},
		"no evidence":             {intro + "| a | | `TestOne` |", []string{"no kind of evidence"}},
		"no test":                 {intro + "`TestOne`\n\n| a | documented | |", []string{"no test"}},
		"no reason":               {intro + "`TestOne`\n\n| a | documented | not tested |", []string{"no test"}},
		"a short reason":          {intro + "`TestOne`\n\n| a | documented | not tested: later |", []string{"no test"}},
		"not there, no reason":    {intro + "| a | not there | `TestOne` |", []string{"without a reason"}},
		"a test that is none":     {intro + "| a | documented | `TestOne`, `TestTwo` |", []string{"TestTwo, which does not exist"}},
		"a test outside of a row": {intro + "`TestTwo`\n\n| a | documented | `TestOne` |", []string{"TestTwo, which does not exist"}},
		"the begin of a name":     {intro + "| a | documented | `TestOn` |", []string{"TestOn, which does not exist", "TestOne is not named"}},
		"a test that is left out": {intro + "| a | documented | `TestShared` |", []string{"TestOne is not named"}},
		"two cells":               {intro + "| a | documented `TestOne` |", []string{"2 cells"}},
		"four cells":              {intro + "| a | documented | `TestOne` | x |", []string{"4 cells"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := compatFaults(c.text, own, shared)
			if len(got) != len(c.want) {
				t.Fatalf("found the faults %q, want %d", got, len(c.want))
			}
			for i, part := range c.want {
				if !strings.Contains(got[i], part) {
					t.Errorf("fault %d is %q, want %q in it", i, got[i], part)
				}
			}
		})
	}
}

// TestOutcomesAreReadAndCompared checks how outcomes are found in a README, and in the first
// cells of rows.
func TestOutcomesAreReadAndCompared(t *testing.T) {
	t.Parallel()
	const readme = "`EARLIER`\n\n## Outcomes\n\n`OK` · `SLOW_ONE` (late), as RST_STREAM\n\n`GONE`.\n\n- Rules: `RULE`\n\n## Quota\n\n`LATER`\n"
	outcomes := outcomesOf(readme)
	if diff := cmp.Diff([]string{"OK", "SLOW_ONE", "GONE"}, outcomes); diff != "" {
		t.Errorf("the outcomes of the README differ (-want +got):\n%s", diff)
	}
	rows := []compatRow{{behaviour: "`OK`: accepted"}, {behaviour: "`SLOW_ONE_MORE`", evidence: "`GONE`"}}
	if diff := cmp.Diff([]string{"SLOW_ONE", "GONE"}, missingOutcomes(outcomes, rows)); diff != "" {
		t.Errorf("the outcomes without a row differ (-want +got):\n%s", diff)
	}
}

// compatFaults returns what is wrong with the text of a COMPAT.md. own are the tests of its
// folder, which it has to name, and shared are further ones, which it may name. Each row has
// three cells. Its evidence has one of the kinds that the page lists, and a reason if something
// is not there. It names a test, or says why there is none.
func compatFaults(text string, own, shared []string) (faults []string) {
	kinds, rows := compatTable(text)
	if len(kinds) == 0 {
		faults = append(faults, `it lists no kinds of evidence, after "The evidence is one of:" and in bold`)
	}
	kind := regexp.MustCompile(`(?i)\b(` + strings.Join(kinds, "|") + `)\b`)

	for _, r := range rows {
		switch {
		case r.test == noRow:
			faults = append(faults, fmt.Sprintf("this row has %s cells, want 3: %s", r.evidence, r.behaviour))
		case len(kinds) == 0 || !kind.MatchString(r.evidence):
			faults = append(faults, fmt.Sprintf("the evidence of this row has no kind of evidence of %q: %s", kinds, r.behaviour))
		case notThere.MatchString(r.evidence) && !reasoned.MatchString(r.evidence):
			faults = append(faults, fmt.Sprintf("this row says that something is not there, without a reason: %s", r.behaviour))
		case !namedTest.MatchString(r.test) && !reasoned.MatchString(r.test) && !reasoned.MatchString(r.evidence):
			faults = append(faults, fmt.Sprintf("this row names no test, and no reason for that: %s", r.behaviour))
		}
	}
	return append(faults, faultsOfTests(text, own, shared)...)
}

// faultsOfTests returns the tests that a text names and that do not exist, and those of own that
// it does not name.
func faultsOfTests(text string, own, shared []string) (faults []string) {
	var named []string
	for _, found := range namedTest.FindAllStringSubmatch(text, -1) {
		if name := found[1]; !slices.Contains(named, name) {
			named = append(named, name)
			if !slices.Contains(own, name) && !slices.Contains(shared, name) {
				faults = append(faults, fmt.Sprintf("it names %s, which does not exist", name))
			}
		}
	}
	for _, name := range own {
		if !slices.Contains(named, name) {
			faults = append(faults, fmt.Sprintf("the test %s is not named: add it to the row of the behaviour that it holds, or to the tests of the emulator's own parts", name))
		}
	}
	return faults
}

// noRow is the test of a compatRow whose line has another number of cells, which is its evidence.
const noRow = "no row"

// compatTable returns the kinds of evidence that a COMPAT.md lists, and the rows of its tables.
func compatTable(text string) (kinds []string, rows []compatRow) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if _, list, found := strings.Cut(line, "The evidence is one of:"); found {
			for _, k := range boldText.FindAllStringSubmatch(list, -1) {
				kinds = append(kinds, k[1])
			}
		}
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| behaviour |") {
			continue
		}

		cells := strings.Split(strings.Trim(strings.ReplaceAll(line, `\|`, ""), "|"), "|")
		if len(cells) != 3 {
			rows = append(rows, compatRow{line, fmt.Sprint(len(cells)), noRow})
			continue
		}
		rows = append(rows, compatRow{strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2])})
	}
	return kinds, rows
}

// outcomesOf returns the outcomes that the README of the FCM emulator lists: the names in the
// section Outcomes, before its list of rules.
func outcomesOf(readme string) (names []string) {
	_, section, _ := strings.Cut(readme, "\n## Outcomes\n")
	section, _, _ = strings.Cut(section, "\n- ")
	for _, found := range namedOutcome.FindAllStringSubmatch(section, -1) {
		names = append(names, found[1])
	}
	return names
}

// missingOutcomes returns the outcomes that no first cell of a row names.
func missingOutcomes(outcomes []string, rows []compatRow) (missing []string) {
	for _, name := range outcomes {
		if !slices.ContainsFunc(rows, func(r compatRow) bool { return strings.Contains(r.behaviour, "`"+name+"`") }) {
			missing = append(missing, name)
		}
	}
	return missing
}

// testsIn returns the names of the tests in folders and the folders below them.
func testsIn(t *testing.T, folders ...string) (names []string) {
	t.Helper()
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && d.Name() == "node_modules" {
				return filepath.SkipDir
			}
			if strings.HasSuffix(path, "_test.go") {
				for _, found := range testFunction.FindAllStringSubmatch(readText(t, path), -1) {
					names = append(names, found[1])
				}
			}
			return nil
		})
		if err != nil {
			t.Fatalf("looking for tests in %s: %v", folder, err)
		}
	}
	return names
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
