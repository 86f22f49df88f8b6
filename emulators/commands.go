package main

import (
	"context"
	"fmt"
	"io"

	"carillon.example/emulators/adopt"
	"carillon.example/emulators/cli"
	"carillon.example/emulators/demo"
	"carillon.example/emulators/instances"
	"carillon.example/emulators/loadtest"
	"carillon.example/emulators/local"
	"carillon.example/emulators/probe"
	"carillon.example/emulators/rosters"
	"carillon.example/emulators/transfer"
	"carillon.example/emulators/verify"
)

func init() {
	cli.Commands = []cli.Command{
		{Name: "demo", Args: "[flags]", What: "Imports a thousand customers, sends two mailings, and shows the result of every token.", Run: demo.Run},
		{Name: "load", Args: "[flags]", What: "Sends one mailing to many customers and measures it; with -chaos sends many mailings under faults.", Run: loadtest.Run},
		{Name: "import", Args: "[flags] FILE", What: "Streams an NDJSON or CSV file of customers to /v1/imports. Use - as FILE for standard input.", Run: transfer.ImportFile},
		{Name: "adopt", Args: "[flags]", What: "Says what would become of the push tokens of a Firestore collection, a CSV file or OneSignal's export, and with -write imports them.", Run: adopt.Run},
		{Name: "export", Args: "[flags] FILE", What: "Streams a list of the customers that push can reach into a file, as NDJSON or CSV. Use - as FILE for standard output.", Run: transfer.ExportFile},
		{Name: "verify", Args: "[flags]", What: "Checks a deployment, or the emulators of this machine: registers a customer, sends a dry run, reads what became of it, and deletes the customer.", Run: verify.Run},
		{Name: "rosters", Args: "[flags]", What: "Compares the rosters of a database, from which large mailings are read, with its customers, or empties them.", Run: rosters.Run},
		{Name: "probe", Args: "[flags]", What: "Compares the emulators of FCM and, with -firestore, of Firestore with the services of a project. No phone gets a message.", Run: probe.Run},
		{Name: "events", Args: "[flags]", What: "Prints each event of the topic push-events as a line of JSON, until Ctrl-C.", Run: local.FollowEvents},
		{Name: "function", Args: "NAME", What: "Serves one function in its own process. -instances and load -chaos use it.", Run: instances.ServeFunction},
		{Name: "version", Args: "", What: "Prints the version of this program.", Run: cli.Version},
		{Name: "help", Args: "[COMMAND]", What: "Prints this list, or the help of a command.", Run: printHelp},
	}
}

// printHelp prints the list of commands, or the help of one command.
func printHelp(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return serveEmulators(ctx, []string{"-h"}, out)
	}
	c, ok := cli.FindCommand(args[0])
	if !ok || len(args) > 1 {
		return fmt.Errorf("help: give the name of one command: %s", cli.CommandNames())
	}
	if c.Args == "" || c.Name == "function" || c.Name == "help" {
		fmt.Fprintf(out, "%s\n\ngo run ./emulators %s %s\n", c.What, c.Name, c.Args)
		return nil
	}
	return c.Run(ctx, []string{"-h"}, out)
}
