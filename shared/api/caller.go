package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"carillon.example/shared/push"
)

type callerKey struct{}

// Caller returns the caller of the request of ctx, "" if it is unknown.
func Caller(ctx context.Context) push.Caller {
	c, _ := ctx.Value(callerKey{}).(push.Caller)
	return c
}

// WithCaller returns ctx for a request of that caller. ServeHTTP calls it with the
// caller of the ID token; tests, and functions that verify callers themselves, call
// it too.
func WithCaller(ctx context.Context, c push.Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// OnBehalfHeader names the person for whom the console sends a request. It is read only
// in requests of the account Options.Console.
const OnBehalfHeader = "X-Carillon-On-Behalf-Of"

// personBehind returns the person for whom the account of the console sends a request,
// and account itself for all other requests. CALLERS is about the account: which person
// may do what is checked by the console.
func personBehind(account, console push.Caller, h http.Header) push.Caller {
	named := h.Values(OnBehalfHeader)
	if console == "" || account != console || len(named) != 1 {
		return account
	}
	person := push.CallerWithEmail(named[0])
	if person == "" || push.CheckCaller(person) != "" {
		return account
	}
	return person
}

// CallerOfToken returns the caller of the ID token that Cloud Run has verified. It does
// not verify the token itself, because Cloud Run has replaced the signature. If
// X-Serverless-Authorization is present, Cloud Run has verified only that token, and
// Authorization may hold anything. The caller is "" if there is no valid token.
func CallerOfToken(h http.Header) push.Caller {
	all := h.Values("X-Serverless-Authorization")
	if len(all) == 0 {
		all = h.Values("Authorization")
	}
	if len(all) != 1 {
		return ""
	}

	scheme, token, _ := strings.Cut(all[0], " ")
	parts := strings.Split(strings.TrimSpace(token), ".")
	if !strings.EqualFold(scheme, "Bearer") || len(parts) != 3 {
		return ""
	}

	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return ""
	}
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
		Subject  string `json:"sub"`
	}
	if json.Unmarshal(raw, &claims) != nil {
		return ""
	}

	caller := push.Caller(claims.Subject)
	if claims.Email != "" && claims.Verified {
		caller = push.CallerWithEmail(claims.Email)
	}
	if push.CheckCaller(caller) != "" {
		return ""
	}
	return caller
}

const permissionKey = "permission"

// RequirePermission returns op restricted to callers that have permission p.
func RequirePermission(p push.Permission, op huma.Operation) huma.Operation {
	op = withMetadata(op, permissionKey, p)
	op.Errors = append(op.Errors, http.StatusForbidden)
	return op
}

// authorizeCaller refuses an account that lacks the permission which op needs. It returns
// nil if the account has it, or if op needs no permission.
func (a *API) authorizeCaller(ctx context.Context, account push.Caller, op *huma.Operation) *Problem {
	if op == nil {
		return nil
	}
	p, ok := op.Metadata[permissionKey].(push.Permission)
	if !ok || a.options.Callers.HasPermission(account, p) {
		return nil
	}

	a.log.WarnContext(ctx, "a caller lacks a permission", "caller", Caller(ctx), "permission", p, "operation", op.OperationID)
	return forbiddenProblem(p)
}

func forbiddenProblem(p push.Permission) *Problem {
	return makeProblem(http.StatusForbidden, `this needs the permission "`+string(p)+`", which CALLERS does not give the caller`)
}
