// Package local runs the cloud in one process: Firestore, Pub/Sub, FCM, Firebase Auth,
// the clock, the inbox, and all functions.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"carillon.example/emulators/auth"
	"carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/loopback"
	"carillon.example/emulators/pubsub"
)

// A Cloud is the cloud in this process.
type Cloud struct {
	Options
	Firestore                 *firestore.Server // nil if FIRESTORE_EMULATOR_HOST names another server
	PubSub                    *pubsub.Server    // nil if PUBSUB_EMULATOR_HOST names another server
	Phones                    *fcm.Server
	Auth                      *auth.Server // nil if it is off, or FIREBASE_AUTH_EMULATOR_HOST names another server
	FirestoreHost, PubSubHost string
	APIURL, PushURL           string
	UIURL                     string
	devicesURL                string      // "" if the function for apps is off
	consoleURL                string      // "" if the page for people is off
	authAddr                  string      // of Firebase Auth; "": the service itself
	data                      *dataFolder // nil: nothing is kept
	closers                   []func()
}

// Start starts what the options select. If it fails, it stops what it has started.
func Start(ctx context.Context, o Options) (l *Cloud, err error) {
	l = &Cloud{Options: o}
	defer func() {
		if err != nil {
			l.Close()
			l = nil
		} else if l.data != nil {
			l.OnClose(l.data.saveRegularly(o.DataEvery))
		}
	}()
	if err := l.StartEmulators(); err != nil {
		return l, err
	}
	if !o.WithFunctions {
		return l, l.serveInbox(nil)
	}
	if err := l.SetEnvironment(); err != nil {
		return l, err
	}

	of, err := l.functionHandlers(ctx)
	if err != nil {
		return l, err
	}
	if err := l.Serve(of, nil); err != nil {
		return l, err
	}
	if err := l.serveDevices(); err != nil {
		return l, err
	}
	if err := l.serveConsole(); err != nil {
		return l, err
	}
	if err := l.serveInbox(apiMux(localHandler)); err != nil {
		return l, err
	}
	if err := l.Subscribe(ctx); err != nil {
		return l, err
	}

	return l, l.RunClock(ctx)
}

// Close stops everything, in reverse order of its start.
func (l *Cloud) Close() {
	for i := len(l.closers) - 1; i >= 0; i-- {
		l.closers[i]()
	}
	l.closers = nil
}

// OnClose makes Close call f. Close calls the function that was added last first.
func (l *Cloud) OnClose(f func()) { l.closers = append(l.closers, f) }

// StartEmulators starts the emulators that the options select.
func (l *Cloud) StartEmulators() error {
	if err := l.openData(); err != nil {
		return err
	}
	if l.FirestoreHost = os.Getenv("FIRESTORE_EMULATOR_HOST"); l.FirestoreHost == "" && l.WithFirestore && l.FirestoreAddr != "" {
		if err := l.startFirestore(); err != nil {
			return err
		}
	}
	if l.PubSubHost = os.Getenv("PUBSUB_EMULATOR_HOST"); l.PubSubHost == "" && l.WithPubSub && l.PubSubAddr != "" {
		if err := l.startPubSub(); err != nil {
			return err
		}
	}
	if l.data != nil {
		l.OnClose(l.saveAtEnd)
	}
	if l.WithAuth && l.AuthAddr != "" {
		if err := l.openAuth(true); err != nil {
			return err
		}
	}
	if !l.WithFCM || l.FCMAddr == "" {
		return nil
	}

	return l.startFCM()
}

// startFirestore starts Firestore with the documents of -data.
func (l *Cloud) startFirestore() (err error) {
	var indexes []byte
	if l.Indexes != "" {
		if indexes, err = os.ReadFile(l.Indexes); err != nil {
			return fmt.Errorf("-require-indexes: %w", err)
		}
	}
	err = l.data.startKept("firestore.ndjson", func(r io.Reader) (_ *keptEmulator, err error) {
		l.Firestore, err = firestore.Start(l.FirestoreAddr, firestore.Options{RequireIndexes: indexes, IndexesFile: l.Indexes, Optimistic: strings.Split(l.Optimistic, ","), Snapshot: r})
		if err != nil {
			return nil, fmt.Errorf("starting Firestore on %s: %w", l.FirestoreAddr, err)
		}
		return keptFirestore(l.Firestore), nil
	})
	if err != nil {
		return err
	}

	l.OnClose(l.Firestore.Close)
	l.FirestoreHost = l.Firestore.Addr()
	return nil
}

