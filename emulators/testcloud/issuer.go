package testcloud

import (
	"net/http"

	"carillon.example/emulators/auth"
)

// Issuer replaces Google's servers of ID tokens until the process ends. The SDK
// fetches certificates from a fixed address through a copy of http.DefaultTransport,
// so it must be called before any test runs.
func Issuer(project string) *auth.Server {
	s, err := auth.Start("127.0.0.1:0", auth.Options{Project: project})
	if err != nil {
		panic(err)
	}
	http.DefaultTransport = s.Transport()
	return s
}
