// Package probe compares the emulators of FCM and Firestore with the services of a real
// project. It sends FCM only messages that FCM validates and does not deliver. It writes to
// Firestore only when it is asked to, only to a collection of its own, and removes that
// collection afterwards.
package probe

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"time"

	"golang.org/x/oauth2/google"

	"carillon.example/emulators/cli"
)

// googleEndpoint is FCM, and the only address that gets credentials.
const googleEndpoint = "https://fcm.googleapis.com"

// projectID is the form of an id or number of a project.
var projectID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.:_-]{0,99}$`)

// A probe is one run of the command.
type probe struct {
	project       string
	fcmEndpoint   string // scheme and host of FCM, or of an emulator
	firestore     bool   // whether Firestore is compared, too
	firestoreHost string // host:port of an emulator; "": the service
	database      string // id of the database
	file          string // where the answers are written
	out           io.Writer

	findCredentials func(ctx context.Context, scopes ...string) (*google.Credentials, error)
	network         http.RoundTripper // below the credentials of FCM
	limits          limits            // of the operations of Firestore
}

// newProbe returns a probe with default credentials and without flags.
func newProbe(out io.Writer) *probe {
	return &probe{out: out, findCredentials: google.FindDefaultCredentials, network: http.DefaultTransport, limits: defaultLimits}
}

// registerFlags adds the flags to f.
func (p *probe) registerFlags(f *flag.FlagSet) {
	f.StringVar(&p.project, "project", "", "Firebase project whose FCM and Firestore are asked; credentials are the application default ones")
	f.StringVar(&p.fcmEndpoint, "fcm-endpoint", cmp.Or(os.Getenv("FCM_ENDPOINT"), googleEndpoint), "scheme and host of FCM, or of an emulator, which needs no credentials; FCM_ENDPOINT sets it, too")
	f.BoolVar(&p.firestore, "firestore", false, "compare Firestore, too: writes to a new collection of -database, and removes it afterwards")
	f.StringVar(&p.firestoreHost, "firestore-host", os.Getenv("FIRESTORE_EMULATOR_HOST"), "host:port of a Firestore emulator instead of the service, without credentials; FIRESTORE_EMULATOR_HOST sets it, too")
	f.StringVar(&p.database, "database", "(default)", "with -firestore: the database")
	f.StringVar(&p.file, "out", "probe.json", "`file` for the answers, without tokens, ids and names; an older one is replaced")
}

// Run compares the emulators with the services.
func Run(ctx context.Context, args []string, out io.Writer) error {
	f := cli.NewFlags("probe")
	p := newProbe(out)
	p.registerFlags(f)
	if err := cli.ParseFlags(f, args, out); err != nil {
		return err
	}
	if f.NArg() > 0 {
		return errors.New("probe: this command takes flags but no arguments")
	}
	if !projectID.MatchString(p.project) {
		return fmt.Errorf("probe: -project: %q is not the id of a project", p.project)
	}
	return p.run(ctx)
}

// run compares what is asked for. It writes the answers to the file also if only a part of
// them came, and returns every fault.
func (p *probe) run(ctx context.Context) error {
	names, hidden := p.makeNames()
	rec := &record{Version: recordVersion, At: time.Now().UTC().Truncate(time.Second)}

	var faults []error
	rec.FCM, faults = p.compareFCM(ctx, names, hidden)
	if p.firestore && ctx.Err() == nil {
		found, more := p.compareFirestore(ctx, names, hidden)
		rec.Firestore, faults = found, append(faults, more...)
	}
	for _, fault := range faults {
		rec.Faults = append(rec.Faults, hidden.hide(fault.Error()))
	}

	if err := rec.write(p.file); err != nil {
		faults = append(faults, err)
	} else {
		fmt.Fprintf(p.out, "\nWritten to %s, without tokens, ids and names.\n", p.file)
	}
	if len(faults) > 0 {
		return fmt.Errorf("probe: not everything was compared:\n%w", errors.Join(faults...))
	}
	return nil
}

// makeNames invents the names of this run, and returns what hides them.
func (p *probe) makeNames() (names, *redactor) {
	n := inventNames()
	hidden := newRedactor()
	hidden.add("project", p.project)
	hidden.add("other-project", n.otherProject)
	hidden.add("token", n.token, n.installation())
	hidden.add("fid", n.fid)
	hidden.add("topic", n.topic)
	hidden.add("collection", n.collection)
	if p.database != "(default)" {
		hidden.add("database", p.database)
	}
	return n, hidden
}
