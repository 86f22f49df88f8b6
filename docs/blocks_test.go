package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// notRun has the blocks of commands that no test runs as they are, by the page and the start of
// the block, and why.
var notRun = map[string]string{
	"README.md: git clone":                            "TestDemoEndsWithEverySumRight runs the demo; the others are the clone and the tests themselves",
	"README.md: go run ./emulators":                   "it serves until it is stopped: TestServed, and the other blocks run on it",
	"CONTRIBUTING.md: go test ./...":                  "the checks of a change themselves",
	"docs/api.md: go run ./emulators":                 "it serves until it is stopped; the other blocks run on it",
	"docs/apps.md: $ go run":                          "shown with its answers; TestDevices sends the same requests",
	"docs/delivery.md: PROJECT=":                      "Google Cloud; the page says so",
	"docs/emulators.md: go run ./emulators -only":     "it serves until it is stopped: TestOnly, and TestQuickStartInPython runs on such servers",
	"docs/emulators.md: go run ./emulators -data":     "it serves until it is stopped: TestDataSurvivesARestart",
	"docs/emulators.md: curl -o saved":                "TestASnapshotOverHTTP sends the same requests",
	"docs/emulators.md: gcloud":                       "Google Cloud; the page says so",
	"docs/emulators.md: echo":                         "it serves until it is stopped; the tests of emulators/probe compare the emulators in the same way",
	"docs/operations.md: gcloud pubsub":               "Google Cloud; the page says so",
	"docs/operations.md: gcloud firestore":            "Google Cloud; the page says so",
	"docs/operations.md: go run ./emulators rosters":  "Google Cloud; the tests of emulators/rosters run it on the emulator",
	"docs/emulators.md: go run ./emulators rosters":   "Google Cloud; the tests of emulators/rosters run it on the emulator",
	"docs/operations.md: gcloud run":                  "Google Cloud; the page says so",
	"docs/testing.md: cd emulators":                   ".ci/run runs it",
	"terraform/README.md: gcloud auth":                "Google Cloud; the page says so",
	"terraform/README.md: cd terraform":               "Google Cloud; the page says so",
	"terraform/README.md: cd ..":                      "Google Cloud; TestVerify runs the command on the emulators",
	"terraform/README.md: terraform -chdir":           "Google Cloud; the tests of Terraform check the output",
	"terraform/README.md: curl -s -X POST $CUSTOMERS": "an output; TestCommands checks its body and TestPaths its path",
	"terraform/README.md: curl -s -X POST $MAILINGS":  "an output; TestCommands checks its body and TestPaths its path",
	"terraform/README.md: eval":                       "Google Cloud; the tests of Terraform check the outputs",
	"terraform/README.md: terraform import":           "Google Cloud; the page says so",
	"terraform/README.md: terraform apply -var":       "Google Cloud; the page says so",
	"terraform/README.md: terraform init":             ".ci/run runs it",
	"emulators/fcm/README.md: $ curl":                 "shown with its answers: TestCurl",
	"emulators/fcm/README.md: FCM_EMULATOR":           "a program of the reader; the tests of emulators/fcm load redirect.mjs in the same way",
	"emulators/fcm/README.md: go run":                 "it changes /etc/hosts and needs port 443: TestFCMAloneWithTLSAndAuthorization",
	"emulators/firestore/README.md: go run":           "it serves until it is stopped: TestOnly",
	"emulators/firestore/README.md: curl -X PATCH":    "TestDocumentsOverHTTP and TestQueriesOverHTTP send such requests",
	"emulators/firestore/README.md: cd emulators":     ".ci/run runs it",
	"emulators/firestore/README.md: go test":          "benchmarks; TestCommandsOfDocumentsRunTests checks that they exist",
	"emulators/official/README.md: cd emulators":      ".ci/run runs it",
}

var (
	blockPattern   = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```")
	commandPattern = regexp.MustCompile(`(?m)^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:go (?:run|test)|curl|gcloud|terraform (?:-chdir|init|apply|import)|git clone|npm|cd|echo|eval|node|printf|for)\b`)
)

// TestEachBlockOfCommandsIsRun checks that a test runs each block of commands of a document, or
// that the table says why none does.
func TestEachBlockOfCommandsIsRun(t *testing.T) {
	t.Parallel()
	runner, err := os.ReadFile("../emulators/apidoc_test.go")
	if err != nil {
		t.Fatal(err)
	}

	run, used := 0, map[string]bool{}
	for file, text := range markdownFiles(t) {
		page := strings.TrimPrefix(file, "../")
		for _, block := range blockPattern.FindAllStringSubmatch(text, -1) {
			language, commands := block[1], strings.TrimSpace(block[2])
			if !slices.Contains([]string{"", "sh"}, language) || !commandPattern.MatchString(commands) {
				continue
			}
			if language == "sh" {
				run++
				if !strings.Contains(string(runner), `"`+page+`":`) {
					t.Errorf("%s has a block marked sh, and TestTheCommandsOfDocuments does not run the page: %.60q", page, commands)
				}
				continue
			}
			key := reasonNotToRun(page, commands)
			if key == "" {
				t.Errorf("%s: no test runs this block, and notRun has no reason: %.60q", page, commands)
			}
			used[key] = true
		}
	}

	for key := range notRun {
		if !used[key] {
			t.Errorf("notRun has %q, and no page has such a block", key)
		}
	}
	if run < 30 {
		t.Errorf("%d blocks marked sh were found, want at least 30", run)
	}
}

// reasonNotToRun returns the longest key of notRun that fits a block, "" if there is none.
func reasonNotToRun(page, commands string) (longest string) {
	for key := range notRun {
		if strings.HasPrefix(page+": "+commands, key) && len(key) > len(longest) {
			longest = key
		}
	}
	return longest
}
