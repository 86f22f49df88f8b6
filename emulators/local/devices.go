package local

import (
	"fmt"
	"os"
	"strings"

	"carillon.example/emulators/auth"
)

// serveDevices serves the function that apps call themselves, at an address of its
// own as in the cloud, and like there only when it is asked for. In a project
// that has only emulators, which Firebase marks by "demo-", Firebase Auth is one
// too, where FIREBASE_AUTH_EMULATOR_HOST names no other; in any other project
// apps bring the ID tokens of the real one.
func (l *Cloud) serveDevices() (err error) {
	if l.DevicesAddr == "" {
		return nil
	}
	if l.authAddr = os.Getenv("FIREBASE_AUTH_EMULATOR_HOST"); l.authAddr == "" && strings.HasPrefix(l.Project, "demo-") {
		accounts, err := auth.Start(l.AuthAddr, auth.Options{Project: l.Project})
		if err != nil {
			return fmt.Errorf("starting Firebase Auth on %s: %w", l.AuthAddr, err)
		}
		l.OnClose(accounts.Close)
		l.authAddr = accounts.Addr()
		if err := l.Setenv("FIREBASE_AUTH_EMULATOR_HOST", l.authAddr); err != nil {
			return err
		}
	}
	if l.devicesURL, err = l.serveOn(l.DevicesAddr, localHandler("devices")); err != nil {
		return fmt.Errorf("serving devices on %s: %w", l.DevicesAddr, err)
	}

	return nil
}
