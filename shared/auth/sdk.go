package auth

import "context"

// The root package of the Admin SDK makes a client of every Firebase product. Through Cloud
// Storage it brings some 200 packages, a third of what a build of the functions and the emulators
// compiles. The clients of Auth and App Check do not need it: their constructors are exported. Only
// the types of their settings are internal to the SDK, so configOf makes them without naming them.

// configOf returns the empty settings of a constructor of the Admin SDK.
func configOf[Config, Client any](_ func(context.Context, *Config) (Client, error)) *Config {
	return new(Config)
}

// sdkVersion is firebase.Version, which the SDK sends to Google in a header.
const sdkVersion = "4.21.0"

// accountScopes are what the SDK needs to read accounts
// (https://cloud.google.com/identity-platform/docs/reference/rest/v1/accounts/lookup).
var accountScopes = []string{
	"https://www.googleapis.com/auth/cloud-platform",
	"https://www.googleapis.com/auth/identitytoolkit",
	"https://www.googleapis.com/auth/firebase",
}
