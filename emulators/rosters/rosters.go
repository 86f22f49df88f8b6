// Package rosters compares the rosters of a database with its customers. It shares no code
// with dispatch beyond the encoding of a roster, so that it does not repeat its mistakes.
package rosters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"cloud.google.com/go/firestore"

	"carillon.example/emulators/cli"
	"carillon.example/emulators/progress"
	"carillon.example/shared/push"
)

// Run compares the rosters of a database with its customers, or with -delete empties them.
// The error is not nil if a roster is wrong.
func Run(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("rosters")
	project := f.String("project", "", "Google Cloud project of the deployment; credentials are the application default ones, or FIRESTORE_EMULATOR_HOST names an emulator")
	database := f.String("database", firestore.DefaultDatabaseID, "the database of the deployment")
	empty := f.Bool("delete", false, "empty all rosters instead, so that the next mailing reads all customers again; it costs up to nine writes or deletes for each of the 1,024 rosters, and later a read for each customer")
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("rosters: this command takes flags but no arguments")
	}
	if *project == "" {
		return errors.New("rosters: -project is missing: the Google Cloud project of the deployment")
	}

	db, err := firestore.NewClientWithDatabase(ctx, *project, *database)
	if err != nil {
		return fmt.Errorf("rosters: opening database %s of project %s: %w", *database, *project, err)
	}
	defer db.Close()

	if *empty {
		if err := Empty(ctx, db); err != nil {
			return fmt.Errorf("rosters: %w", err)
		}
		fmt.Fprintf(out, "all %d rosters are empty; the next mailing to many customers reads each of them\n", push.KeyPrefixes)
		return nil
	}
	if err := verify(ctx, db, out); err != nil {
		return fmt.Errorf("rosters: %w", err)
	}
	return nil
}

// verify compares, and prints what it will cost, what was found, and the counts. The error
// also says how many findings there are.
func verify(ctx context.Context, db *firestore.Client, out io.Writer) error {
	plan, err := NewPlan(ctx, db)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d documents of rosters, %d customers: costs up to %d reads, one for each document and customer\n", plan.Documents, plan.Customers, plan.Reads())

	bar := progress.NewBar(out, "verify")
	report, err := plan.Verify(ctx, DefaultSlack, func(done int) { bar.Show(int64(done), int64(plan.Prefixes()), "rosters") })
	bar.End()
	if err != nil {
		return err
	}
	report.print(out)
	if report.Wrong.Count > 0 {
		return fmt.Errorf("%d findings", report.Wrong.Count)
	}
	return nil
}

// print prints what was found, and the counts.
func (r *Report) print(out io.Writer) {
	for _, x := range []struct {
		what string
		of   Findings
	}{{"remark ", r.Remarks}, {"WRONG  ", r.Wrong}} {
		for _, f := range x.of.First {
			fmt.Fprintln(out, x.what, f)
		}
		if more := x.of.Count - len(x.of.First); more > 0 {
			fmt.Fprintf(out, "%s and %d more\n", x.what, more)
		}
	}
	fmt.Fprintf(out, "%d rosters are used, %d customers compared, %d documents read, %d findings\n", r.Used, r.Compared, r.Reads, r.Wrong.Count)
}

// A Finding is one fault of a roster, or a remark about it.
type Finding struct {
	Roster   string // its prefix
	Customer string // the key of the customer; "": all of the roster
	What     string
}

// String describes the finding in one line. It has no push token.
func (f Finding) String() string {
	if f.Customer == "" {
		return fmt.Sprintf("roster %s: %s", f.Roster, f.What)
	}
	return fmt.Sprintf("roster %s: customer %s: %s", f.Roster, f.Customer, f.What)
}

// Findings are counted. The first of them are kept.
type Findings struct {
	Count int
	First []Finding // in the order of rosters and customers
}

// mostKept is how many findings are kept in words.
const mostKept = 100

// compareFindings orders findings by roster and customer.
func compareFindings(a, b Finding) int {
	return cmp.Or(cmp.Compare(a.Roster, b.Roster), cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.What, b.What))
}

// A Report is the result of Verify.
type Report struct {
	Used     int // rosters that dispatch uses
	Compared int // customers that were compared with such a roster
	Reads    int // documents that were read, with those of the plan
	Wrong    Findings
	Remarks  Findings
}
