package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud"
)

// A clientWorld is everything on this machine, and the OpenAPI documents that it
// serves.
type clientWorld struct {
	*running
	documents map[string]string // by function
}

func newClientWorld(t *testing.T) *clientWorld {
	t.Helper()
	w := &clientWorld{running: serveCommand(t, "-devices", "127.0.0.1:0", "-auth", "127.0.0.1:0"), documents: map[string]string{}}
	w.documents["mailings"] = w.document(t, w.addr["API"], "/mailings/openapi.json")
	w.documents["customers"] = w.document(t, w.addr["API"], "/customers/openapi.json")
	w.documents["devices"] = w.document(t, w.addr["Devices"], "/openapi.json", "Authorization", "Bearer "+w.idToken(t, "somebody"))

	a := testcloud.At(t, w.addr["FCM"]).Ask("PUT", "/emulator/outcomes", `[{"token":"*-dead:token","outcome":"UNREGISTERED"}]`)
	if a.Code/100 != 2 {
		t.Fatalf("the outcomes: %v", a)
	}
	return w
}

// document is one that a function serves.
func (w *clientWorld) document(t *testing.T, at, path string, header ...string) string {
	t.Helper()
	a := testcloud.At(t, at).Ask("GET", path, "", header...)
	if a.Code != http.StatusOK {
		t.Fatalf("%s: %v", path, a)
	}
	return a.Body
}

// idToken signs somebody in.
func (w *clientWorld) idToken(t *testing.T, sub string) string {
	t.Helper()
	return testcloud.Decode[struct{ IDToken string }](testcloud.At(t, "http://"+w.addr["Auth"]).Ask("POST", "/emulator/tokens", fmt.Sprintf(`{"sub":%q}`, sub)), http.StatusOK).IDToken
}

// save writes the documents and copies of the files of a folder to a new one.
func (w *clientWorld) save(t *testing.T, from string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for name, text := range w.documents {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestGeneratedClients runs the main flow (import, send once, wait, read who can be
// reached) over clients that are generated from the OpenAPI documents.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	w := newClientWorld(t)
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		w.testGo(t)
	})
	t.Run("TypeScript", func(t *testing.T) {
		t.Parallel()
		w.testTypeScript(t)
	})
}

// testGo uses the generator that docs/openapi/go/go.mod pins.
func (w *clientWorld) testGo(t *testing.T) {
	dir := w.save(t, "../docs/openapi/go")
	if out, err := tryIn(t.Context(), dir, "go", "mod", "download"); err != nil {
		if strings.Contains(out, "dial tcp") || strings.Contains(out, "GOPROXY=off") {
			t.Skipf("the module proxy is out of reach: %s", out)
		}
		t.Fatalf("go mod download: %v\n%s", err, out)
	}
	for name := range w.documents {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		mustIn(t, dir, "go", "tool", "oapi-codegen", "-generate", "types,client", "-package", name, "-o", filepath.Join(name, name+".go"), name+".json")
	}
	mustIn(t, dir, "go", "vet", "./...")
	mustIn(t, dir, "go", "run", ".", w.addr["API"], w.addr["Devices"], w.idToken(t, "go-app"))
}

// testTypeScript uses the packages that docs/openapi/package.json pins.
func (w *clientWorld) testTypeScript(t *testing.T) {
	modules, err := filepath.Abs("../docs/openapi/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "openapi-fetch")); err != nil {
		t.Skip("openapi-fetch is not installed: run npm ci in docs/openapi")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("there is no Node")
	}
	dir := w.save(t, "../docs/openapi/ts")
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	program := func(name string) string { return filepath.Join(modules, ".bin", name) }
	for name := range w.documents {
		mustIn(t, dir, program("openapi-typescript"), name+".json", "--output", name+".ts")
	}
	mustIn(t, dir, program("tsc"))
	mustIn(t, dir, "node", "main.js", w.addr["API"], w.addr["Devices"], w.idToken(t, "ts-app"))
}

// tryIn runs a program in a folder.
func tryIn(ctx context.Context, dir, program string, args ...string) (out string, err error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	b, err := cmd.CombinedOutput()
	return string(b), err
}

func mustIn(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	if out, err := tryIn(t.Context(), dir, program, args...); err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(program), args, err, out)
	}
}
