package local

import (
	"fmt"
	"io"
	"os"
	"strings"

	"carillon.example/emulators/auth"
)

// serveDevices serves the function that apps call directly. As in the cloud, it has its
// own address and is off by default. Firebase gives projects that use only emulators
// the prefix "demo-": in such a project, serveDevices also starts an emulator of
// Firebase Auth, unless FIREBASE_AUTH_EMULATOR_HOST names another server. In any other
// project, apps send the ID tokens of the real Firebase Auth.
func (l *Cloud) serveDevices() (err error) {
	if l.DevicesAddr == "" {
		return nil
	}
	if err := l.openAuth(strings.HasPrefix(l.Project, "demo-")); err != nil {
		return err
	}
	if l.Auth != nil {
		if err := l.Setenv("FIREBASE_AUTH_EMULATOR_HOST", l.authAddr); err != nil {
			return err
		}
	}
	if l.devicesURL, err = l.serveOn(l.DevicesAddr, localHandler("devices")); err != nil {
		return fmt.Errorf("serving devices on %s: %w", l.DevicesAddr, err)
	}

	return nil
}

// openAuth uses the Firebase Auth that FIREBASE_AUTH_EMULATOR_HOST names. Without it, and if start
// is set, it starts one with the accounts of -data.
func (l *Cloud) openAuth(start bool) error {
	if l.authAddr = os.Getenv("FIREBASE_AUTH_EMULATOR_HOST"); l.authAddr != "" || !start {
		return nil
	}
	err := l.data.startKept("auth.ndjson", func(r io.Reader) (_ *keptEmulator, err error) {
		if l.Auth, err = auth.Start(l.AuthAddr, auth.Options{Project: l.Project, Snapshot: r}); err != nil {
			return nil, fmt.Errorf("starting Firebase Auth on %s: %w", l.AuthAddr, err)
		}
		return keptAuth(l.Auth), nil
	})
	if err != nil {
		return err
	}

	l.OnClose(l.Auth.Close)
	l.authAddr = l.Auth.Addr()
	return nil
}
