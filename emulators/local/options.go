package local

import (
	"cmp"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"
)

// Options select what to start, and where it listens.
type Options struct {
	Project                                             string
	APIAddr, FirestoreAddr, PubSubAddr, FCMAddr, UIAddr string        // addresses; port 0 is any
	DevicesAddr, AuthAddr                               string        // of the function for apps ("": off), and of its Firebase Auth
	ConsoleAddr                                         string        // of the page for people; "": off
	WithFirestore, WithPubSub, WithFCM                  bool          // with -only
	WithAuth                                            bool          // with -only; without it DevicesAddr starts Firebase Auth
	WithFunctions                                       bool          // false with -only
	Clock                                               time.Duration // interval between two ticks
	BackOff                                             float64       // factor by which Pub/Sub's back-offs are multiplied
	Attempts                                            int           // after which a message becomes a dead letter; 0: 20
	LogLevel                                            string
	FCMLatency, FCMJitter                               time.Duration
	FCMAuth                                             bool          // FCM requires a bearer token
	FCMTLS                                              string        // the file for FCM's certificate; "": clear text
	DispatchCalls                                       int           // concurrent calls of dispatch; 0: as many as Pub/Sub's default
	RostersFrom                                         int           // from how many customers on dispatch reads rosters; 0: never
	Quota                                               int           // FCM messages a minute, for the emulator and the functions; 0: the emulator has no quota
	QuotaShape                                          string        // how the emulator counts the quota
	Given                                               []string      // names of the flags that the user set
	Instances                                           int           // processes of deliver; 0: it runs in this process
	Optimistic                                          string        // ids of Firestore databases in the concurrency mode OPTIMISTIC, separated by commas
	DataDir                                             string        // the folder in which the emulators keep their state; "": nothing is kept
	DataEvery                                           time.Duration // interval between two saves
	Indexes                                             string        // path of firestore.indexes.json; a query whose index is missing there is refused; "": no query is
}

// Defaults returns the options of the command without flags.
func Defaults() Options {
	return Options{
		Project: cmp.Or(os.Getenv("GOOGLE_CLOUD_PROJECT"), "demo-carillon"),
		APIAddr: "127.0.0.1:5001", FirestoreAddr: "127.0.0.1:8080", PubSubAddr: "127.0.0.1:8085",
		FCMAddr: "127.0.0.1:9599", UIAddr: "127.0.0.1:4000", AuthAddr: "127.0.0.1:9099",
		WithFirestore: true, WithPubSub: true, WithFCM: true, WithFunctions: true,
		Clock: time.Second, BackOff: 1, LogLevel: "info", Quota: 600_000, RostersFrom: 50_000, DataEvery: 30 * time.Second, Indexes: declaredIndexes(),
	}
}

