package auth

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"
)

// certificates is the path at which the Admin SDKs fetch Google's certificates.
const certificates = "/robot/v1/metadata/x509/securetoken@system.gserviceaccount.com"

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
	s.certificateRequests++
	s.mu.Unlock()
	w.Header().Set("Cache-Control", "public, max-age=3600, must-revalidate, no-transform")
	writeJSON(w, http.StatusOK, map[string]string{s.keyID: s.cert})
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
