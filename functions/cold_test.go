package functions_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// program is what the buildpack puts beside a function.
const program = `package main

import (
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "carillon.example"
)

func main() {
	if err := funcframework.StartHostPort("127.0.0.1", os.Getenv("PORT")); err != nil {
		panic(err)
	}
}
`

// starts is how many starts the median is taken of.
const starts = 9

// BenchmarkColdStart builds every function as the buildpack does and measures
// the time from the start of its process to its first answer, without
// credentials, and the size of its binary.
func BenchmarkColdStart(b *testing.B) {
	folders, err := filepath.Glob("*/function.go")
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range folders {
		name := filepath.Dir(f)
		b.Run(name, func(b *testing.B) {
			binary := compiled(b, name)
			info, err := os.Stat(binary)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				took := make([]time.Duration, starts)
				for i := range took {
					took[i] = coldStart(b, name, binary)
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[starts/2].Microseconds())/1000, "ms-to-first-answer")
			}
			b.ReportMetric(float64(info.Size())/(1<<20), "MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func compiled(b testing.TB, name string) string {
	dir := b.TempDir()
	layOut(b, name, dir)
	main := filepath.Join(dir, "serverless_function_app")
	if err := os.Mkdir(main, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(main, "main.go"), []byte(program), 0o600); err != nil {
		b.Fatal(err)
	}
	binary := filepath.Join(dir, "function")
	for _, args := range [][]string{{"mod", "tidy"}, {"build", "-ldflags", "-s -w", "-o", binary, "./serverless_function_app"}} {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	return binary
}

func coldStart(b *testing.B, name, binary string) time.Duration {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	ln.Close()
	cmd := exec.Command(binary)
	cmd.Env = []string{"PORT=" + port, "FUNCTION_TARGET=" + name, "PATH=" + os.Getenv("PATH")}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill() // it does not end by itself
		_ = cmd.Wait()
	}()
	for time.Since(began) < 10*time.Second {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%s/", port))
		if err == nil {
			resp.Body.Close()
			return time.Since(began)
		}
		time.Sleep(time.Millisecond)
	}
	b.Fatalf("%s did not answer", name)
	return 0
}