// declaredIndexes returns the path of the repository's list of indexes, or "" if the
// working directory has none.
func declaredIndexes() string {
	const file = "firestore.indexes.json"
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

// OnFreePorts returns options with a free port for every server, and with a new project
// unless GOOGLE_CLOUD_PROJECT names one. It is for commands that end by themselves: they
// must not collide with another instance or with its data on an external server.
func (o Options) OnFreePorts() Options {
	if os.Getenv("GOOGLE_CLOUD_PROJECT") == "" {
		o.Project += "-" + strings.ToLower(rand.Text()[:8])
	}
	const free = "127.0.0.1:0"
	o.APIAddr, o.FirestoreAddr, o.PubSubAddr, o.FCMAddr, o.UIAddr, o.AuthAddr = free, free, free, free, free, free
	return o
}

// RegisterFlags adds a flag for each option to f.
func (o *Options) RegisterFlags(f *flag.FlagSet) {
	f.StringVar(&o.APIAddr, "api", o.APIAddr, "address of the HTTP functions; for this flag and the other addresses, port 0 is any free port, and '' switches the server off")
	f.StringVar(&o.FirestoreAddr, "firestore", o.FirestoreAddr, "address of Firestore")
	f.StringVar(&o.PubSubAddr, "pubsub", o.PubSubAddr, "address of Pub/Sub")
	f.StringVar(&o.FCMAddr, "fcm", o.FCMAddr, "address of FCM")
	f.StringVar(&o.UIAddr, "ui", o.UIAddr, "address of the inbox")
	f.StringVar(&o.DevicesAddr, "devices", o.DevicesAddr, "address of devices, the public function for apps; off by default, as in the cloud")
	f.StringVar(&o.AuthAddr, "auth", o.AuthAddr, "with -devices or -only auth: address of Firebase Auth")
	f.StringVar(&o.ConsoleAddr, "console", o.ConsoleAddr, "address of the console, the page for people; off by default, as in the cloud")
	f.DurationVar(&o.Clock, "clock", o.Clock, "interval between two runs of tick; a minute in the cloud")
	f.DurationVar(&o.FCMLatency, "fcm-latency", o.FCMLatency, "time that FCM takes for each answer")
	o.RegisterFleetFlags(f)
	f.BoolVar(&o.FCMAuth, "fcm-auth", o.FCMAuth, "with -only: FCM refuses requests without a bearer token")
	f.StringVar(&o.FCMTLS, "fcm-tls", o.FCMTLS, "with -only: FCM serves TLS with a new certificate, and writes the certificate to this `file`")
	f.StringVar(&o.Indexes, "require-indexes", o.Indexes, "a `file` like firestore.indexes.json: Firestore refuses queries whose composite index is missing in it; '' (the default with -only) refuses none")
	f.StringVar(&o.Optimistic, "firestore-optimistic", o.Optimistic, "`ids` of Firestore databases, separated by commas, whose transactions take no locks unless they ask for them (concurrency mode OPTIMISTIC)")
	f.StringVar(&o.DataDir, "data", o.DataDir, "a `folder` in which Firestore, Pub/Sub and Auth keep their data: they start with it, and save it there; '' keeps nothing")
	f.DurationVar(&o.DataEvery, "data-every", o.DataEvery, "with -data: interval between two saves; there is one more at the end")
	f.StringVar(&o.LogLevel, "log", o.LogLevel, "level of the log: debug, info, warn or error")
}

// RegisterFleetFlags adds the flags for the instances of deliver and their quota to f.
func (o *Options) RegisterFleetFlags(f *flag.FlagSet) {
	f.IntVar(&o.Instances, "instances", o.Instances, "number of processes of deliver, each like an instance on Cloud Run; 0: deliver runs in this process")
	f.IntVar(&o.Quota, "quota", o.Quota, "FCM quota in messages a minute, for the emulator and the functions; with -only, 0 is no limit")
	f.StringVar(&o.QuotaShape, "quota-shape", o.QuotaShape, "how FCM counts the quota: minute-retry-after (the default), minute (without Retry-After), or bucket")
}

// maxInstances is the largest number of processes of deliver on one machine.
const maxInstances = 100

// Check validates the options and reports all faults together.
func (o *Options) Check() error {
	var faults []error
	if o.Instances < 0 || o.Instances > maxInstances {
		faults = append(faults, fmt.Errorf("-instances: %d processes of deliver, but the value must be from 0 to %d", o.Instances, maxInstances))
	}
	if o.Quota < 0 || o.Quota == 0 && o.WithFunctions {
		faults = append(faults, fmt.Errorf("-quota: %d messages a minute, but the value must be at least 1", o.Quota))
	}
	if o.DispatchCalls < 0 {
		faults = append(faults, fmt.Errorf("-dispatch-calls: %d calls at the same time, but the value must be at least 0", o.DispatchCalls))
	}
	if o.RostersFrom < 0 {
		faults = append(faults, fmt.Errorf("-rosters-from: %d customers, but the value must be at least 0", o.RostersFrom))
	}
	faults = append(faults, o.checkData())
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil {
		faults = append(faults, fmt.Errorf("-log: unknown level %q: use debug, info, warn or error", o.LogLevel))
	}
	return errors.Join(append(faults, o.checkRequired())...)
}

// ChooseEmulators switches off the functions and all emulators that only does not name.
// only is a list of names, separated by commas; "" changes nothing.
func (o *Options) ChooseEmulators(only string) error {
	if only == "" && (o.FCMAuth || o.FCMTLS != "") {
		return errors.New("-fcm-auth and -fcm-tls need -only fcm: they are for your own clients of FCM")
	}
	if only == "" {
		return nil
	}
	if o.DevicesAddr != "" {
		return errors.New("-devices does not go with -only: devices is a function, and -only starts no function")
	}
	if o.ConsoleAddr != "" {
		return errors.New("-console does not go with -only: console is a function, and -only starts no function")
	}
	if o.Instances != 0 {
		return errors.New("-instances does not go with -only: deliver is a function, and -only starts no function")
	}

	o.WithFunctions, o.WithFirestore, o.WithPubSub, o.WithFCM = false, false, false, false
	if !o.wasGiven("require-indexes") {
		o.Indexes = "" // Carillon's list does not fit other projects
	}

	for name := range strings.SplitSeq(only, ",") {
		switch strings.TrimSpace(name) {
		case "firestore":
			o.WithFirestore = true
		case "pubsub":
			o.WithPubSub = true
		case "fcm":
			o.WithFCM = true
		case "auth":
			o.WithAuth = true
		default:
			return fmt.Errorf("-only: unknown emulator %q: use firestore, pubsub, fcm or auth", name)
		}
	}

	return nil
}
