// Command emulators runs the whole cloud that Carillon needs in one process:
// Firestore, Pub/Sub, FCM, the clock, and all functions.
//
//	go run ./emulators            until Ctrl-C
//	go run ./emulators demo       sends two mailings to a thousand customers and shows the results
//	go run ./emulators load       measures one mailing; with -chaos sends many mailings under faults
//	go run ./emulators import     streams an NDJSON or CSV file of customers to /v1/imports
//	go run ./emulators adopt      imports push tokens from Firestore, CSV or OneSignal, or says what would become of them
//	go run ./emulators export     streams a list of the customers that push can reach into a file, NDJSON or CSV
//	go run ./emulators verify     sends a dry run through a deployment, and says what works
//	go run ./emulators rosters    compares the rosters of large mailings with the customers, or empties them
//	go run ./emulators probe      compares the emulators with the services of a project, without sending
//	go run ./emulators events     prints the events of the topic push-events
//	go run ./emulators function   serves one function in its own process, as load -chaos does
//	go run ./emulators help       prints the arguments and flags of a command
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

	"carillon.example/emulators/cli"
	"carillon.example/emulators/local"
	"carillon.example/emulators/progress"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := runCommand(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "emulators:", err)
		os.Exit(1)
	}
}

func runCommand(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		if c, ok := cli.FindCommand(args[0]); ok {
			return c.Run(ctx, args[1:], out)
		}
		if args[0] == "-version" || args[0] == "--version" {
			return cli.Version(ctx, nil, out)
		}
	}
	return serveEmulators(ctx, args, out)
}

// serveEmulators runs until ctx ends.
func serveEmulators(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("emulators")
	o := local.Defaults()
	o.RegisterFlags(f)
	only := f.String("only", "", "start only these emulators and no functions: a list of firestore, pubsub, fcm and auth")
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unknown command %q: use one of %s, or only flags", f.Arg(0), cli.CommandNames())
	}
	f.Visit(func(x *flag.Flag) { o.Given = append(o.Given, x.Name) })
	if err := errors.Join(o.ChooseEmulators(*only), o.Check()); err != nil {
		return err
	}
	if err := o.CheckFree(); err != nil {
		return err
	}
	for _, text := range o.Exposed() {
		fmt.Fprintln(os.Stderr, "emulators: warning:", text)
	}

	defer progress.ReadableLog()()
	l, err := local.Start(ctx, o)
	if err != nil {
		return err
	}
	defer l.Close()
	l.Print(out)
	fmt.Fprintln(out, "ready")
	<-ctx.Done()
	l.Close()
	saved, err := l.SavedAtEnd()
	if saved != "" {
		fmt.Fprintln(out, saved)
	}
	fmt.Fprintln(out, l.LostAtEnd())
	return err
}
