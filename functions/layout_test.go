// Package functions_test checks what holds for every function alike.
package functions_test

import (
	"errors"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
)

const framework = `"github.com/GoogleCloudPlatform/functions-framework-go/functions"`

// TestBuildpackLayout lays every function out as Terraform uploads it and the
// Go buildpack wants it: the function's files at the root, as the only package
// there, beside go.mod, go.sum and shared/. Then it builds it as the buildpack
// does.
func TestBuildpackLayout(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("*/function.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) != 7 {
		t.Fatalf("number of functions is %v, want 7: %+v", len(folders), folders)
	}
	// One after the other in the same place: what the compiler makes of shared/
	// depends on where it lies, and serves all seven.
	dir := filepath.Join(t.TempDir(), "upload")
	for _, f := range folders {
		name := filepath.Dir(f)
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			layOut(t, name, dir)
			checkRoot(t, name, dir)
			for _, args := range [][]string{{"mod", "tidy"}, {"build", "."}} {
				cmd := exec.Command("go", args...)
				cmd.Dir = dir
				cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
				}
			}
		})
	}
}

// TestAWrongRevisionDoesNotStart builds a function as the buildpack does, and starts it as
// Cloud Run does: with wrong settings its process ends, so that the revision fails and gets
// no traffic. Every function calls the check.
func TestAWrongRevisionDoesNotStart(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*/function.go")
	if err != nil {
		t.Fatalf("listing the functions: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		if !strings.Contains(string(text), "func init() {\n\tcloud.ExitIfMisconfigured[settings]()\n") {
			t.Errorf("%s does not check its settings before it serves", file)
		}
	}

	binary := compiled(t, "console") // the one that is linked fastest
	cmd := exec.Command(binary)
	cmd.Env = []string{"K_SERVICE=carillon-console", "FUNCTION_TARGET=console", "PORT=0", "GOOGLE_CLOUD_PROJECT=p", "CONSOLE_IDENTITY=laptop", "MAILINGS_URL=http://m"}
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() }) // it serves
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) || ended.ExitCode() != 1 {
		t.Errorf("the process ends with %v, want exit code 1:\n%s", err, out)
	}
	for _, part := range []string{`"severity":"ERROR"`, "the function cannot start", "CUSTOMERS_URL", "CONSOLE_IDENTITY is laptop"} {
		check.Contains(t, string(out), part, "the log")
	}
}

func layOut(t testing.TB, name, dir string) {
	t.Helper()
	entries, err := os.ReadDir(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			if e.Name() != "testdata" {
				t.Errorf("functions/%s/%s: a function's folder is flat", name, e.Name())
			}
			continue
		}
		copyFile(t, filepath.Join(name, e.Name()), filepath.Join(dir, e.Name()))
	}
	copyFile(t, "../go.mod", filepath.Join(dir, "go.mod"))
	copyFile(t, "../go.sum", filepath.Join(dir, "go.sum"))
	err = filepath.WalkDir("../shared", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		copyFile(t, path, filepath.Join(dir, strings.TrimPrefix(path, "../")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// pageFiles is the only folder of which the upload has files that are no Go.
const pageFiles = "../shared/page/files/"

// copyFile leaves out tests, what they read, and what is neither Go nor a file of the
// page, as Terraform does.
func copyFile(t testing.TB, from, to string) {
	t.Helper()
	uploaded := slices.Contains([]string{".go", ".mod", ".sum"}, filepath.Ext(from)) || strings.HasPrefix(from, pageFiles)
	if !uploaded || strings.HasSuffix(from, "_test.go") || strings.Contains(from, "testdata") {
		return
	}
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkRoot holds the root to one package that imports the framework,
// registers the function under its folder's name, and embeds no files.
func checkRoot(t *testing.T, name, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var packages, imports []string
	registered := false
	for _, f := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, parsed.Name.Name)
		for _, i := range parsed.Imports {
			imports = append(imports, i.Path.Value)
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		registered = registered || strings.Contains(string(src), `functions.HTTP("`+name+`"`)
		if strings.Contains(string(src), "//go:embed") {
			t.Errorf("%s embeds files, which the upload does not have", filepath.Base(f))
		}
	}
	slices.Sort(packages)
	got := slices.Compact(packages)
	if len(got) != 1 {
		t.Fatalf("number of packages at the root is %v, want 1: %+v", len(got), got)
	}
	check.Equal(t, got[0], name, "package at the root")
	if !slices.Contains(imports, framework) {
		t.Errorf("%s does not import the functions framework", name)
	}
	if !registered {
		t.Errorf("%s does not register itself under its name", name)
	}
	for _, i := range imports {
		if strings.HasPrefix(i, `"carillon.example/`) && !strings.HasPrefix(i, `"carillon.example/shared/`) {
			t.Errorf("%s imports %s, which the upload does not have", name, i)
		}
	}
}
