// Command conformance runs Google's own integration tests of the Firestore Go
// client against the emulator: TestIntegration_DefaultDB. Each subtest runs in
// its own process with a time limit, because a failing one can retry for
// minutes. The tests are built from the module cache, so they belong to the
// client version in go.mod.
//
//	go run ./emulators/firestore/conformance -min 46
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"carillon.example/emulators/firestore"
)

const client = "cloud.google.com/go/firestore"

// indexes are the indexes that the tests need. Google runs the tests against a
// project that has them.
//
//go:embed firestore.indexes.json
var indexes []byte

// A testResult is the result of one subtest: passed, failed, failed (cap) or
// skipped.
type testResult struct {
	name, result, output string
	took                 time.Duration
}

func main() {
	atLeast := flag.Int("min", 47, "exit non-zero when fewer subtests pass")
	limit := flag.Duration("cap", 40*time.Second, "time limit of a subtest")
	side := flag.Int("parallel", 6, "number of subtests that run at the same time")
	only := flag.String("run", "", "run only subtests whose name matches this regular expression")
	addr := flag.String("addr", "", "test the server at host:port instead of an embedded one")
	verbose := flag.Bool("v", false, "print the output of subtests that do not pass")
	flag.Parse()
	passed, err := runTests(*addr, *limit, *side, *only, *verbose)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
	if *only == "" && passed < *atLeast {
		os.Exit(1)
	}
}

// runTests runs the subtests and returns how many passed. An empty addr means an
// embedded server.
func runTests(addr string, limit time.Duration, side int, only string, verbose bool) (int, error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return 0, err
	}

	defer func() { _ = os.RemoveAll(dir) }()
	names, err := subtestNames()
	if err != nil {
		return 0, err
	}

	binary := filepath.Join(dir, "integration.test")
	if out, err := exec.Command("go", "test", "-c", "-o", binary, client).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build the tests of %s: %w\n%s", client, err, out)
	}

	key := filepath.Join(dir, "key.json")
	if err := writeKey(key); err != nil {
		return 0, err
	}
	if addr == "" {
		s, err := firestore.Start("127.0.0.1:0", firestore.Options{RequireIndexes: indexes})
		if err != nil {
			return 0, err
		}
		defer s.Close()
		addr = s.Addr()
	}

	env := append(os.Environ(), "GCLOUD_TESTS_GOLANG_FIRESTORE_PROJECT_ID=demo",
		"GCLOUD_TESTS_GOLANG_FIRESTORE_KEY="+key, "FIRESTORE_EMULATOR_HOST="+addr)
	wanted, err := regexp.Compile(only)
	if err != nil {
		return 0, err
	}

	return printResults(runAll(names, wanted, binary, env, limit, side), verbose), nil
}

var subtest = regexp.MustCompile(`t\.Run\("(\w+)", testIntegration\w+\)`)

// subtestNames returns the names of the subtests of TestIntegration_DefaultDB. It
// reads them from the source of the client.
func subtestNames() ([]string, error) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", client).Output()
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", client, err)
	}

	src, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "integration_test.go"))
	if err != nil {
		return nil, err
	}
	_, body, ok := strings.Cut(string(src), "func TestIntegration_DefaultDB(")
	if !ok {
		return nil, fmt.Errorf("%s has no TestIntegration_DefaultDB", client)
	}

	body, _, _ = strings.Cut(body, "\n}\n")
	var names []string
	for _, m := range subtest.FindAllStringSubmatch(body, -1) {
		names = append(names, m[1])
	}
	return names, nil
}

func runAll(names []string, wanted *regexp.Regexp, binary string, env []string, limit time.Duration, side int) []testResult {
	out := make([]testResult, len(names))
	slots := make(chan struct{}, side)
	var wg sync.WaitGroup
	for i, n := range names {
		if !wanted.MatchString(n) {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			out[i] = runSubtest(n, binary, env, limit)
		})
	}

	wg.Wait()
	return out
}

func runSubtest(name, binary string, env []string, limit time.Duration) testResult {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.v", "-test.run", "TestIntegration_DefaultDB/^"+name+"$")
	cmd.Env, cmd.WaitDelay = env, time.Second
	began := time.Now()
	out, err := cmd.CombinedOutput()
	v := testResult{name, "failed", string(out), time.Since(began)}
	switch {
	case ctx.Err() != nil:
		v.result = "failed (cap)"
	case err != nil:
	case strings.Contains(v.output, "--- SKIP: TestIntegration_DefaultDB/"+name+" "):
		v.result = "skipped"
	case strings.Contains(v.output, "--- PASS: TestIntegration_DefaultDB/"+name+" "):
		v.result = "passed"
	}

	return v
}

// printResults prints each result and the totals. It returns how many subtests
// passed.
func printResults(vs []testResult, verbose bool) int {
	sums := map[string]int{}
	for _, v := range vs {
		if v.name == "" {
			continue
		}
		kind, _, _ := strings.Cut(v.result, " ")
		sums[kind]++
		fmt.Printf("%-12s %6.1fs  %s\n", v.result, v.took.Seconds(), v.name)
		if verbose && kind != "passed" {
			fmt.Println(v.output)
		}
	}

	fmt.Printf("%d passed, %d failed, %d skipped\n", sums["passed"], sums["failed"], sums["skipped"])
	return sums["passed"]
}
