package functions_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
	"carillon.example/functions/customers"
	"carillon.example/functions/devices"
	"carillon.example/functions/mailings"
	"carillon.example/shared/auth"
)

// somebody lets everybody in.
type somebody struct{}

func (somebody) Verify(context.Context, string) (auth.Identity, error) {
	return auth.Identity{UID: "ann"}, nil
}

// described are the HTTP functions, as far as they describe themselves.
func described() map[string]http.Handler {
	return map[string]http.Handler{
		"mailings": mailings.New(mailings.Deps{}), "customers": customers.New(customers.Deps{}), "devices": devices.New(devices.Deps{Auth: somebody{}}),
	}
}

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	r.Header.Set("Authorization", "Bearer t")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// documents writes the OpenAPI documents of all HTTP functions into a folder.
func documents(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, h := range described() {
		w := get(t, h, "/openapi.json")
		if w.Code != http.StatusOK {
			t.Fatalf("document of %s: status is %v, want %v", name, w.Code, http.StatusOK)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("document of %s: %.200s is no JSON", name, w.Body)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), w.Body.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestThePageOfAFunctionLeadsToItsDocument: GET / lists every operation.
func TestThePageOfAFunctionLeadsToItsDocument(t *testing.T) {
	t.Parallel()
	for name, h := range described() {
		page := get(t, h, "/")
		kind := page.Header().Get("Content-Type")
		check.Equal(t, page.Code, http.StatusOK, "page of %s: status", name)
		check.Equal(t, kind, "text/html; charset=utf-8", "page of %s: Content-Type", name)
		if !strings.Contains(page.Body.String(), `href="openapi.json"`) {
			t.Errorf("the page of %s does not lead to its document: %s", name, page.Body)
		}

		var doc struct{ Paths map[string]map[string]any }
		if err := json.Unmarshal(get(t, h, "/openapi.json").Body.Bytes(), &doc); err != nil {
			t.Fatal(err)
		}
		for path, methods := range doc.Paths {
			for method := range methods {
				if row := strings.ToUpper(method) + " " + path; !strings.Contains(page.Body.String(), row) {
					t.Errorf("the page of %s has no %s", name, row)
				}
			}
		}
	}
}

// tool is a program of docs/openapi; without it the test is skipped.
func tool(t *testing.T, name string) string {
	t.Helper()
	at, err := filepath.Abs(filepath.Join("..", "docs", "openapi", "node_modules", ".bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(at); err != nil {
		t.Skipf("%s is not installed: run npm ci in docs/openapi", name)
	}
	return at
}

func run(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "NO_COLOR=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v\n%s", filepath.Base(program), args, err, out)
	}
}

// TestDocumentsAreClean: two linters, each with its strictest rules of its own, find
// nothing.
func TestDocumentsAreClean(t *testing.T) {
	t.Parallel()
	redocly, spectral := tool(t, "redocly"), tool(t, "spectral")
	rules, err := filepath.Abs(filepath.Join("..", "docs", "openapi"))
	if err != nil {
		t.Fatal(err)
	}
	dir := documents(t)
	for _, name := range []string{"mailings", "customers", "devices"} {
		t.Run(name, func(t *testing.T) {
			run(t, dir, redocly, "lint", "--config", filepath.Join(rules, "redocly.yaml"), name+".json")
			run(t, dir, spectral, "lint", "--quiet=false", "--fail-severity", "hint", "--ruleset", filepath.Join(rules, ".spectral.yaml"), name+".json")
		})
	}
}
