package lab

import (
	"net/http"

	"carillon.example/emulators/auth"
)

// Issuer stands in, until the process ends, for Google's servers of ID tokens:
// the SDK fetches certificates from an address that nobody can name, through a
// copy of http.DefaultTransport. So it has to be called before any test runs.
func Issuer(project string) *auth.Server {
	s, err := auth.Start("127.0.0.1:0", auth.Options{Project: project})
	if err != nil {
		panic(err)
	}
	http.DefaultTransport = s.Transport()
	return s
}
