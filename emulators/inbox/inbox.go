// Package inbox is a web page that shows what every phone would show: the
// messages the FCM emulator took, live, as Android, iOS and a browser would
// set them, and beside them the mailings and customers they belong to. Tokens
// are made to die, and FCM to be slow, short of quota or faulty, by a click.
//
// The page is embedded and loads nothing from elsewhere. It speaks to one
// origin: what it asks of FCM and of the functions goes through this handler,
// so that neither needs to let other origins in.
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
)

// Options say what the page shows.
type Options struct {
	// FCM answers /emulator/…, the FCM emulator's doors: its Doors(), or To
	// another process.
	FCM http.Handler
	// API answers /v1/…, mailings and customers. Without it the page is for
	// phones alone.
	API http.Handler
	// Address is where FCM's clients send to, as they are to be told; it may be
	// empty.
	Address string
	// Project is the name shown beside the title; it may be empty.
	Project string
	// Hosts are names this machine is reached by besides localhost and
	// addresses: any other Host is refused.
	Hosts []string
}

//go:embed page
var files embed.FS

// policy lets the page load its own scripts and styles and speak to its own
// origin, and nothing else. Trusted types make the browser refuse text that
// would be read as HTML, whatever the scripts do.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Handler serves the page at /, the emulator's doors at /emulator/ and the
// functions at /v1/.
func Handler(o Options) http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic("inbox: " + err.Error()) // the folder is embedded above
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(page))
	mux.HandleFunc("GET /inbox.json", o.describe)
	mux.Handle("/emulator/", o.FCM)
	if o.API != nil {
		mux.Handle("/v1/", o.API)
	}
	return guard(mux, o.Hosts)
}

// describe tells the page what there is.
func (o Options) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	b, err := json.Marshal(map[string]any{"project": o.Project, "api": o.API != nil, "fcm": o.Address})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(b) // the browser may be gone
}

// To hands requests on to a server at another address, streams included.
func To(target *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Cookie") // of other servers on this host: cookies know no ports
			r.Out.Header.Del("Origin") // judged here
		},
		FlushInterval: -1,                         // server-sent events go on as they come
		ErrorLog:      log.New(io.Discard, "", 0), // streams end with either side
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, target.Host+" cannot be reached: "+err.Error(), http.StatusBadGateway)
		},
	}
}
