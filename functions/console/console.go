package console

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"path"

	"golang.org/x/oauth2"

	"carillon.example/shared/api"
	"carillon.example/shared/page"
	"carillon.example/shared/push"
)

// Deps are the dependencies and settings of the console. All but Log are required.
type Deps struct {
	Identity  identifier
	Roles     Roles
	Mailings  Service
	Customers Service
	Project   string
	Log       *slog.Logger // nil: the default
}

// A Service is a function that the console calls.
type Service struct {
	URL    *url.URL
	Tokens oauth2.TokenSource // ID tokens of the console's service account, for that function
}

type console struct {
	Deps
}

// A person is who sent a request, and what they may do.
type person struct {
	email push.Caller
	role  Role
}

type personKey struct{}

// personOf returns who sent a request that admit let in.
func personOf(r *http.Request) person {
	p, _ := r.Context().Value(personKey{}).(person)
	return p
}

// New makes the handler of the console: the page, GET /console.json, which tells the page
// who looks at it, and the operations under /v1/.
func New(d Deps) http.Handler {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	d.Log = api.Logger(d.Log)

	c := &console{d}
	mux := http.NewServeMux()
	mux.Handle("/", c.admit(RoleLook, readOnly(page.Handler())))
	mux.Handle("/console.json", c.admit(RoleLook, readOnly(http.HandlerFunc(c.describe))))
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "the console does not pass this on")
	})
	for _, op := range operations {
		mux.Handle(op.method+" "+op.path, c.admit(op.role, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			who := personOf(r).email
			if why := forged(r, op.role); why != "" {
				c.Log.WarnContext(r.Context(), "a request of another page was refused", "caller", who, "why", why)
				refuse(w, http.StatusForbidden, why)
				return
			}
			c.forward(w, r, op, who)
		})))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = api.WithRequestID(w, r)
		setHeaders(w.Header())
		if p := r.URL.EscapedPath(); p != "/" && p != path.Clean(p) {
			refuse(w, http.StatusNotFound, "there is nothing at this path") // the mux would redirect
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// admit lets those in who have a role, at least the role least.
func (c *console) admit(least Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := c.Identity.identify(r)
		if e, ok := errors.AsType[*unauthenticated](err); ok {
			c.Log.WarnContext(r.Context(), "a request without a person was refused", "why", e.why)
			refuse(w, http.StatusUnauthorized, e.why)
			return
		}
		if err != nil {
			c.Log.ErrorContext(r.Context(), "nobody can be identified", "error", err)
			w.Header().Set("Retry-After", "10")
			refuse(w, http.StatusServiceUnavailable, "it cannot be found out now who you are")
			return
		}

		role := c.Roles.of(who)
		if !role.allows(RoleLook) {
			c.Log.WarnContext(r.Context(), "a person without a role was refused", "caller", who)
			refuse(w, http.StatusForbidden, string(who)+" has no role in this console")
			return
		}
		if !role.allows(least) {
			c.Log.WarnContext(r.Context(), "a person lacks the role", "caller", who, "role", least)
			refuse(w, http.StatusForbidden, "this needs the role "+string(least)+"; you may only look")
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), personKey{}, person{who, role})))
	})
}

// describe tells the page who looks at it.
func (c *console) describe(w http.ResponseWriter, r *http.Request) {
	p := personOf(r)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"project": c.Project, "email": string(p.email), "role": string(p.role)}) // the browser may have gone
}

func refuse(w http.ResponseWriter, status int, detail string) {
	(&api.Problem{Status: status, Detail: detail}).Write(w)
}

// readOnly refuses methods that could change something.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, http.StatusMethodNotAllowed, "this path does not accept this method")
			return
		}
		next.ServeHTTP(w, r)
	})
}
