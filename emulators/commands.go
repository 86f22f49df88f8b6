package main

import (
	"context"
	"fmt"
	"io"

	"carillon.example/emulators/cli"
	"carillon.example/emulators/demo"
	"carillon.example/emulators/instances"
	"carillon.example/emulators/loadtest"
	"carillon.example/emulators/local"
	"carillon.example/emulators/transfer"
)

func init() {
	cli.Commands = []cli.Command{
		{Name: "demo", Args: "[flags]", What: "Imports a thousand customers, sends two mailings, and shows what became of every token.", Run: demo.Run},
		{Name: "load", Args: "[flags]", What: "Sends one mailing to many and measures it; with -chaos sends many under faults of everything.", Run: loadtest.Run},
		{Name: "import", Args: "[flags] FILE", What: "Streams an NDJSON or CSV file of customers to /v1/imports; - is standard input.", Run: transfer.ImportFile},
		{Name: "export", Args: "[flags] FILE", What: "Streams who can be reached into a file, NDJSON or CSV; - is standard output.", Run: transfer.ExportFile},
		{Name: "events", Args: "[flags]", What: "Follows the topic push-events and prints each event as a line of JSON.", Run: local.FollowEvents},
		{Name: "function", Args: "NAME", What: "Serves one function in a process of its own, as -instances and load -chaos start them.", Run: instances.ServeFunction},
		{Name: "version", Args: "", What: "Prints which version this is.", Run: cli.Version},
		{Name: "help", Args: "[COMMAND]", What: "Prints this, or what a command takes.", Run: printHelp},
	}
}

// printHelp prints the list of commands, or the help of one command.
func printHelp(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return serveEmulators(ctx, []string{"-h"}, out)
	}
	c, ok := cli.FindCommand(args[0])
	if !ok || len(args) > 1 {
		return fmt.Errorf("help: name one command: %s", cli.CommandNames())
	}
	if c.Args == "" || c.Name == "function" || c.Name == "help" {
		fmt.Fprintf(out, "%s\n\ngo run ./emulators %s %s\n", c.What, c.Name, c.Args)
		return nil
	}
	return c.Run(ctx, []string{"-h"}, out)
}
