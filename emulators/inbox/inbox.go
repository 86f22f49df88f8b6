// Package inbox is a web page that shows what every phone would show. It shows
// the messages that the FCM emulator accepted, live, as Android, iOS and a
// browser would display them. Beside them it shows their mailings and
// customers. The page can make tokens invalid, and make FCM slow, short of
// quota or faulty. It also shows the documents of the Firestore emulator, which it can
// change, and its last requests.
//
// The page is embedded and loads nothing from other origins. What it has in common
// with the page of the console comes from shared/page. Its requests to
// FCM and to the functions go through this handler, so that neither has to
// allow other origins.
package inbox

import (
	"embed"
	"encoding/json"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"

	"carillon.example/shared/page"
)

// Options configure the page.
type Options struct {
	// FCM serves /emulator/…, the admin interface of the FCM emulator: its
	// handler, or To for another process.
	FCM http.Handler
	// API serves /v1/…, mailings and customers. Without it the page only
	// shows phones.
	API http.Handler
	// Firestore serves the documents and requests of the Firestore emulator: its
	// HTTPHandler, or To for another process. Without it the page does not show them.
	Firestore http.Handler
	// Address is the address that the page shows for clients of FCM. It may be
	// empty.
	Address string
	// Project is the name beside the title. It may be empty.
	Project string
	// Hosts are the names of this machine besides localhost and IP
	// addresses. Requests with any other Host header are refused.
	Hosts []string
}

//go:embed page
var files embed.FS

// policy is the Content-Security-Policy. It lets the page load its own scripts
// and styles and connect to its own origin, and nothing else. Trusted types
// make the browser refuse to interpret text as HTML, whatever the scripts do.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the page at /, what it shares with the console at /common/, the admin
// interface of the FCM emulator at /emulator/, the functions at /v1/ and the Firestore
// emulator at /firestore/.
func Handler(o Options) http.Handler {
	own, err := fs.Sub(files, "page")
	if err != nil {
		panic("inbox: " + err.Error()) // cannot happen: the folder is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(own))
	mux.Handle("/common/", page.Handler())
	mux.HandleFunc("GET /inbox.json", o.serveDescription)
	mux.Handle("/emulator/", o.FCM)
	if o.API != nil {
		mux.Handle("/v1/", o.API)
	}
	if o.Firestore != nil {
		mux.Handle("/firestore/", http.StripPrefix("/firestore", o.Firestore))
	}
	return guard(mux, o.Hosts)
}

// serveDescription serves the settings that the page needs.
func (o Options) serveDescription(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	b, err := json.Marshal(map[string]any{"project": o.Project, "api": o.API != nil, "firestore": o.Firestore != nil, "fcm": o.Address})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(b) // the browser may have disconnected
}

// To returns a proxy to a server at another address. It forwards streams
// without buffering.
func To(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Cookie") // cookies ignore ports, so they may belong to other servers on this host
			r.Out.Header.Del("Origin") // guard has checked it
		},
		FlushInterval: -1,                         // forward server-sent events at once
		ErrorLog:      log.New(io.Discard, "", 0), // a stream that ends is not an error
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, target.Host+" cannot be reached: "+err.Error(), http.StatusBadGateway)
		},
	}
}
