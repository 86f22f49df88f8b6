// Command compare measures our emulators and Google's, and prints the tables of
// docs/performance.md: speed, memory, time to start, and how many of Google's own tests of
// the Go client pass. The servers run one after the other, each in its own process. `npm run
// compare` in emulators/official calls it. To call it directly:
//
//	FIRESTORE_EMULATOR_BINARY_PATH=….jar PUBSUB_EMULATOR_BINARY_PATH=… go run ./emulators/official/compare
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"time"
)

// conformanceIndexes are the indexes that Google's tests need.
const conformanceIndexes = "emulators/firestore/conformance/firestore.indexes.json"

// A figure is one line of a table.
type figure struct{ what, value string }

// A server is a program that is measured.
type server struct {
	command []string
	addr    string // host:port that it listens on
}

func main() {
	conformance := flag.Bool("conformance", true, "run Google's tests of the Go client, which take minutes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := compareServers(ctx, *conformance); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func compareServers(ctx context.Context, conformance bool) error {
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary := filepath.Join(dir, "emulators")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./emulators").CombinedOutput(); err != nil {
		return fmt.Errorf("building our emulators: %w\n%s", err, out)
	}
	jar, script := os.Getenv("FIRESTORE_EMULATOR_BINARY_PATH"), os.Getenv("PUBSUB_EMULATOR_BINARY_PATH")
	if jar == "" || script == "" {
		return fmt.Errorf("set FIRESTORE_EMULATOR_BINARY_PATH and PUBSUB_EMULATOR_BINARY_PATH to the files of Google's emulators")
	}

	firestore := func(addr string) ([]figure, error) {
		figures, err := measureFirestore(ctx, addr)
		if err != nil || !conformance {
			return figures, err
		}
		sums, err := runConformance(ctx, addr)
		return append(figures, figure{"Google's tests of the Go client", sums}), err
	}
	err = printTable(ctx, "Firestore", firestore,
		func(addr, port string) server {
			return server{[]string{"java", "-Duser.language=en", "-jar", jar, "--host=127.0.0.1", "--port=" + port}, addr}
		},
		func(addr, _ string) server {
			return server{[]string{binary, "-only", "firestore", "-firestore", addr, "-require-indexes", conformanceIndexes}, addr}
		})
	if err != nil {
		return err
	}
	return printTable(ctx, "Pub/Sub", func(addr string) ([]figure, error) { return measurePubSub(ctx, addr) },
		func(addr, port string) server {
			return server{[]string{script, "--host=127.0.0.1", "--port=" + port}, addr}
		},
		func(addr, _ string) server { return server{[]string{binary, "-only", "pubsub", "-pubsub", addr}, addr} })
}

// printTable measures Google's server, then ours, and prints the figures side by side.
func printTable(ctx context.Context, name string, measure func(addr string) ([]figure, error), googles, ours func(addr, port string) server) error {
	var columns [2][]figure
	for i, make := range []func(addr, port string) server{googles, ours} {
		port, err := freePort(ctx)
		if err != nil {
			return err
		}
		if columns[i], err = make("127.0.0.1:"+port, port).startAndMeasure(ctx, measure); err != nil {
			return fmt.Errorf("%s, %s: %w", name, []string{"Google's", "ours"}[i], err)
		}
	}

	fmt.Printf("\n| %s | Google's | ours |\n|---|---|---|\n", name)
	for i, f := range columns[0] {
		fmt.Printf("| %s | %s | %s |\n", f.what, f.value, columns[1][i].value)
	}
	return nil
}

// newFigure returns the rate of n operations since a time.
func newFigure(what string, n int, began time.Time) figure {
	return figure{what, formatNumber(int(float64(n) / time.Since(began).Seconds()))}
}

// formatNumber returns a number with commas between its thousands.
func formatNumber(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return formatNumber(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
