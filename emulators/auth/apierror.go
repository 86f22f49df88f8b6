package auth

import (
	"errors"
	"net/http"
)

// An apiError is an error in the form of Google's REST services. Its fields are those of the
// JSON answer; code is also the HTTP status.
type apiError struct {
	code    int    // status of the answer
	status  string // name of the status; "": the answer has none
	message string
	detail  map[string]any // the one entry of the list "errors", with its message
}

func (e *apiError) Error() string { return e.message }

// badRequest returns the error of a request that an operation refuses. Clients read the
// word at the beginning of the message.
func badRequest(message string) error {
	return &apiError{400, "", message, map[string]any{"message": message, "reason": "invalid", "domain": "global"}}
}

// invalidArgument returns the error of a request whose JSON is not that of the operation.
func invalidArgument(message, reason string) error {
	return &apiError{400, "INVALID_ARGUMENT", message, map[string]any{"message": message, "reason": reason, "domain": "global"}}
}

// notImplemented returns the error of an operation that this server does not have.
func notImplemented(message string) error {
	return &apiError{501, "NOT_IMPLEMENTED", message, map[string]any{"message": message, "reason": "unimplemented"}}
}

// errNoKey is the error of a request with neither an API key nor credentials.
var errNoKey = &apiError{403, "PERMISSION_DENIED", "The request is missing a valid API key.",
	map[string]any{"message": "The request is missing a valid API key.", "reason": "forbidden", "domain": "global"}}

// errBadCredentials is the error of a request with credentials that are not those of an owner.
var errBadCredentials = &apiError{401, "UNAUTHENTICATED",
	"Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. " +
		"See https://developers.google.com/identity/sign-in/web/devconsole-project.",
	map[string]any{"message": "Invalid Credentials", "domain": "global", "reason": "authError", "location": "Authorization", "locationType": "header"}}

// errNotFound is the error of a path that does not exist.
var errNotFound = &apiError{404, "NOT_FOUND", "Not Found", map[string]any{"message": "Not Found", "reason": "notFound"}}

// writeError writes an error as the answer.
func writeError(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		e = &apiError{500, "INTERNAL", err.Error(), map[string]any{"message": err.Error(), "reason": "internal"}}
	}
	body := map[string]any{"code": e.code, "message": e.message, "errors": []any{e.detail}}
	if e.status != "" {
		body["status"] = e.status
	}
	writeJSON(w, e.code, map[string]any{"error": body})
}

// refuse returns a badRequest with a message if a condition holds, nil otherwise.
func refuse(when bool, message string) error {
	if when {
		return badRequest(message)
	}
	return nil
}

// firstError returns the first of the errors of some checks that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
