package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// A subcommand is what stands after `go run ./emulators`.
type subcommand struct {
	name string
	args string // what follows it
	what string // one sentence
	run  func(context.Context, []string, io.Writer) error
}

// commandList is every command in the order of the help; it is filled in by
// init, since help lists it.
var commandList []subcommand

func init() {
	commandList = []subcommand{
		{"demo", "[flags]", "Imports a thousand customers, sends two mailings, and shows what became of every token.", demo},
		{"load", "[flags]", "Sends one mailing to many and measures it; with -chaos sends many under faults of everything.", load},
		{"import", "[flags] FILE", "Streams an NDJSON or CSV file of customers to /v1/imports; - is standard input.", importFile},
		{"export", "[flags] FILE", "Streams who can be reached into a file, NDJSON or CSV; - is standard output.", exportFile},
		{"events", "[flags]", "Follows the topic push-events and prints each event as a line of JSON.", followEvents},
		{"function", "NAME", "Serves one function in a process of its own, as -instances and load -chaos start them.", function},
		{"version", "", "Prints which version this is.", version},
		{"help", "[COMMAND]", "Prints this, or what a command takes.", help},
	}
}

func findCommand(name string) (subcommand, bool) {
	for _, c := range commandList {
		if c.name == name {
			return c, true
		}
	}
	return subcommand{}, false
}

// newFlags makes the flags of a command; nothing is printed by them: parse does.
func newFlags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// parse reads a command's flags. With -h it prints what the command takes and
// returns flag.ErrHelp; what is wrong is told once, without the list.
func parse(f *flag.FlagSet, args []string, out io.Writer) error {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		usage(f, out)
		return err
	case err != nil:
		return fmt.Errorf("%w; -h lists what there is", err)
	}
	return nil
}

// usage prints one sentence on a command and its flags.
func usage(f *flag.FlagSet, out io.Writer) {
	c, ok := findCommand(f.Name())
	if !ok { // the command without a name
		fmt.Fprint(out, "Runs the whole cloud Carillon needs on this machine, until Ctrl-C.\n\ngo run ./emulators [flags]\n")
		for _, c := range commandList {
			fmt.Fprintf(out, "go run ./emulators %-22s %s\n", c.name+" "+c.args, c.what)
		}
	} else {
		fmt.Fprintf(out, "%s\n\ngo run ./emulators %s %s\n", c.what, c.name, c.args)
	}
	fmt.Fprintln(out)
	f.SetOutput(out)
	f.PrintDefaults()
	f.SetOutput(io.Discard)
}

// help prints what there is, or what one command takes.
func help(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return serve(ctx, []string{"-h"}, out)
	}
	c, ok := findCommand(args[0])
	if !ok || len(args) > 1 {
		return fmt.Errorf("help: name one command: %s", commandNames())
	}
	if c.args == "" || c.name == "function" || c.name == "help" {
		fmt.Fprintf(out, "%s\n\ngo run ./emulators %s %s\n", c.what, c.name, c.args)
		return nil
	}
	return c.run(ctx, []string{"-h"}, out)
}

func commandNames() string {
	text := ""
	for i, c := range commandList {
		if i > 0 {
			text += ", "
		}
		text += c.name
	}
	return text
}

// version prints the module's version, or the commit it was built from.
func version(_ context.Context, _ []string, out io.Writer) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("version: this program was built without its version")
	}

	text := info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			text += " " + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			text += " with changes"
		}
	}

	fmt.Fprintf(out, "carillon emulators %s, %s %s/%s\n", text, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
