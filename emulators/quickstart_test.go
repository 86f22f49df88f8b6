package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"carillon.example/emulators/firestore"
	"carillon.example/emulators/pubsub"
	"carillon.example/emulators/testcloud/check"
)

// TestQuickStartInPython runs the lines of Python of docs/emulators.md, and checks that they
// have stored the document and published the message.
func TestQuickStartInPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed, so the quick start in Python cannot run")
	}
	page, err := os.ReadFile("../docs/emulators.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```python\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	check.MustEqual(t, len(blocks), 1, "blocks of Python in docs/emulators.md")
	lines := blocks[0][1]
	check.Equal(t, strings.Count(lines, "\n"), 5, "lines of the quick start")

	documents, err := firestore.Start("127.0.0.1:0", firestore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(documents.Close)
	messages, err := pubsub.Start("127.0.0.1:0", pubsub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(messages.Close)
	cmd := exec.CommandContext(t.Context(), python, "-c", lines)
	cmd.Env = append(os.Environ(), "FIRESTORE_EMULATOR_HOST="+documents.Addr(), "PUBSUB_EMULATOR_HOST="+messages.Addr())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the quick start failed: %v\n%s", err, out)
	}
	check.Contains(t, string(out), "messageIds", "output")

	var stored struct {
		Fields struct{ People struct{ IntegerValue string } }
	}
	readJSON(t, "http://"+documents.Addr()+"/v1/projects/demo-shop/databases/(default)/documents/cities/riga", &stored)
	check.Equal(t, stored.Fields.People.IntegerValue, "605273", "people of the document")
	var topic struct{ Name string }
	readJSON(t, "http://"+messages.Addr()+"/v1/projects/demo-shop/topics/cities", &topic)
	check.Equal(t, topic.Name, "projects/demo-shop/topics/cities", "name of the topic")
}

// readJSON decodes the answer to a GET.
func readJSON(t *testing.T, url string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
}
