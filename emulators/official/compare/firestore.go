package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	sdk "cloud.google.com/go/firestore"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"carillon.example/emulators/testcloud"
)

// How much is done for each figure.
const (
	documents  = 10_000
	perCommit  = 500
	bulk       = 2000
	selective  = 100
	singles    = 4000
	sideBySide = 16
	increments = 1000
)

// measureFirestore measures a server through the Go client, whose work is in
// the figures. A first round, whose figures are dropped, warms the server.
func measureFirestore(ctx context.Context, addr string) (out []figure, err error) {
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()), testcloud.AsOwner())
	if err != nil {
		return nil, err
	}

	for _, project := range []string{"demo-warm", "demo-compare"} {
		c, err := sdk.NewClient(ctx, project, option.WithGRPCConn(conn))
		if err != nil {
			return nil, err
		}
		out = nil
		for _, measure := range []func(context.Context, *sdk.Client) (figure, error){measureCommits, bulkWriter, measureStream, measureQueries, measureSets, measureGets, measureTransactions} {
			f, err := measure(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", f.what, err)
			}
			out = append(out, f)
		}
	}

	return out, conn.Close()
}

func smallDocument(i int) map[string]any {
	return map[string]any{"id": fmt.Sprintf("customer-%d", i), "n": i, "reachable": i%2 == 0, "segment": fmt.Sprintf("s%d", i%10)}
}

func measureCommits(ctx context.Context, c *sdk.Client) (figure, error) {
	began := time.Now()
	var g errgroup.Group
	g.SetLimit(4)
	for from := 0; from < documents; from += perCommit {
		g.Go(func() error {
			return c.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
				for i := from; i < from+perCommit; i++ {
					if err := tx.Set(c.Doc(fmt.Sprintf("c/d%08d", i)), smallDocument(i)); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}

	err := g.Wait()
	return newFigure("documents written a second, commits of 500", documents, began), err
}

func bulkWriter(ctx context.Context, c *sdk.Client) (figure, error) {
	began := time.Now()
	w := c.BulkWriter(ctx)
	for i := range bulk {
		if _, err := w.Set(c.Doc(fmt.Sprintf("bulk/d%08d", i)), smallDocument(i)); err != nil {
			return figure{what: "BulkWriter"}, err
		}
	}
	w.End()
	return newFigure("documents written a second by BulkWriter", bulk, began), nil
}

func measureStream(ctx context.Context, c *sdk.Client) (figure, error) {
	began, n := time.Now(), 0
	it := c.Collection("c").OrderBy("n", sdk.Asc).Documents(ctx)
	defer it.Stop()
	for ; ; n++ {
		_, err := it.Next()
		if errors.Is(err, iterator.Done) {
			break
		}
		if err != nil {
			return figure{what: "a query"}, err
		}
	}
	if n != documents {
		return figure{what: "a query"}, fmt.Errorf("%d documents came, want %d", n, documents)
	}

	return newFigure("documents read a second, one query in order", n, began), nil
}

func measureQueries(ctx context.Context, c *sdk.Client) (figure, error) {
	began := time.Now()
	for i := range selective {
		snaps, err := c.Collection("c").Where("id", "==", fmt.Sprintf("customer-%d", i*7)).Documents(ctx).GetAll()
		if err != nil || len(snaps) != 1 {
			return figure{what: "selective queries"}, fmt.Errorf("%d documents: %w", len(snaps), err)
		}
	}
	return newFigure("queries a second that find one of 10,000", selective, began), nil
}

// runEach calls do for n documents, several at the same time.
func runEach(n int, do func(i int) error) error {
	var g errgroup.Group
	g.SetLimit(sideBySide)
	for i := range n {
		g.Go(func() error { return do(i) })
	}
	return g.Wait()
}

func measureSets(ctx context.Context, c *sdk.Client) (figure, error) {
	began := time.Now()
	err := runEach(singles, func(i int) error {
		_, err := c.Doc(fmt.Sprintf("single/d%d", i)).Set(ctx, smallDocument(i))
		return err
	})
	return newFigure("Set a second, 16 side by side", singles, began), err
}

func measureGets(ctx context.Context, c *sdk.Client) (figure, error) {
	began := time.Now()
	err := runEach(singles, func(i int) error {
		_, err := c.Doc(fmt.Sprintf("single/d%d", i)).Get(ctx)
		return err
	})
	return newFigure("Get a second, 16 side by side", singles, began), err
}

func measureTransactions(ctx context.Context, c *sdk.Client) (figure, error) {
	began := time.Now()
	err := runEach(increments, func(i int) error {
		ref := c.Doc(fmt.Sprintf("counters/d%d", i))
		return c.RunTransaction(ctx, func(_ context.Context, tx *sdk.Transaction) error {
			snaps, err := tx.GetAll([]*sdk.DocumentRef{ref})
			if err != nil {
				return err
			}
			n, _ := snaps[0].Data()["n"].(int64)
			return tx.Set(ref, map[string]any{"n": n + 1})
		})
	})
	return newFigure("transactions a second, 16 side by side", increments, began), err
}

// runConformance runs Google's tests of the Go client against a server, and returns
// how many pass.
func runConformance(ctx context.Context, addr string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "run", "./emulators/firestore/conformance", "-min", "0", "-addr", addr).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("running Google's tests: %w\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1], nil
}
