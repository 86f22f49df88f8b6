package auth

import (
	"net/http"
	"net/url"
	"strings"
)

// A call is one request to an operation.
type call struct {
	*realm
	owner bool       // it has the credentials of the owner of the project, as servers do
	query url.Values // of the address
}

// target are the fields of requests that name a realm.
type target struct {
	TargetProjectID string `json:"targetProjectId"`
	TenantID        string `json:"tenantId"`
	IDToken         string `json:"idToken"`
	RefreshToken    string `json:"refreshToken"`
}

// handle returns the handler of an operation that may change what Save writes. The request
// has the fields of T. The operation runs with s.mu held; if it fails, it has changed nothing
// of that.
func handle[T any](s *Server, operation func(*Server, call, T) (any, error)) http.HandlerFunc {
	return handleUncounted(s, func(s *Server, c call, in T) (any, error) {
		answer, err := operation(s, c, in)
		if err == nil {
			s.changes++ // with s.mu still held: a snapshot that has the change does not miss the count
		}
		return answer, err
	})
}

// handleUncounted is handle for an operation that changes nothing of what Save writes.
func handleUncounted[T any](s *Server, operation func(*Server, call, T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := answerCall(s, r, operation)
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, http.StatusOK, answer)
	}
}

func answerCall[T any](s *Server, r *http.Request, operation func(*Server, call, T) (any, error)) (any, error) {
	owner, err := authorize(r)
	if err != nil {
		return nil, err
	}
	fields, err := readBody(r, strings.HasPrefix(r.URL.Path, secureToken))
	if err != nil {
		return nil, err
	}
	var t target
	if err := decodeFields(fields, &t); err != nil {
		return nil, err
	}
	var in T
	if err := decodeFields(fields, &in); err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.realmOf(r, t, owner)
	if err != nil {
		return nil, err
	}
	return operation(s, call{realm: s.openRealm(key), owner: owner, query: r.URL.Query()}, in)
}

// authorize reports whether a request has the credentials of an owner. Without them it
// needs an API key, and every key is accepted. The paths of the emulator need neither, nor
// do those without a host name: Transport leads them here from Google's, where an SDK has
// real credentials.
func authorize(r *http.Request) (owner bool, err error) {
	if strings.HasPrefix(r.URL.Path, "/emulator/") || strings.HasPrefix(r.URL.Path, "/v1/") {
		return true, nil
	}
	scheme, credentials, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case !strings.EqualFold(scheme, "Bearer"):
		if r.URL.Query().Get("key") == "" && r.Header.Get("X-Goog-Api-Key") == "" {
			return false, errNoKey
		}
		return false, nil
	case strings.EqualFold(credentials, "owner"), strings.HasPrefix(credentials, "ya29."): // a token of a service account
		return true, nil
	}
	return false, errBadCredentials
}

// realmOf returns the realm that a request is for. Apps name none: theirs is the project
// of this server, or the tenant of their token.
func (s *Server) realmOf(r *http.Request, t target, owner bool) (realmKey, error) {
	key := realmKey{r.PathValue("project"), r.PathValue("tenant")}
	if key.project == "" {
		key.project = t.TargetProjectID
	}
	if key.project != "" && !owner {
		return key, badRequest("INSUFFICIENT_PERMISSION : Only authenticated requests can specify target_project_id.")
	}
	if key.project == "" {
		key.project = s.project
	}

	tenants := []string{t.TenantID}
	if t.IDToken != "" {
		if in, err := parseIDToken(t.IDToken); err == nil { // the operation refuses a bad one
			tenants = append(tenants, in.Firebase.Tenant)
		}
	}
	if t.RefreshToken != "" {
		in, err := parseRefreshToken(t.RefreshToken)
		if err != nil {
			return key, err
		}
		tenants = append(tenants, in.Tenant)
	}
	for _, tenant := range tenants {
		if tenant != "" && key.tenant != "" && tenant != key.tenant {
			return key, badRequest("TENANT_ID_MISMATCH")
		}
		if tenant != "" {
			key.tenant = tenant
		}
	}
	return key, nil
}

// openRealm returns a realm, and creates it first if no request was for it yet. The
// caller holds s.mu.
func (s *Server) openRealm(key realmKey) *realm {
	m := s.realms[key]
	if m == nil {
		m = newRealm(key)
		s.realms[key] = m
	}
	return m
}
