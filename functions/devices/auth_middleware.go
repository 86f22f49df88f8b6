package devices

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"carillon.example/shared/api"
	"carillon.example/shared/auth"
	"carillon.example/shared/push"
)

// An authMiddleware requires an ID token before path, method or body are read.
type authMiddleware struct {
	Deps
	next http.Handler
}

// customerKey is the key of the customer in the context of a request.
type customerKey struct{}

// customerOf returns the customer that the caller speaks for.
func customerOf(ctx context.Context) string {
	id, _ := ctx.Value(customerKey{}).(string)
	return id
}

// ServeHTTP answers preflight requests, refuses callers without a valid ID token, and
// passes the others on.
func (g *authMiddleware) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = api.WithRequestID(w, r)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	allowed := g.allowOrigin(w, r)
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		api.Refuse(w, r)
		answerPreflight(w, allowed)
		return
	}

	ctx, cancel := api.Within(r.Context(), g.Timeout)
	defer cancel()
	customer, err := g.identifyCustomer(ctx, r.Header)
	if err != nil {
		api.Refuse(w, r)
		g.refuseCaller(ctx, w, err)
		return
	}
	if err := g.checkApp(ctx, r.Header); err != nil {
		api.Refuse(w, r)
		g.refuseCaller(ctx, w, err)
		return
	}
	ctx = api.WithCaller(ctx, push.Caller("app:"+push.CustomerKey(customer)))
	g.next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, customerKey{}, customer)))
}

// allowOrigin allows a page of an allowed origin to read the answer, and reports whether
// it may.
func (g *authMiddleware) allowOrigin(w http.ResponseWriter, r *http.Request) bool {
	if len(g.Origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	from := r.Header.Get("Origin")
	if !slices.Contains(g.Origins, from) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", from)
	h.Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate, X-Request-Id")
	return true
}

// answerPreflight answers a preflight request of a browser. It has no token.
func answerPreflight(w http.ResponseWriter, allowed bool) {
	if !allowed {
		writeProblem(w, http.StatusForbidden, "pages of this origin may not call this function")
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Firebase-AppCheck, X-Request-Id")
	h.Set("Access-Control-Max-Age", "3600")
	w.WriteHeader(http.StatusNoContent)
}

// unauthenticated is the error of a caller without an ID token; forbidden is that of
// a token that names no customer.
type (
	unauthenticated struct{ why string }
	forbidden       struct{ why string }
)

func (e *unauthenticated) Error() string { return e.why }
func (e *forbidden) Error() string       { return e.why }

// identifyCustomer returns the customer that a request speaks for.
func (g *authMiddleware) identifyCustomer(ctx context.Context, h http.Header) (string, error) {
	token, err := bearerToken(h)
	if err != nil {
		return "", err
	}

	p, err := g.Auth.Verify(ctx, token)
	if err != nil {
		return "", err
	}
	if p.Tenant != g.Tenant {
		// User ids are unique only within their tenant.
		return "", &forbidden{"the ID token is of another tenant"}
	}

	id := p.UID
	if g.Claim != "uid" && g.Claim != "sub" {
		c, ok := p.Claims[g.Claim].(string)
		if !ok || c == "" {
			return "", &forbidden{"the ID token has no claim " + g.Claim + " that is a text: sign in again once your account has it"}
		}
		id = c
	}
	if why := push.CheckCustomerID(id); why != "" {
		return "", &forbidden{"the claim " + g.Claim + " of the ID token is not a customer's id: it " + why}
	}

	return id, nil
}

// checkApp verifies the App Check token of a request if the function is configured
// to. With AppCheckLog it refuses no request.
func (g *authMiddleware) checkApp(ctx context.Context, h http.Header) error {
	if g.AppCheck == "" || g.AppCheck == AppCheckOff {
		return nil
	}
	_, err := g.Apps.VerifyApp(ctx, h.Get("X-Firebase-AppCheck"))
	if err == nil || g.AppCheck == AppCheckEnforce {
		return err
	}
	g.Log.WarnContext(ctx, "an App Check token would be refused", "error", err)
	return nil
}

// bearerToken returns the token of the only Authorization header.
func bearerToken(h http.Header) (string, error) {
	all := h.Values("Authorization")
	if len(all) == 0 {
		return "", &unauthenticated{"a Firebase Auth ID token is needed, as in Authorization: Bearer …"}
	}
	scheme, token, _ := strings.Cut(all[0], " ")
	if token = strings.TrimSpace(token); len(all) > 1 || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", &unauthenticated{"the Authorization header has to be Bearer and one ID token"}
	}
	return token, nil
}

// refuseCaller is the table from the error of a refused caller to the answer.
//
//	no ID token                             401, WWW-Authenticate: Bearer
//	an ID token that is not valid           401, WWW-Authenticate: Bearer error="invalid_token"
//	no valid App Check token, if enforced   401
//	an ID token without a customer          403
//	any other error                         as api.ToProblem has it: 503 if Google is out of reach
func (g *authMiddleware) refuseCaller(ctx context.Context, w http.ResponseWriter, err error) {
	if e, ok := errors.AsType[*unauthenticated](err); ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeProblem(w, http.StatusUnauthorized, e.why)
		return
	}
	if e, ok := errors.AsType[*auth.Refused](err); ok {
		g.Log.InfoContext(ctx, "an ID token was refused", "why", e.Why)
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token", error_description="`+e.Why+`"`)
		writeProblem(w, http.StatusUnauthorized, e.Error())
		return
	}
	if e, ok := errors.AsType[*auth.RefusedApp](err); ok {
		g.Log.InfoContext(ctx, "an App Check token was refused", "why", e.Why)
		writeProblem(w, http.StatusUnauthorized, e.Error())
		return
	}
	if e, ok := errors.AsType[*forbidden](err); ok {
		g.Log.InfoContext(ctx, "a caller speaks for no customer", "why", e.why)
		writeProblem(w, http.StatusForbidden, e.why)
		return
	}

	p, ok := errors.AsType[*api.Problem](api.ToProblem(ctx, g.Log, err))
	if !ok {
		p = &api.Problem{Status: http.StatusInternalServerError}
	}

	p.Write(w)
}

// writeProblem answers with a problem+json body.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	(&api.Problem{Status: status, Detail: detail}).Write(w)
}
