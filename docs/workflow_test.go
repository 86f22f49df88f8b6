package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestWorkflowRunsEveryPart checks that the jobs of the workflow together run each part of
// .ci/run.
func TestWorkflowRunsEveryPart(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	workflow, err := os.ReadFile("../.github/workflows/ci.yml")
	if err != nil {
		t.Fatal(err)
	}

	list := regexp.MustCompile(`(?m)^parts=\((.+)\)$`).FindSubmatch(script)
	if list == nil {
		t.Fatal(".ci/run has no list of its parts")
	}
	runs := map[string]bool{}
	for _, line := range regexp.MustCompile(`(?m)^ +(?:part:|- run:)(.+)$`).FindAllStringSubmatch(string(workflow), -1) {
		for _, word := range strings.FieldsFunc(line[1], func(r rune) bool { return strings.ContainsRune(" ,[]", r) }) {
			runs[word] = true
		}
	}
	for part := range strings.FieldsSeq(string(list[1])) {
		if !runs[part] {
			t.Errorf("no job of .github/workflows/ci.yml runs the part %s", part)
		}
		if !strings.Contains(string(script), "\n"+part+"() {") {
			t.Errorf(".ci/run has no function for its part %s", part)
		}
	}
}
