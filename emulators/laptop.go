package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"carillon.example/emulators/fcm"
	"carillon.example/emulators/firestore"
	"carillon.example/emulators/loopback"
	"carillon.example/emulators/pubsub"
)

// A laptop is the cloud in this process.
type laptop struct {
	options
	fs              *firestore.Server // nil where FIRESTORE_EMULATOR_HOST names another
	ps              *pubsub.Server    // nil where PUBSUB_EMULATOR_HOST names another
	phones          *fcm.Server
	fsAddr, psAddr  string
	apiURL, pushURL string
	uiURL           string
	devicesURL      string // "" where apps do not register directly
	authAddr        string // Firebase Auth's; "": Google's own
	closers         []func()
}

// start starts what the options choose; nothing stays behind when it fails.
func start(ctx context.Context, o options) (l *laptop, err error) {
	l = &laptop{options: o}
	defer func() {
		if err != nil {
			l.Close()
			l = nil
		}
	}()
	if err := l.emulators(); err != nil {
		return l, err
	}
	if !o.functions {
		return l, l.inbox(nil)
	}
	if err := l.environment(); err != nil {
		return l, err
	}

	of, err := l.functionsOf(ctx)
	if err != nil {
		return l, err
	}
	if err := l.serve(of, nil); err != nil {
		return l, err
	}
	if err := l.public(); err != nil {
		return l, err
	}
	if err := l.inbox(apiMux(here)); err != nil {
		return l, err
	}
	if err := l.subscribe(ctx); err != nil {
		return l, err
	}

	return l, l.clockwork(ctx)
}

// Close ends everything, the last started first.
func (l *laptop) Close() {
	for i := len(l.closers) - 1; i >= 0; i-- {
		l.closers[i]()
	}
	l.closers = nil
}

func (l *laptop) onClose(f func()) { l.closers = append(l.closers, f) }

func (l *laptop) emulators() (err error) {
	if l.fsAddr = os.Getenv("FIRESTORE_EMULATOR_HOST"); l.fsAddr == "" && l.onlyFirestore && l.firestore != "" {
		var indexes []byte
		if l.indexes != "" {
			if indexes, err = os.ReadFile(l.indexes); err != nil {
				return fmt.Errorf("-require-indexes: %w", err)
			}
		}
		if l.fs, err = firestore.Start(l.firestore, firestore.Options{RequireIndexes: indexes}); err != nil {
			return fmt.Errorf("starting Firestore on %s: %w", l.firestore, err)
		}
		l.onClose(l.fs.Close)
		l.fsAddr = l.fs.Addr()
	}
	if l.psAddr = os.Getenv("PUBSUB_EMULATOR_HOST"); l.psAddr == "" && l.onlyPubSub && l.pubsub != "" {
		if l.ps, err = pubsub.Start(l.pubsub, pubsub.Options{TimeScale: l.backOff}); err != nil {
			return fmt.Errorf("starting Pub/Sub on %s: %w", l.pubsub, err)
		}
		l.onClose(l.ps.Close)
		l.psAddr = l.ps.Addr()
	}
	if !l.onlyFCM || l.fcm == "" {
		return nil
	}

	return l.ring()
}

// ring starts FCM.
func (l *laptop) ring() (err error) {
	l.phones, err = fcm.Start(l.fcm, fcm.Options{
		Latency: l.fcmLatency, Jitter: l.fcmJitter, QuotaPerMinute: l.quota, QuotaShape: l.quotaShape, RequireAuth: l.fcmAuth, TLS: l.fcmTLS != "",
	})
	if err != nil {
		return fmt.Errorf("starting FCM on %s: %w", l.fcm, err)
	}

	l.onClose(l.phones.Close)
	if l.fcmTLS == "" {
		return nil
	}
	if err := os.WriteFile(l.fcmTLS, l.phones.CertificatePEM(), 0o644); err != nil {
		return fmt.Errorf("writing FCM's certificate: %w", err)
	}

	return nil
}

// functionTimeout is what a function's call may take: that of deliver and tick in
// Terraform, and within the ack deadline of subscribe.
const functionTimeout = 2 * time.Minute

// environment tells the functions where everything is, as Terraform does in
// the cloud.
func (l *laptop) environment() error {
	var faults []error
	for k, v := range map[string]string{
		"GOOGLE_CLOUD_PROJECT":    l.project,
		"FIRESTORE_EMULATOR_HOST": l.fsAddr,
		"PUBSUB_EMULATOR_HOST":    l.psAddr,
		"FCM_ENDPOINT":            l.phones.URL(),
		"FCM_QUOTA_PER_MINUTE":    fmt.Sprint(l.quota),
		"MAX_INSTANCES":           fmt.Sprint(max(l.instances, 1)),
		"LOG_LEVEL":               l.logLevel,
		"TICK_EVERY":              l.clock.String(),
		"CALL_TIMEOUT":            functionTimeout.String(),
	} {
		faults = append(faults, l.setenv(k, v))
	}
	return errors.Join(faults...)
}

// setenv sets a variable until Close.
func (l *laptop) setenv(k, v string) error {
	was, had := os.LookupEnv(k)
	l.onClose(func() {
		if had {
			os.Setenv(k, was)
		} else {
			os.Unsetenv(k)
		}
	})
	return os.Setenv(k, v)
}

// listen serves h on an address and answers the URL; "" is off, and has none.
func (l *laptop) listen(addr string, h http.Handler) (string, error) {
	if addr == "" {
		return "", nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: loopback.Hosts(h), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }() // ends with Close
	l.onClose(func() { srv.Close() })
	return "http://" + ln.Addr().String(), nil
}

func (l *laptop) print(out io.Writer) {
	line := func(what, where string) {
		if where != "" {
			fmt.Fprintf(out, "%-10s %s\n", what, where)
		}
	}

	line("API", l.apiURL)
	line("Devices", l.devicesURL)
	line("Auth", l.authAddr)
	line("Firestore", l.fsAddr)
	line("Pub/Sub", l.psAddr)
	if l.phones != nil {
		line("FCM", l.phones.URL())
	}

	line("Inbox", l.uiURL)
	line("project", l.project)
	if l.fs != nil && l.indexes != "" {
		fmt.Fprintf(out, "queries need the composite indexes that %s declares; -require-indexes '' asks for none\n", l.indexes)
	}
}
