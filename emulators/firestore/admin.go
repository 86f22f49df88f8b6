package firestore

import (
	"fmt"
	"net/http"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"

	"carillon.example/emulators/transcode"
	"carillon.example/emulators/webchannel"
)

// httpHandler serves the documents in the REST form, the channels of web pages, and the admin
// HTTP interface. The paths are those of Google's emulator. Those of /emulator/usage,
// /emulator/requests, /emulator/databases and /emulator/snapshot are our own.
func (s *Server) httpHandler() (http.Handler, error) {
	service := pb.File_google_firestore_v1_firestore_proto.Services().ByName("Firestore")
	documents, err := transcode.New(s.rest, maxReceive, service)
	if err != nil {
		return nil, err
	}
	// A message in a body has up to three bytes for each of its own: the body is escaped.
	if s.pages, err = webchannel.New(s.rest, webchannel.Options{MaxBody: 3 * maxReceive}, service); err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.Handle("/v1/", documents)
	mux.Handle("/"+string(service.FullName())+"/", s.pages)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Ok") })
	mux.HandleFunc("GET /emulator/usage", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, s.Usage())
	})
	mux.HandleFunc("GET /emulator/requests", s.serveRequests)
	mux.HandleFunc("GET /emulator/databases", s.serveDatabases)
	mux.HandleFunc("GET /emulator/snapshot", s.serveSnapshot)
	mux.HandleFunc("PUT /emulator/snapshot", s.replaceSnapshot)

	mux.HandleFunc("DELETE /emulator/v1/projects/{project}/databases/{database}/documents", func(w http.ResponseWriter, r *http.Request) {
		s.engine.Clear("projects/" + r.PathValue("project") + "/databases/" + r.PathValue("database"))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, "{}")
	})
	return mux, nil
}
