package fcm

import "net/http"

// tokenPath is the path of Google's OAuth token endpoint, https://oauth2.googleapis.com/token.
const tokenPath = "/token"

// accessTokenLife is how long an access token is valid, in seconds, as Google says it. The
// server never checks it.
const accessTokenLife = 3599

// handleToken gives out an access token for any grant, as Google's token endpoint does. A client
// with the key of a service account asks for one before it sends: the key names the endpoint as
// its token_uri. No grant is checked, because the server accepts every token.
func handleToken(w http.ResponseWriter, r *http.Request) {
	w.Header()["Cache-Control"] = []string{"no-store"}
	if r.PostFormValue("grant_type") == "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{
			"error": "invalid_request", "error_description": "Required parameter is missing: grant_type"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"access_token": "ya29.emulator", "expires_in": accessTokenLife, "token_type": "Bearer"})
}