// startPubSub starts Pub/Sub with the messages of -data. The workers get another address in each
// process, so nothing is pushed before Subscribe.
func (l *Cloud) startPubSub() error {
	err := l.data.startKept("pubsub.ndjson", func(r io.Reader) (_ *keptEmulator, err error) {
		l.PubSub, err = pubsub.Start(l.PubSubAddr, pubsub.Options{TimeScale: l.BackOff, InFlightOf: l.maxInFlight(), Snapshot: r, HoldPushes: l.WithFunctions})
		if err != nil {
			return nil, fmt.Errorf("starting Pub/Sub on %s: %w", l.PubSubAddr, err)
		}
		return keptPubSub(l.PubSub), nil
	})
	if err != nil {
		return err
	}

	l.OnClose(l.PubSub.Close)
	l.PubSubHost = l.PubSub.Addr()
	return nil
}

// startFCM starts FCM, and writes its certificate to a file if it uses TLS.
func (l *Cloud) startFCM() (err error) {
	l.Phones, err = fcm.Start(l.FCMAddr, fcm.Options{
		Latency: l.FCMLatency, Jitter: l.FCMJitter, QuotaPerMinute: l.Quota, QuotaShape: l.QuotaShape, RequireAuth: l.FCMAuth, TLS: l.FCMTLS != "",
	})
	if err != nil {
		return fmt.Errorf("starting FCM on %s: %w", l.FCMAddr, err)
	}

	l.OnClose(l.Phones.Close)
	if l.FCMTLS == "" {
		return nil
	}
	if err := os.WriteFile(l.FCMTLS, l.Phones.CertificatePEM(), 0o644); err != nil {
		return fmt.Errorf("writing FCM's certificate: %w", err)
	}

	return nil
}

// FunctionTimeout is the longest time of one call of a function. It is the time-out of
// deliver and tick in Terraform, and not longer than the ack deadline of the
// subscriptions.
const FunctionTimeout = 2 * time.Minute

// SetEnvironment sets the environment variables from which the functions read the
// addresses and settings. In the cloud, Terraform sets them.
func (l *Cloud) SetEnvironment() error {
	var faults []error
	for k, v := range map[string]string{
		"GOOGLE_CLOUD_PROJECT":    l.Project,
		"FIRESTORE_EMULATOR_HOST": l.FirestoreHost,
		"PUBSUB_EMULATOR_HOST":    l.PubSubHost,
		"FCM_ENDPOINT":            l.Phones.URL(),
		"FCM_QUOTA_PER_MINUTE":    fmt.Sprint(l.Quota),
		"ROSTERS_FROM_CUSTOMERS":  fmt.Sprint(l.RostersFrom),
		"MAX_INSTANCES":           fmt.Sprint(max(l.Instances, 1)),
		"LOG_LEVEL":               l.LogLevel,
		"TICK_EVERY":              l.Clock.String(),
		"CALL_TIMEOUT":            FunctionTimeout.String(),
		"CONSOLE_CALLER":          l.consoleAccount(),
	} {
		faults = append(faults, l.Setenv(k, v))
	}
	return errors.Join(faults...)
}

// Setenv sets an environment variable. Close restores its former value.
func (l *Cloud) Setenv(k, v string) error {
	was, had := os.LookupEnv(k)
	l.OnClose(func() {
		if had {
			os.Setenv(k, was)
		} else {
			os.Unsetenv(k)
		}
	})
	return os.Setenv(k, v)
}

// serveOn serves h on an address until Close, and returns the URL. With the address ""
// it serves nothing and returns "".
func (l *Cloud) serveOn(addr string, h http.Handler) (string, error) {
	if addr == "" {
		return "", nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: loopback.Hosts(h), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }() // returns after Close
	l.OnClose(func() { srv.Close() })
	return "http://" + ln.Addr().String(), nil
}

// Print prints the addresses of all servers, and the project.
func (l *Cloud) Print(out io.Writer) {
	line := func(what, where string) {
		if where != "" {
			fmt.Fprintf(out, "%-10s %s\n", what, where)
		}
	}

	line("API", l.APIURL)
	line("Devices", l.devicesURL)
	line("Console", l.consoleURL)
	line("Auth", l.authAddr)
	line("Firestore", l.FirestoreHost)
	line("Pub/Sub", l.PubSubHost)
	if l.Phones != nil {
		line("FCM", l.Phones.URL())
	}

	line("Inbox", l.UIURL)
	line("project", l.Project)
	l.printLoaded(out)
	if l.Firestore != nil && l.Indexes != "" {
		fmt.Fprintf(out, "Firestore requires the composite indexes that %s declares; -require-indexes '' requires none\n", l.Indexes)
	}
}
