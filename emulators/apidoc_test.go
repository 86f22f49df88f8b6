package main

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
)

var shell = regexp.MustCompile("(?s)```sh\n(.*?)```")

// pagesOfCommands are the pages whose blocks marked sh are run, each page from its top. Each
// has what its commands print.
var pagesOfCommands = map[string]string{
	"README.md":          `"pushAvailable":true`,
	"docs/adopt.md":      "1 tokens of 1 customers to import, 1 android",
	"docs/api.md":        `"state":"scheduled"`,
	"docs/operations.md": `"state":"cancelled"`,
}

// prelude makes each command of a page that fails end the script, and runs this program for
// `go run ./emulators`. adopt gets the address of the API, whose port is not the usual one.
const prelude = `set -euo pipefail
go() {
  [ "$1 $2" = "run ./emulators" ] || { echo "the test cannot run: go $*"; return 1; }
  CARILLON_RUN_COMMAND=1 "$PROGRAM" "${@:3}" -to "$API"
}
curl() { command curl -f "$@"; } # a page for people leaves the option out
`

// TestTheCommandsOfDocuments runs the commands of documents: none fails, and they print what
// the page promises.
func TestTheCommandsOfDocuments(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "curl", "gzip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the commands need %s", program)
		}
	}
	for page, want := range pagesOfCommands {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("../" + page)
			if err != nil {
				t.Fatal(err)
			}
			r := serveCommand(t, "-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0")

			var script strings.Builder
			for _, block := range shell.FindAllStringSubmatch(string(text), -1) {
				script.WriteString(block[1])
			}
			// A page names the usual addresses, and the project of its reader.
			commands := strings.NewReplacer("http://127.0.0.1:5001", r.addr["API"], "http://127.0.0.1:9599", r.addr["FCM"], "-firestore PROJECT", "-firestore demo-apps").Replace(script.String())
			cmd := exec.CommandContext(t.Context(), "bash", "-x", "-c", prelude+commands)
			cmd.Dir = sourcesOfTokens(t, r)
			cmd.Env = append(os.Environ(), "API="+r.addr["API"], "DEVICES="+r.addr["Devices"], "AUTH="+r.addr["Auth"], "PROGRAM="+thisProgram(t), "FIRESTORE_EMULATOR_HOST="+r.firestore())
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("a command fails: %v\n%s", err, out)
			}
			check.Contains(t, string(out), want, "the output")
		})
	}
}

// firestore returns the address of the Firestore that the command uses.
func (r *running) firestore() string {
	if address := r.addr["Firestore"]; address != "" {
		return address
	}
	return os.Getenv("FIRESTORE_EMULATOR_HOST")
}

func thisProgram(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// sourcesOfTokens makes what docs/adopt.md reads: a folder with its files, and the collection
// of an app in Firestore.
func sourcesOfTokens(t *testing.T, r *running) (folder string) {
	t.Helper()
	folder = t.TempDir()
	var export bytes.Buffer
	z := gzip.NewWriter(&export)
	_, _ = z.Write([]byte("id,identifier,device_type,invalid_identifier,created_at,last_active,external_user_id,notification_types\n1,ben-phone:APA91b,1,f,2026-11-01 10:00:00,2026-11-20 10:00:00,ben,1\n"))
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"tokens.csv":    []byte("user_id,fcm_token,os\nanna,anna-phone:APA91b,android\n"),
		"export.csv.gz": export.Bytes(),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	document := "http://" + r.firestore() + "/v1/projects/demo-apps/databases/(default)/documents/users/cleo"
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, document, strings.NewReader(`{"fields": {"fcmToken": {"stringValue": "cleo-phone:APA91b"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer owner")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatalf("storing a user of the app: %v", err)
	}
	defer answer.Body.Close()
	check.MustEqual(t, answer.StatusCode, http.StatusOK, "status of storing a user of the app")
	return folder
}
