package local

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
)

// listenAddress is an address that a server listens on, and the flag that sets it.
type listenAddress struct{ flag, what, addr string }

// listenAddresses are the addresses that the options need.
func (o *Options) listenAddresses() []listenAddress {
	var out []listenAddress
	add := func(wanted bool, flag, what, addr string) {
		if wanted && addr != "" {
			out = append(out, listenAddress{flag, what, addr})
		}
	}

	add(o.WithFirestore && os.Getenv("FIRESTORE_EMULATOR_HOST") == "", "firestore", "Firestore", o.FirestoreAddr)
	add(o.WithPubSub && os.Getenv("PUBSUB_EMULATOR_HOST") == "", "pubsub", "Pub/Sub", o.PubSubAddr)
	add(o.WithFCM, "fcm", "FCM", o.FCMAddr)
	add(o.WithFCM, "ui", "the inbox", o.UIAddr)
	add(o.WithFunctions, "api", "the API", o.APIAddr)
	add(o.WithFunctions, "devices", "the function for apps", o.DevicesAddr)
	add(o.WithFunctions, "console", "the console", o.ConsoleAddr)
	withAuth := o.WithAuth || o.DevicesAddr != "" && strings.HasPrefix(o.Project, "demo-")
	add(withAuth && os.Getenv("FIREBASE_AUTH_EMULATOR_HOST") == "", "auth", "Firebase Auth", o.AuthAddr)
	return out
}

// CheckFree returns an error that names every address on which a server cannot listen,
// and the flag that changes the address. It reports all of them together, before
// anything is started.
func (o *Options) CheckFree() error {
	var faults []error
	for _, p := range o.listenAddresses() {
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			var op *net.OpError
			if errors.As(err, &op) {
				err = op.Err
			}
			faults = append(faults, fmt.Errorf("%s cannot listen on %s: %w; -%s 127.0.0.1:0 takes any free port", p.what, p.addr, err, p.flag))
			continue
		}
		_ = l.Close() // the server listens again when it starts
	}

	return errors.Join(faults...)
}

// Exposed returns a warning for each address that other machines can reach.
func (o *Options) Exposed() (out []string) {
	for _, p := range o.listenAddresses() {
		host, _, err := net.SplitHostPort(p.addr)
		if err != nil || host == "localhost" {
			continue
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
			continue
		}
		out = append(out, fmt.Sprintf("%s listens on %s: other machines can reach it, and it has no authentication", p.what, p.addr))
	}
	return out
}

// checkRequired returns an error if an emulator that the functions need is switched off.
func (o *Options) checkRequired() error {
	var faults []error
	need := func(off bool, flag, env string) {
		if off {
			faults = append(faults, fmt.Errorf("-%s is empty, but the functions need this server: set the address here, or name another server in %s", flag, env))
		}
	}
	if !o.WithFunctions {
		return nil
	}

	need(o.FirestoreAddr == "" && os.Getenv("FIRESTORE_EMULATOR_HOST") == "", "firestore", "FIRESTORE_EMULATOR_HOST")
	need(o.PubSubAddr == "" && os.Getenv("PUBSUB_EMULATOR_HOST") == "", "pubsub", "PUBSUB_EMULATOR_HOST")
	if o.ConsoleAddr != "" && o.APIAddr == "" {
		faults = append(faults, errors.New("-api is empty, and -console needs it"))
	}
	if o.FCMAddr == "" {
		faults = append(faults, errors.New("-fcm is empty, but the functions need this server"))
	}
	return errors.Join(faults...)
}

// wasGiven reports whether the user set a flag.
func (o *Options) wasGiven(name string) bool { return slices.Contains(o.Given, name) }

// checkData returns an error if -data has nothing to keep.
func (o *Options) checkData() error {
	if o.DataDir == "" {
		return nil
	}
	if o.DataEvery <= 0 {
		return fmt.Errorf("-data-every: %s, but the value must be above 0", o.DataEvery)
	}
	if !slices.ContainsFunc(o.listenAddresses(), func(a listenAddress) bool { return a.flag == "firestore" || a.flag == "pubsub" || a.flag == "auth" }) {
		return errors.New("-data keeps the data of Firestore, Pub/Sub and Auth, and this command starts none of them")
	}
	return nil
}

// LostAtEnd returns a sentence that lists the data that is lost when the command ends: all that
// -data does not keep.
func (l *Cloud) LostAtEnd() string {
	var what []string
	if l.Firestore != nil && l.data == nil {
		what = append(what, "the documents in Firestore")
	}
	if l.PubSub != nil && l.data == nil {
		what = append(what, "the messages in Pub/Sub")
	}
	if l.Auth != nil && l.data == nil {
		what = append(what, "the accounts in Auth")
	}
	if l.Phones != nil {
		what = append(what, fmt.Sprintf("%d messages that FCM accepted", l.Phones.Stats().Kept))
	}
	if len(what) == 0 {
		return "stopped"
	}

	return "stopped; " + strings.Join(what, ", ") + " were only in memory and are lost"
}
