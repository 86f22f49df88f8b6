package main

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

// options are what to start, and where.
type options struct {
	project                            string
	api, firestore, pubsub, fcm, ui    string        // addresses; port 0 is any
	devices, auth                      string        // of the public function, "": off, and of its Firebase Auth
	onlyFirestore, onlyPubSub, onlyFCM bool          // with -only
	functions                          bool          // false with -only
	clock                              time.Duration // how often tick comes
	backOff                            float64       // Pub/Sub's back-off times this
	attempts                           int           // after which a message goes to the dead letters; 0: 20
	logLevel                           string
	fcmLatency, fcmJitter              time.Duration
	fcmAuth                            bool     // FCM wants a bearer token
	fcmTLS                             string   // the file for FCM's certificate; "": clear text
	quota                              int      // FCM's a minute, of emulator and functions; 0: none in the emulator
	quotaShape                         string   // how the emulator counts it
	given                              []string // flags that were named
	instances                          int      // processes of deliver; 0: it runs in this process
	indexes                            string   // firestore.indexes.json: what needs an index and has none is refused
}

func defaults() options {
	return options{
		project: cmp.Or(os.Getenv("GOOGLE_CLOUD_PROJECT"), "demo-carillon"),
		api:     "127.0.0.1:5001", firestore: "127.0.0.1:8080", pubsub: "127.0.0.1:8085",
		fcm: "127.0.0.1:9599", ui: "127.0.0.1:4000", auth: "127.0.0.1:9099",
		onlyFirestore: true, onlyPubSub: true, onlyFCM: true, functions: true,
		clock: time.Second, backOff: 1, logLevel: "info", quota: 600_000, indexes: declared(),
	}
}

// declared is the repository's list of indexes, "" when run elsewhere.
func declared() string {
	const file = "firestore.indexes.json"
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

// anywhere puts every server on a free port, and the data into a project of its
// own unless GOOGLE_CLOUD_PROJECT names one: for commands that end by themselves
// and must not meet another instance, nor what it left on an external server.
func (o options) anywhere() options {
	if os.Getenv("GOOGLE_CLOUD_PROJECT") == "" {
		o.project += "-" + strings.ToLower(rand.Text()[:8])
	}
	const free = "127.0.0.1:0"
	o.api, o.firestore, o.pubsub, o.fcm, o.ui, o.auth = free, free, free, free, free, free
	return o
}

func (o *options) flags(f *flag.FlagSet) {
	f.StringVar(&o.api, "api", o.api, "address of the HTTP functions; port 0 is any, '' is off, here and below")
	f.StringVar(&o.firestore, "firestore", o.firestore, "address of Firestore")
	f.StringVar(&o.pubsub, "pubsub", o.pubsub, "address of Pub/Sub")
	f.StringVar(&o.fcm, "fcm", o.fcm, "address of FCM")
	f.StringVar(&o.ui, "ui", o.ui, "address of the inbox")
	f.StringVar(&o.devices, "devices", o.devices, "address of the public function for apps; it is off by default, as in the cloud")
	f.StringVar(&o.auth, "auth", o.auth, "with -devices, address of Firebase Auth")
	f.DurationVar(&o.clock, "clock", o.clock, "how often tick comes; in the cloud it is a minute")
	f.DurationVar(&o.fcmLatency, "fcm-latency", o.fcmLatency, "how long FCM takes to answer")
	o.fleetFlags(f)
	f.BoolVar(&o.fcmAuth, "fcm-auth", o.fcmAuth, "with -only, FCM refuses who brings no bearer token")
	f.StringVar(&o.fcmTLS, "fcm-tls", o.fcmTLS, "with -only, FCM speaks TLS with a certificate of its own, which is written to this file")
	f.StringVar(&o.indexes, "require-indexes", o.indexes, "a firestore.indexes.json: queries that need a composite index and have none there are refused; '' refuses none, the default with -only")
	f.StringVar(&o.logLevel, "log", o.logLevel, "debug, info, warn or error")
}

// fleetFlags are how many share which quota.
func (o *options) fleetFlags(f *flag.FlagSet) {
	f.IntVar(&o.instances, "instances", o.instances, "run that many processes of deliver, as Cloud Run does; 0: deliver runs in this process")
	f.IntVar(&o.quota, "quota", o.quota, "FCM's messages a minute, for the emulator and the functions; with -only 0 is no limit")
	f.StringVar(&o.quotaShape, "quota-shape", o.quotaShape, "how FCM counts the quota: minute-retry-after, minute (no Retry-After), or bucket")
}

// maxInstances is how many processes of deliver one machine is asked to run.
const maxInstances = 100

// check names what is wrong with the numbers.
func (o *options) check() error {
	var faults []error
	if o.instances < 0 || o.instances > maxInstances {
		faults = append(faults, fmt.Errorf("-instances: %d processes of deliver; 0 to %d can be", o.instances, maxInstances))
	}
	if o.quota < 0 || o.quota == 0 && o.functions {
		faults = append(faults, fmt.Errorf("-quota: %d messages a minute; at least 1 is wanted", o.quota))
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.logLevel)); err != nil {
		faults = append(faults, fmt.Errorf("-log: there is no level %q: debug, info, warn and error are", o.logLevel))
	}
	return errors.Join(append(faults, o.off())...)
}

// choose keeps only the emulators named.
func (o *options) choose(only string) error {
	if only == "" && (o.fcmAuth || o.fcmTLS != "") {
		return errors.New("-fcm-auth and -fcm-tls are for clients of your own: they go with -only fcm")
	}
	if only == "" {
		return nil
	}
	if o.devices != "" {
		return errors.New("-devices is a function, and -only starts none")
	}
	if o.instances != 0 {
		return errors.New("-instances are processes of the function deliver, and -only starts none")
	}

	o.functions, o.onlyFirestore, o.onlyPubSub, o.onlyFCM = false, false, false, false
	if !o.wasGiven("require-indexes") {
		o.indexes = "" // Carillon's list is of no use to another project
	}

	for name := range strings.SplitSeq(only, ",") {
		switch strings.TrimSpace(name) {
		case "firestore":
			o.onlyFirestore = true
		case "pubsub":
			o.onlyPubSub = true
		case "fcm":
			o.onlyFCM = true
		default:
			return fmt.Errorf("-only: there is no emulator %q: firestore, pubsub and fcm are", name)
		}
	}

	return nil
}
