package firestore

import (
	"fmt"
	"net/http"
)

// httpHandler serves the documents in the REST form, and the admin HTTP interface. The
// paths are those of Google's emulator. Those of /emulator/usage, /emulator/requests and
// /emulator/databases are our own.
func (s *Server) httpHandler(documents http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/", documents)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Ok") })
	mux.HandleFunc("GET /emulator/usage", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, s.Usage())
	})
	mux.HandleFunc("GET /emulator/requests", s.serveRequests)
	mux.HandleFunc("GET /emulator/databases", s.serveDatabases)

	mux.HandleFunc("DELETE /emulator/v1/projects/{project}/databases/{database}/documents", func(w http.ResponseWriter, r *http.Request) {
		s.engine.Clear("projects/" + r.PathValue("project") + "/databases/" + r.PathValue("database"))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, "{}")
	})
	return mux
}
