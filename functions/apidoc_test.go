package functions_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	phones "carillon.example/emulators/fcm"
	"carillon.example/emulators/lab"
	"carillon.example/functions/customers"
	"carillon.example/functions/mailings"
	"carillon.example/shared/fcm"
	"carillon.example/shared/queue"
	"carillon.example/shared/store"
)

var shell = regexp.MustCompile("(?s)```sh\n(.*?)```")

// TestTheCommandsOfTheAPIPage runs every command of docs/api.md in its order: none
// fails.
func TestTheCommandsOfTheAPIPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{"bash", "curl", "gzip"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the page's commands need %s", program)
		}
	}
	l := lab.New(t)
	l.Topic("dispatch", "push-events")
	q := queue.New(l.PubSub(), queue.Topics{Dispatch: "dispatch", Events: "push-events"})
	t.Cleanup(q.Stop)
	sender, err := fcm.New(t.Context(), fcm.Config{Project: "p", Endpoint: lab.Phones(t, phones.Options{}).URL(), MaxInstances: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sender.Close() })
	s, log := store.New(l.DB(), store.Options{}), slog.New(slog.DiscardHandler)
	mux := http.NewServeMux()
	sending := mailings.New(mailings.Deps{Store: s, Queue: q, Proof: sender, Log: log})
	mux.Handle("/v1/mailings", sending)
	mux.Handle("/v1/mailings/", sending)
	mux.Handle("/", customers.New(customers.Deps{Store: s, Queue: q, Log: log}))

	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for _, block := range shell.FindAllStringSubmatch(string(page), -1) {
		script.WriteString(block[1])
	}
	cmd := exec.CommandContext(t.Context(), "bash", "-x", "-c", script.String())
	cmd.Env = append(os.Environ(), "API="+lab.Serve(t, mux).URL)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTheAPIPageHasEveryOperation of mailings and customers, as a heading.
func TestTheAPIPageHasEveryOperation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := documents(t)
	for _, name := range []string{"mailings", "customers"} {
		b, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Paths map[string]map[string]any }
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatal(err)
		}
		for path, methods := range doc.Paths {
			for method := range methods {
				if heading := "### `" + strings.ToUpper(method) + " " + path + "`\n"; !strings.Contains(string(page), heading) {
					t.Errorf("docs/api.md has no %s", heading)
				}
			}
		}
	}
}
