package local

import (
	"errors"
	"fmt"

	"carillon.example/functions/console"
)

// consoleAccount returns the account of the console, "" if it is off.
func (l *Cloud) consoleAccount() string {
	if l.ConsoleAddr == "" {
		return ""
	}
	return console.LaptopAccount
}

// serveConsole serves the page for people. As in the cloud, it has its own address and is
// off by default. It asks nobody who they are: everybody is LaptopPerson, who may send.
func (l *Cloud) serveConsole() (err error) {
	if l.ConsoleAddr == "" {
		return nil
	}
	var faults []error
	for k, v := range map[string]string{
		"CONSOLE_IDENTITY": "laptop", "CONSOLE_SEND": console.LaptopPerson, "CONSOLE_LOOK": "",
		"MAILINGS_URL": l.APIURL, "CUSTOMERS_URL": l.APIURL,
	} {
		faults = append(faults, l.Setenv(k, v))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	if l.consoleURL, err = l.serveOn(l.ConsoleAddr, localHandler("console")); err != nil {
		return fmt.Errorf("serving the console on %s: %w", l.ConsoleAddr, err)
	}

	return nil
}
