package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"carillon.example/shared/push"
)

// recordVersion is the version of the form of the file.
const recordVersion = 1

// A record is the content of the file.
type record struct {
	Version   int          `json:"version"`
	At        time.Time    `json:"at"`
	FCM       *comparisons `json:"fcm,omitempty"`
	Firestore *comparisons `json:"firestore,omitempty"`
	Faults    []string     `json:"faults,omitempty"` // why something was not compared
}

// comparisons are those of one service.
type comparisons struct {
	Service string       `json:"service"` // its host
	Cases   []comparison `json:"cases"`
}

// A comparison has the answers of the service and of our emulator to one request.
type comparison struct {
	Case     string   `json:"case"`
	Note     string   `json:"note,omitempty"` // why a difference would be no surprise
	Service  answer   `json:"service"`
	Emulator answer   `json:"emulator"`
	Differs  []string `json:"differs,omitempty"` // names of the facts that differ
}

// An answer is what came back, without tokens, ids and names.
type answer struct {
	Facts facts  `json:"facts"` // the same names in the same order in each answer of a service
	Text  string `json:"text,omitempty"`
}

// A fact is a part of an answer that is compared.
type fact struct{ Name, Value string }

type facts []fact

// MarshalJSON writes an object of the facts that have a value.
func (f facts) MarshalJSON() ([]byte, error) {
	all := map[string]string{}
	for _, one := range f {
		if one.Value != "" {
			all[one.Name] = one.Value
		}
	}
	return marshal(all)
}

// marshal encodes a value and leaves <, > and & as they are, so that people can read the file.
func marshal(value any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(value)
	return out.Bytes(), err
}

// maxFaultsInARow is how many cases may fail one after another until the rest is given up.
const maxFaultsInARow = 3

// compareAll makes n comparisons. It stops if the first one fails, because then the caller or
// the address is wrong, after several faults in a row, and when ctx ends.
func (c *comparisons) compareAll(ctx context.Context, n int, compareOne func(i int) (comparison, error)) (faults []error) {
	inARow := 0
	for i := range n {
		if ctx.Err() != nil {
			return append(faults, fmt.Errorf("stopped before case %d of %d: %w", i+1, n, context.Cause(ctx)))
		}
		one, err := compareOne(i)
		if err == nil {
			c.Cases = append(c.Cases, one)
			inARow = 0
			continue
		}

		faults = append(faults, fmt.Errorf("%s: %w", one.Case, err))
		if inARow++; i == 0 || inARow == maxFaultsInARow {
			return append(faults, fmt.Errorf("given up after case %d of %d", i+1, n))
		}
	}
	return faults
}

// prefixed returns the errors with the name of the service.
func prefixed(service string, faults []error) []error {
	for i, fault := range faults {
		faults[i] = fmt.Errorf("%s: %w", service, fault)
	}
	return faults
}

// compare names the facts that are not the same. Texts are for people, and not compared.
func (c *comparison) compare() {
	for i, f := range c.Service.Facts {
		if f.Value != c.Emulator.Facts[i].Value {
			c.Differs = append(c.Differs, f.Name)
		}
	}
}

// String returns the facts that have a value, in one line.
func (a answer) String() string {
	var parts []string
	for _, f := range a.Facts {
		if f.Value != "" {
			parts = append(parts, f.Value)
		}
	}
	return strings.Join(parts, " ")
}

// print prints a line for each case, and the texts of both sides below it.
func (c *comparisons) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	same := 0
	fmt.Fprintln(w, "case\tservice\temulator\tcomparison")
	for _, one := range c.Cases {
		found := "same"
		if len(one.Differs) > 0 {
			found = "differs in: " + strings.Join(one.Differs, ", ")
		} else {
			same++
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", one.Case, push.Truncate(one.Service.String(), maxShownFacts), push.Truncate(one.Emulator.String(), maxShownFacts), found)
	}
	_ = w.Flush() // as the other lines: nothing can be done about an output that is gone

	fmt.Fprintf(out, "\n%d of %d are the same. The texts, which are not compared:\n", same, len(c.Cases))
	for _, one := range c.Cases {
		one.printTexts(out)
	}
}

// printTexts prints what both sides say, and in full the facts that differ.
func (c *comparison) printTexts(out io.Writer) {
	if c.Service.Text == "" && c.Emulator.Text == "" && len(c.Differs) == 0 {
		return
	}
	fmt.Fprintf(out, "%s\n", c.Case)
	for i, f := range c.Service.Facts {
		if got := c.Emulator.Facts[i].Value; got != f.Value {
			fmt.Fprintf(out, "    %s: %q, the emulator %q\n", f.Name, f.Value, got)
		}
	}
	if len(c.Differs) > 0 && c.Note != "" {
		fmt.Fprintf(out, "    known: %s\n", c.Note)
	}
	if c.Service.Text == c.Emulator.Text {
		printText(out, "both", c.Service.Text)
		return
	}
	printText(out, "service", c.Service.Text)
	printText(out, "emulator", c.Emulator.Text)
}

// printText prints the beginning of what one side says.
func printText(out io.Writer, who, text string) {
	if text != "" {
		fmt.Fprintf(out, "    %-9s %s\n", who+":", strings.ReplaceAll(push.Truncate(text, maxShownText), "\n", " "))
	}
}

const (
	maxShownText  = 160 // bytes of a text on the screen; the file has it all
	maxShownFacts = 44  // bytes of facts in the table
)

// write writes the record to a file that only its owner may read.
func (r *record) write(file string) error {
	text, err := marshal(r)
	if err != nil {
		return fmt.Errorf("writing the answers: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("writing the answers: %w", err)
	}
	return nil
}
