package auth

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"
)

// certificates is the path of Google's certificates in the Admin SDKs.
const certificates = "/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"

func (s *Server) adminHandler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET "+certificates, s.serveCertificates)
	m.HandleFunc("GET "+appCheckKeys, s.serveKeys)
	m.HandleFunc("POST /v1/projects/{project}/accounts:lookup", s.serveLookup)
	m.HandleFunc("POST /v1/projects/{project}/tenants/{tenant}/accounts:lookup", s.serveLookup)
	// The Admin SDKs put the host name into the path when
	// FIREBASE_AUTH_EMULATOR_HOST is set.
	m.HandleFunc("POST /identitytoolkit.googleapis.com/v1/projects/{project}/accounts:lookup", s.serveLookup)
	m.HandleFunc("POST /identitytoolkit.googleapis.com/v1/projects/{project}/tenants/{tenant}/accounts:lookup", s.serveLookup)
	m.HandleFunc("POST /emulator/tokens", s.serveToken)
	m.HandleFunc("PUT /emulator/accounts/{uid}", s.serveAccount)
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

// Transport returns a transport that connects to this server under the host
// names of Google. It is for addresses that the Admin SDK does not let callers
// configure: a test replaces http.DefaultTransport with it, and the SDK copies
// that. Connections to other hosts fail.
func (s *Server) Transport() *http.Transport {
	return &http.Transport{
		DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			switch addr {
			case "www.googleapis.com:443", "identitytoolkit.googleapis.com:443", "firebaseappcheck.googleapis.com:443":
				return (&net.Dialer{}).DialContext(ctx, network, s.Addr())
			}
			return nil, &net.AddrError{Err: "not a server of Firebase Auth", Addr: addr}
		},
		DialContext: func(_ context.Context, _, addr string) (net.Conn, error) {
			return nil, &net.AddrError{Err: "not a server of Firebase Auth", Addr: addr}
		},
	}
}

func (s *Server) serveCertificates(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	s.asked++
	s.mu.Unlock()
	w.Header().Set("Cache-Control", "public, max-age=3600, must-revalidate, no-transform")
	writeJSON(w, http.StatusOK, map[string]string{s.keyID: s.cert})
}

// serveLookup serves accounts:lookup. It leaves out deleted users. A user that was never set exists. It
// finds a user of a tenant only in that tenant.
func (s *Server) serveLookup(w http.ResponseWriter, r *http.Request) {
	var in struct {
		LocalID []string `json:"localId"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil || r.PathValue("project") != s.project {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": map[string]any{"code": 400, "message": "INVALID_REQUEST"}})
		return
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	users := []map[string]any{}
	for _, uid := range in.LocalID {
		a, known := s.accounts[uid]
		if a.Deleted || known && a.Tenant != r.PathValue("tenant") {
			continue
		}
		u := map[string]any{"localId": uid, "disabled": a.Disabled}
		if !a.ValidSince.IsZero() {
			u["validSince"] = strconv.FormatInt(a.ValidSince.Unix(), 10)
		}
		users = append(users, u)
	}

	writeJSON(w, http.StatusOK, map[string]any{"kind": "identitytoolkit#GetAccountInfoResponse", "users": users})
}

// serveToken returns an ID token for the claims in the body, for example `{"sub":
// "ada"}`.
func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	claims := map[string]any{}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&claims); err != nil {
		http.Error(w, "the body is not a JSON object of claims", http.StatusBadRequest)
		return
	}
	if sub, _ := claims["sub"].(string); sub == "" {
		http.Error(w, "the claim sub (the user id) is missing", http.StatusBadRequest)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"idToken": s.Token(claims), "expiresIn": strconv.Itoa(int(tokenLife / time.Second))})
}

func (s *Server) serveAccount(w http.ResponseWriter, r *http.Request) {
	var a Account
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&a); err != nil {
		http.Error(w, "the body is not an account (tenant, disabled, deleted, validSince)", http.StatusBadRequest)
		return
	}
	s.Set(r.PathValue("uid"), a)
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has disconnected
}
