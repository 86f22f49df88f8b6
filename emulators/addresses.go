package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
)

// listening is an address that a server listens on, and the flag that names it.
type listening struct{ flag, what, addr string }

// places are the addresses that the options need.
func (o *options) places() []listening {
	var out []listening
	add := func(wanted bool, flag, what, addr string) {
		if wanted && addr != "" {
			out = append(out, listening{flag, what, addr})
		}
	}

	add(o.onlyFirestore && os.Getenv("FIRESTORE_EMULATOR_HOST") == "", "firestore", "Firestore", o.firestore)
	add(o.onlyPubSub && os.Getenv("PUBSUB_EMULATOR_HOST") == "", "pubsub", "Pub/Sub", o.pubsub)
	add(o.onlyFCM, "fcm", "FCM", o.fcm)
	add(o.onlyFCM, "ui", "the inbox", o.ui)
	add(o.functions, "api", "the API", o.api)
	add(o.functions, "devices", "the function for apps", o.devices)
	add(o.devices != "" && os.Getenv("FIREBASE_AUTH_EMULATOR_HOST") == "" && strings.HasPrefix(o.project, "demo-"), "auth", "Firebase Auth", o.auth)
	return out
}

// free names every address that cannot be listened on, and the flag that moves
// the server elsewhere: all at once, before anything is started.
func (o *options) free() error {
	var faults []error
	for _, p := range o.places() {
		l, err := net.Listen("tcp", p.addr)
		if err != nil {
			var op *net.OpError
			if errors.As(err, &op) {
				err = op.Err
			}
			faults = append(faults, fmt.Errorf("%s cannot listen on %s: %w; -%s 127.0.0.1:0 takes any free port", p.what, p.addr, err, p.flag))
			continue
		}
		_ = l.Close() // it was only tried
	}

	return errors.Join(faults...)
}

// exposed says of each address that is not this machine's alone what that means.
func (o *options) exposed() (out []string) {
	for _, p := range o.places() {
		host, _, err := net.SplitHostPort(p.addr)
		if err != nil || host == "localhost" {
			continue
		}
		if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
			continue
		}
		out = append(out, fmt.Sprintf("%s listens on %s, beyond this machine, and asks nobody who they are", p.what, p.addr))
	}
	return out
}

// off refuses to switch off what the functions cannot do without.
func (o *options) off() error {
	var faults []error
	need := func(off bool, flag, env string) {
		if off {
			faults = append(faults, fmt.Errorf("-%s is empty, and the functions need it: name another by %s", flag, env))
		}
	}
	if !o.functions {
		return nil
	}

	need(o.firestore == "" && os.Getenv("FIRESTORE_EMULATOR_HOST") == "", "firestore", "FIRESTORE_EMULATOR_HOST")
	need(o.pubsub == "" && os.Getenv("PUBSUB_EMULATOR_HOST") == "", "pubsub", "PUBSUB_EMULATOR_HOST")
	if o.fcm == "" {
		faults = append(faults, errors.New("-fcm is empty, and the functions need it"))
	}
	return errors.Join(faults...)
}

// wasGiven reports whether a flag was named.
func (o *options) wasGiven(name string) bool { return slices.Contains(o.given, name) }

// lost says what is gone with the command.
func (l *laptop) lost() string {
	var what []string
	if l.fs != nil {
		what = append(what, "the documents in Firestore")
	}
	if l.ps != nil {
		what = append(what, "the messages in Pub/Sub")
	}
	if l.phones != nil {
		what = append(what, fmt.Sprintf("%d messages that FCM took", l.phones.Stats().Kept))
	}
	if len(what) == 0 {
		return "stopped"
	}

	return "stopped; " + strings.Join(what, ", ") + " were in memory and are gone"
}
