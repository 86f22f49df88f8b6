// Package cli has the flags and the help of the commands.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"carillon.example/shared/push"
)

// A Command is a command of `go run ./emulators`.
type Command struct {
	Name string
	Args string // arguments, as the help shows them
	What string // one sentence
	Run  func(context.Context, []string, io.Writer) error
}

// Commands lists every command in the order of the help. The program sets it before
// it parses flags.
var Commands []Command

// FindCommand returns the command with that name.
func FindCommand(name string) (Command, bool) {
	for _, c := range Commands {
		if c.Name == name {
			return c, true
		}
	}
	return Command{}, false
}

// NewFlags returns a flag set for a command. The set prints nothing itself: ParseFlags
// prints the help.
func NewFlags(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	return f
}

// ParseFlags parses a command's flags. With -h it prints the help and returns
// flag.ErrHelp. Its error names the first fault, without the list of flags.
func ParseFlags(f *flag.FlagSet, args []string, out io.Writer) error {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		printUsage(f, out)
		return err
	case err != nil:
		return fmt.Errorf("%w; -h lists all flags", err)
	}
	return nil
}

// printUsage prints one sentence about a command, and its flags.
func printUsage(f *flag.FlagSet, out io.Writer) {
	c, ok := FindCommand(f.Name())
	if !ok { // the command without a name
		fmt.Fprint(out, "Runs Carillon and all emulators that it needs on this machine, until Ctrl-C.\n\ngo run ./emulators [flags]\n")
		for _, c := range Commands {
			fmt.Fprintf(out, "go run ./emulators %-22s %s\n", c.Name+" "+c.Args, c.What)
		}
	} else {
		fmt.Fprintf(out, "%s\n\ngo run ./emulators %s %s\n", c.What, c.Name, c.Args)
	}
	fmt.Fprintln(out)
	f.SetOutput(out)
	f.PrintDefaults()
	f.SetOutput(io.Discard)
}

// CommandNames lists the names of all commands.
func CommandNames() string {
	text := ""
	for i, c := range Commands {
		if i > 0 {
			text += ", "
		}
		text += c.Name
	}
	return text
}

// Version prints the version, and the commit it was built from if it is known.
func Version(_ context.Context, _ []string, out io.Writer) error {
	text := push.Version
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && len(s.Value) >= 12:
				text += " " + s.Value[:12]
			case s.Key == "vcs.modified" && s.Value == "true":
				text += " with changes"
			}
		}
	}

	fmt.Fprintf(out, "carillon %s, %s %s/%s\n", text, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
