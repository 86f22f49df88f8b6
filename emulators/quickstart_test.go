package main

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"carillon.example/emulators/fcm"
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
	lines := quickStart(t, "python")
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

// TestQuickStartInRuby runs the lines of Ruby of docs/emulators.md with Google's client library,
// and checks that the phone has got the message.
func TestQuickStartInRuby(t *testing.T) {
	t.Parallel()
	ruby, err := exec.LookPath("ruby")
	if err != nil {
		t.Skip("ruby is not installed, so the quick start in Ruby cannot run")
	}
	if err := exec.CommandContext(t.Context(), ruby, "-e", `require "google/apis/fcm_v1"`).Run(); err != nil {
		t.Skip("Google's API client for Ruby is not installed (Debian: ruby-google-api-client), so the quick start in Ruby cannot run")
	}
	lines := quickStart(t, "ruby")

	phones, err := fcm.Start("127.0.0.1:0", fcm.Options{RequireAuth: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(phones.Close)
	cmd := exec.CommandContext(t.Context(), ruby, "-e", lines)
	cmd.Env = append(os.Environ(), "FCM_URL="+phones.URL()+"/")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the quick start failed: %v\n%s", err, out)
	}

	messages := phones.Messages(fcm.Filter{Token: "phone-of-anna"})
	check.MustEqual(t, len(messages), 1, "messages of the phone")
	check.Contains(t, string(out), messages[0].ID, "output")
	check.Equal(t, messages[0].Project, "demo-shop", "project of the message")
	check.Contains(t, string(messages[0].Raw), "It is ready", "message")
}

// quickStart returns the five lines of a language in docs/emulators.md.
func quickStart(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/emulators.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	check.MustEqual(t, len(blocks), 1, "blocks of %s in docs/emulators.md", language)
	lines := blocks[0][1]
	check.Equal(t, strings.Count(lines, "\n"), 5, "lines of the quick start in %s", language)
	return lines
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
