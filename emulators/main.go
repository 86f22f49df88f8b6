// Command emulators runs the whole cloud Carillon needs in one process:
// Firestore, Pub/Sub, FCM, the clock, and all functions.
//
//	go run ./emulators            until Ctrl-C
//	go run ./emulators demo       a thousand customers, two mailings, and what became of them
//	go run ./emulators load       one mailing to many, measured; with -chaos many, under faults
//	go run ./emulators import     streams an NDJSON file of customers to /v1/imports
//	go run ./emulators export     streams who can be reached into a file, NDJSON or CSV
//	go run ./emulators function   one function in a process of its own, as load -chaos starts them
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "emulators:", err)
		os.Exit(1)
	}
}

// commands are what stands after `go run ./emulators`.
var commands = map[string]func(context.Context, []string, io.Writer) error{
	"demo":     demo,
	"load":     load,
	"import":   importFile,
	"export":   exportFile,
	"function": function,
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		if c, ok := commands[args[0]]; ok {
			return c(ctx, args[1:], out)
		}
	}
	return serve(ctx, args, out)
}

// serve runs until ctx ends.
func serve(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet("emulators", flag.ContinueOnError)
	f.SetOutput(os.Stderr)
	f.Usage = func() {
		fmt.Fprintln(os.Stderr, "go run ./emulators [flags]        everything, until Ctrl-C\ngo run ./emulators demo|load|import|export [flags]")
		f.PrintDefaults()
	}
	o := defaults()
	o.flags(f)
	only := f.String("only", "", "only these emulators, no functions: firestore,pubsub,fcm")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("there is no command %q: demo, load, import and export are, or flags alone", f.Arg(0))
	}
	if err := errors.Join(o.choose(*only), o.check()); err != nil {
		return err
	}
	l, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer l.Close()
	l.print(out)
	fmt.Fprintln(out, "ready")
	<-ctx.Done()
	return nil
}
