package auth

import (
	"net/http"
)

// The paths of Google's services begin with their host names in an emulator.
const (
	identityToolkit = "/identitytoolkit.googleapis.com"
	secureToken     = "/securetoken.googleapis.com"
	relyingParty    = "/www.googleapis.com/identitytoolkit/v3/relyingparty/" // what some mobile SDKs use
)

// methods are the handlers of a path, by the method of the request.
type methods map[string]http.HandlerFunc

// ServeHTTP calls the handler of the method.
func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, ok := m[r.Method]
	if !ok {
		writeJSON(w, http.StatusMethodNotAllowed, map[string]string{"message": "Method " + r.Method + " not allowed for " + r.URL.RequestURI()})
		return
	}
	h(w, r)
}

// routes returns the handler of every path, and whether it simulates an outage.
func (s *Server) routes() http.Handler {
	m := http.NewServeMux()
	m.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeError(w, errNotFound) }))
	m.HandleFunc("GET /{$}", s.serveReady)
	m.Handle("GET "+certificates, http.HandlerFunc(s.serveCertificates))
	m.Handle("GET "+appCheckKeys, http.HandlerFunc(s.serveKeys))
	m.Handle("/emulator/tokens", methods{"POST": s.serveToken})
	m.Handle(actionPath, methods{"GET": s.serveAction})
	m.Handle("/emulator/accounts/{uid}", methods{"PUT": s.serveAccount})
	s.routeApps(m)
	s.routeServers(m)
	s.routeEmulator(m)

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		broken := s.broken
		s.mu.Unlock()
		if broken {
			writeJSON(w, http.StatusForbidden, map[string]any{"error": map[string]any{"code": 403, "message": "PERMISSION_DENIED"}})
			return
		}
		m.ServeHTTP(w, r)
	})
}

// serveReady says that the server is ready.
func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"authEmulator": map[string]any{"ready": true, "docs": "https://firebase.google.com/docs/emulator-suite"}})
}

// routeApps adds the paths that apps call, under their names of today and under the older
// ones.
func (s *Server) routeApps(m *http.ServeMux) {
	for _, o := range []struct {
		path, older string
		handler     http.HandlerFunc
	}{
		{"accounts:signUp", "signupNewUser", handle(s, signUp)},
		{"accounts:signInWithPassword", "verifyPassword", handle(s, signInWithPassword)},
		{"accounts:signInWithCustomToken", "verifyCustomToken", handle(s, signInWithCustomToken)},
		{"accounts:lookup", "getAccountInfo", handleUncounted(s, lookup)},
		{"accounts:update", "setAccountInfo", handle(s, update)},
		{"accounts:delete", "deleteAccount", handle(s, deleteAccount)},
		{"accounts:createAuthUri", "createAuthUri", handleUncounted(s, createAuthURI)},
		{"accounts:sendOobCode", "getOobConfirmationCode", handleUncounted(s, sendCode)},
		{"accounts:resetPassword", "resetPassword", handle(s, resetPassword)},
		{"accounts:signInWithEmailLink", "emailLinkSignin", missing("identitytoolkit.accounts.signInWithEmailLink")},
		{"accounts:signInWithIdp", "verifyAssertion", missing("identitytoolkit.accounts.signInWithIdp")},
		{"accounts:sendVerificationCode", "sendVerificationCode", missing("identitytoolkit.accounts.sendVerificationCode")},
		{"accounts:signInWithPhoneNumber", "verifyPhoneNumber", missing("identitytoolkit.accounts.signInWithPhoneNumber")},
	} {
		m.Handle(identityToolkit+"/v1/"+o.path, methods{"POST": o.handler})
		m.Handle(relyingParty+o.older, methods{"POST": o.handler})
	}
	m.Handle(identityToolkit+"/v1/projects", methods{"GET": handleUncounted(s, getProject)})
	m.Handle(relyingParty+"getProjectConfig", methods{"GET": handleUncounted(s, getProject)})
	m.Handle(identityToolkit+"/v2/recaptchaConfig", methods{"GET": missing("identitytoolkit.getRecaptchaConfig")})
	m.Handle(identityToolkit+"/v2/passwordPolicy", methods{"GET": missing("identitytoolkit.getPasswordPolicy")})
	m.Handle(identityToolkit+"/v2/accounts:revokeToken", methods{"POST": missing("identitytoolkit.accounts.revokeToken")})
	m.Handle(secureToken+"/v1/token", methods{"POST": handle(s, refresh)})
}

// routeServers adds the paths that the Admin SDKs call: under the host name, and without
// it for SDKs that Transport leads here.
func (s *Server) routeServers(m *http.ServeMux) {
	for _, host := range []string{identityToolkit, ""} {
		for _, realm := range []string{"/v1/projects/{project}/", "/v1/projects/{project}/tenants/{tenant}/"} {
			at := host + realm
			m.Handle(at+"accounts", methods{"POST": handle(s, signUp)})
			m.Handle(at+"accounts:lookup", methods{"POST": handleUncounted(s, lookup)})
			m.Handle(at+"accounts:update", methods{"POST": handle(s, update)})
			m.Handle(at+"accounts:delete", methods{"POST": handle(s, deleteAccount)})
			m.Handle(at+"accounts:batchDelete", methods{"POST": handle(s, batchDelete)})
			m.Handle(at+"accounts:sendOobCode", methods{"POST": handleUncounted(s, sendCode)})
			m.Handle(at+"accounts:batchGet", methods{"GET": handleUncounted(s, batchGet)})
			for _, name := range []string{"accounts:batchCreate", "accounts:query"} {
				m.Handle(at+name, methods{"POST": missing("identitytoolkit.projects." + name)})
			}
		}
	}
}

// routeEmulator adds the paths that only emulators have, for tests.
func (s *Server) routeEmulator(m *http.ServeMux) {
	const at = "/emulator/v1/projects/{project}/"
	m.Handle(at+"accounts", methods{"DELETE": handle(s, clearAccounts)})
	m.Handle(at+"tenants/{tenant}/accounts", methods{"DELETE": handle(s, clearAccounts)})
	m.Handle(at+"config", methods{"GET": handleUncounted(s, getConfig), "PATCH": handle(s, setConfig)})
	m.Handle(at+"oobCodes", methods{"GET": handleUncounted(s, listCodes)})
	m.Handle(at+"verificationCodes", methods{"GET": handleUncounted(s, listNoCodes)})
}

// missing returns the handler of an operation that this server does not have.
func missing(operation string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, notImplemented(operation+" is not implemented in the Auth Emulator."))
	}
}
