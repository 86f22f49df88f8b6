package auth_test

import (
	"fmt"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
)

// TestContractServersCreateAccounts checks the accounts that an Admin SDK creates, and how it finds them.
func TestContractServersCreateAccounts(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	a := c.owner("accounts", object{"localId": "u1", "email": "U1@example.com", "password": "secret-1", "displayName": "U", "phoneNumber": "+15551",
		"photoUrl": "http://p", "emailVerified": true, "disabled": false})
	c.checkBody("answer", a.body, `{"kind":"identitytoolkit#SignupNewUserResponse","localId":"*","displayName":"U","email":"u1@example.com"}`)
	check.Equal(t, a.text("localId"), "u1", "user id")
	c.owner("accounts", object{"local_id": "u2", "disabled": true})
	check.Equal(t, len(c.owner("accounts", object{}).text("localId")), 28, "length of a user id that the server makes")

	const u1 = `{"localId":"*","lastLoginAt":"*","displayName":"U","photoUrl":"http://p","emailVerified":true,"phoneNumber":"+15551","email":"u1@example.com",
		"salt":"*","passwordHash":"*","passwordUpdatedAt":"*","validSince":"*","createdAt":"*","providerUserInfo":[
		{"providerId":"password","email":"u1@example.com","federatedId":"u1@example.com","rawId":"u1@example.com","displayName":"U","photoUrl":"http://p"},
		{"providerId":"phone","phoneNumber":"+15551","rawId":"+15551"}]}`
	const kind = `"kind":"identitytoolkit#GetAccountInfoResponse"`
	for name, l := range map[string]struct {
		body object
		want string
	}{
		"by user ids": {object{"localId": []string{"u1", "u2", "u1", "none"}},
			`{` + kind + `,"users":[` + u1 + `,{"localId":"*","lastLoginAt":"*","emailVerified":false,"disabled":true,"createdAt":"*"}]}`},
		"by an address":      {object{"email": []string{"U1@EXAMPLE.com"}}, `{` + kind + `,"users":[` + u1 + `]}`},
		"by a phone number":  {object{"phoneNumber": []string{"+15551"}}, `{` + kind + `,"users":[` + u1 + `]}`},
		"none":               {object{"localId": []string{"none"}}, `{` + kind + `}`},
		"without a question": {object{}, `{` + kind + `}`},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			c.checkBody("answer", c.owner("accounts:lookup", l.body).body, l.want)
		})
	}

	path := c.admin("accounts")
	checkRefused(t, c, map[string]refusal{
		"user id taken":      {path, asOwner, object{"localId": "u1"}, "DUPLICATE_LOCAL_ID"},
		"address taken":      {path, asOwner, object{"email": "u1@example.com"}, "EMAIL_EXISTS"},
		"phone number taken": {path, asOwner, object{"phoneNumber": "+15551"}, "PHONE_NUMBER_EXISTS"},
		"bad phone number":   {path, asOwner, object{"phoneNumber": "5551"}, "INVALID_PHONE_NUMBER : Invalid format."},
		"bad address":        {path, asOwner, object{"email": "u"}, "INVALID_EMAIL"},
		"short password":     {path, asOwner, object{"password": "12345"}, "WEAK_PASSWORD : Password should be at least 6 characters"},
		"with an API key":    {path, asApp, object{}, "INSUFFICIENT_PERMISSION : Only authenticated requests can specify target_project_id."},
	})
}

// TestContractServersUpdateAccounts checks what an Admin SDK changes in an account.
func TestContractServersUpdateAccounts(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	c.owner("accounts", object{"localId": "u1", "email": "u1@example.com", "password": "secret-1", "phoneNumber": "+15551", "displayName": "U"})
	a := c.owner("accounts:update", object{"localId": "u1", "displayName": "V", "customAttributes": `{"shop":"riga"}`, "disableUser": true, "emailVerified": true})
	c.checkBody("answer", a.body, `{"kind":"identitytoolkit#SetAccountInfoResponse","localId":"*","emailVerified":true,"providerUserInfo":[
		{"providerId":"password","email":"u1@example.com","federatedId":"u1@example.com","rawId":"u1@example.com","displayName":"V"},
		{"providerId":"phone","phoneNumber":"+15551","rawId":"+15551"}],"email":"u1@example.com","displayName":"V","passwordHash":"*"}`)
	c.owner("accounts:update", object{"localId": "u1", "validSince": "1800000000", "disableUser": false, "deleteProvider": []string{"phone"}})
	user := c.owner("accounts:lookup", object{"localId": []string{"u1"}}).body["users"].([]any)[0].(map[string]any)
	for name, want := range map[string]any{"customAttributes": `{"shop":"riga"}`, "validSince": "1800000000", "disabled": false, "phoneNumber": nil} {
		check.Equal(t, user[name], want, "field %s", name)
	}

	path := c.admin("accounts:update")
	checkRefused(t, c, map[string]refusal{
		"no user id":       {path, asOwner, object{}, "MISSING_LOCAL_ID"},
		"unknown user id":  {path, asOwner, object{"localId": "none"}, "USER_NOT_FOUND"},
		"claims no JSON":   {path, asOwner, object{"localId": "u1", "customAttributes": "x"}, "INVALID_CLAIMS"},
		"claims a list":    {path, asOwner, object{"localId": "u1", "customAttributes": "[]"}, "INVALID_CLAIMS"},
		"a reserved claim": {path, asOwner, object{"localId": "u1", "customAttributes": `{"sub":1}`}, "FORBIDDEN_CLAIM : sub"},
		"long claims":      {path, asOwner, object{"localId": "u1", "customAttributes": `{"a":"` + strings.Repeat("x", 1000) + `"}`}, "CLAIMS_TOO_LARGE"},
		"short password":   {path, asOwner, object{"localId": "u1", "password": "12345"}, "WEAK_PASSWORD : Password should be at least 6 characters"},
		"bad phone number": {path, asOwner, object{"localId": "u1", "phoneNumber": "5551"}, "INVALID_PHONE_NUMBER : Invalid format."},
	})
}

// TestContractCustomClaimsAreInIDTokens checks that the custom claims of an account are in
// its ID tokens.
func TestContractCustomClaimsAreInIDTokens(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	up := c.signUp("ada")
	c.ok(c.send("POST", accountsPath+":update", asOwner, object{"localId": up.text("localId"), "customAttributes": `{"role":"buyer","level":3}`}))
	in := c.app("signInWithPassword", object{"email": c.email("ada"), "password": "secret-1"})
	claims := c.claims(in.text("idToken"))
	check.Equal(t, fmt.Sprintf("%v %v", claims["role"], claims["level"]), "buyer 3", "custom claims")
}

// TestContractServersDeleteAccounts checks that an Admin SDK deletes one account, several,
// or, on an emulator, all.
func TestContractServersDeleteAccounts(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	for i := range 5 {
		c.owner("accounts", object{"localId": fmt.Sprintf("u%d", i), "disabled": i == 1})
	}
	c.checkBody("one", c.owner("accounts:delete", object{"localId": "u0"}).body, `{"kind":"identitytoolkit#DeleteAccountResponse"}`)
	several := c.owner("accounts:batchDelete", object{"localIds": []string{"u1", "u2", "none"}})
	c.checkBody("several", several.body, `{"errors":[{"index":1,"localId":"*","message":"NOT_DISABLED : Disable the account before batch deletion."}]}`)
	c.checkBody("by force", c.owner("accounts:batchDelete", object{"localIds": []string{"u2"}, "force": true}).body, `{}`)
	checkRefused(t, c, map[string]refusal{
		"no user id":      {c.admin("accounts:delete"), asOwner, object{}, "MISSING_LOCAL_ID"},
		"unknown user id": {c.admin("accounts:delete"), asOwner, object{"localId": "u0"}, "USER_NOT_FOUND"},
		"no list":         {c.admin("accounts:batchDelete"), asOwner, object{"localIds": []string{}}, "LOCAL_ID_LIST_EXCEEDS_LIMIT"},
	})

	page := c.ok(c.send("GET", c.admin("accounts:batchGet?maxResults=1"), asOwner, nil))
	c.checkBody("a page", page.body, `{"kind":"identitytoolkit#DownloadAccountResponse","nextPageToken":"u3","users":[
		{"localId":"*","lastLoginAt":"*","emailVerified":false,"createdAt":"*"}]}`)
	page = c.ok(c.send("GET", c.admin("accounts:batchGet?nextPageToken=u3"), asOwner, nil))
	check.Equal(t, fmt.Sprintf("%d %v", len(page.body["users"].([]any)), page.body["nextPageToken"]), "1 <nil>", "accounts and token of the last page")
	c.checkBody("all", c.ok(c.send("DELETE", c.emulator("accounts"), asNobody, nil)).body, `{}`)
	c.checkBody("no account", c.ok(c.send("GET", c.admin("accounts:batchGet"), asOwner, nil)).body, `{"kind":"identitytoolkit#DownloadAccountResponse","users":[]}`)
	c.checkBody("all of a tenant", c.ok(c.send("DELETE", c.emulator("tenants/t/accounts"), asNobody, nil)).body, `{}`)
}

// TestContractConfig checks the configuration that tests may change, and the lists of codes.
func TestContractConfig(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	for _, step := range []struct {
		name, method string
		body         any
		duplicates   bool
		privacy      bool
	}{
		{"at first", "GET", nil, false, false},
		{"duplicates", "PATCH", object{"signIn": object{"allowDuplicateEmails": true}}, true, false},
		{"privacy", "PATCH", object{"emailPrivacyConfig": object{"enableImprovedEmailPrivacy": true}}, true, true},
		{"kept", "GET", nil, true, true},
		{"reset", "PATCH", object{}, false, false},
	} {
		a := c.ok(c.send(step.method, c.emulator("config"), asNobody, step.body))
		c.checkBody(step.name, a.body, fmt.Sprintf(`{"signIn":{"allowDuplicateEmails":%t},"emailPrivacyConfig":{"enableImprovedEmailPrivacy":%t}}`, step.duplicates, step.privacy))
	}
	c.checkBody("codes by e-mail", c.ok(c.send("GET", c.emulator("oobCodes"), asNobody, nil)).body, `{"oobCodes":[]}`)
	c.checkBody("codes by SMS", c.ok(c.send("GET", c.emulator("verificationCodes"), asNobody, nil)).body, `{"verificationCodes":[]}`)
}

// TestContractRequests checks what requests of every operation have in common: the API
// key, the credentials, the form of the body, the method and the path.
func TestContractRequests(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	fail := func(code int, status, message string, detail object) answer {
		body := object{"code": float64(code), "message": message, "errors": []any{detail}}
		if status != "" {
			body["status"] = status
		}
		return answer{code, object{"error": body}}
	}
	noKey := fail(403, "PERMISSION_DENIED", "The request is missing a valid API key.",
		object{"message": "The request is missing a valid API key.", "reason": "forbidden", "domain": "global"})
	badCredentials := fail(401, "UNAUTHENTICATED", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "+
		"valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
		object{"message": "Invalid Credentials", "domain": "global", "reason": "authError", "location": "Authorization", "locationType": "header"})
	notFound := fail(404, "NOT_FOUND", "Not Found", object{"message": "Not Found", "reason": "notFound"})
	payload := func(what string) answer {
		message := "Invalid JSON payload received. " + what
		return fail(400, "INVALID_ARGUMENT", message, object{"message": message, "reason": "invalid", "domain": "global"})
	}
	noForm := "Invalid content-type: application/x-www-form-urlencoded"
	missing := func(operation string) answer {
		message := operation + " is not implemented in the Auth Emulator."
		return fail(501, "NOT_IMPLEMENTED", message, object{"message": message, "reason": "unimplemented"})
	}
	lookup, up := c.admin("accounts:lookup"), accountsPath+":signUp"

	for name, r := range map[string]struct {
		method, path, as string
		body             any
		want             answer
	}{
		"no key":                {"POST", up, asNobody, object{}, noKey},
		"no key for tokens":     {"POST", tokenPath, asNobody, form("grant_type=refresh_token"), noKey},
		"no credentials":        {"POST", lookup, asNobody, object{}, noKey},
		"other credentials":     {"POST", lookup, "Bearer nobody", object{}, badCredentials},
		"a key is not enough":   {"POST", lookup, asApp, object{}, badRequest("INSUFFICIENT_PERMISSION : Only authenticated requests can specify target_project_id.")},
		"a list":                {"POST", up, asApp, "[]", payload(" must be object")},
		"an object for a text":  {"POST", up, asApp, object{"email": object{}}, payload("/email must be string")},
		"null for a text":       {"POST", up, asApp, object{"displayName": nil}, payload("/displayName must be string")},
		"a text for a list":     {"POST", lookup, asOwner, object{"localId": "a"}, payload("/localId must be array")},
		"an object in a list":   {"POST", lookup, asOwner, object{"localId": []any{object{}}}, payload("/localId/0 must be string")},
		"a text for a bool":     {"POST", c.admin("accounts:update"), asOwner, object{"localId": "a", "disableUser": "true"}, payload("/disableUser must be boolean")},
		"a form":                {"POST", up, asApp, form("email=a"), fail(400, "", noForm, object{"message": noForm, "reason": "unknown"})},
		"another path":          {"POST", accountsPath + ":nothing", asApp, object{}, notFound},
		"another server's path": {"GET", "/nowhere", asNobody, nil, notFound},
		"another method":        {"GET", up, asApp, nil, answer{405, object{"message": "Method GET not allowed for " + up + "?key=any"}}},
		"the emulator's method": {"GET", c.emulator("accounts"), asNobody, nil, answer{405, object{"message": "Method GET not allowed for " + c.emulator("accounts")}}},
		"reCAPTCHA":             {"GET", "/identitytoolkit.googleapis.com/v2/recaptchaConfig", asApp, nil, missing("identitytoolkit.getRecaptchaConfig")},
		"password policy":       {"GET", "/identitytoolkit.googleapis.com/v2/passwordPolicy", asApp, nil, missing("identitytoolkit.getPasswordPolicy")},
		"revoking at a provider": {"POST", "/identitytoolkit.googleapis.com/v2/accounts:revokeToken", asApp, object{},
			missing("identitytoolkit.accounts.revokeToken")},
	} {
		t.Run(name, func(t *testing.T) {
			check.Equal(t, c.in(t).send(r.method, r.path, r.as, r.body), r.want, "answer")
		})
	}

	broken := c.send("POST", up, asApp, "{")
	check.Equal(t, broken.code, 400, "status of half JSON")
	text, _ := broken.body["error"].(object)["message"].(string)
	check.Contains(t, text, "Invalid JSON payload received. ", "message of half JSON")
	check.Equal(t, c.send("GET", "/", asNobody, nil).body["authEmulator"].(object)["ready"], any(true), "whether the server is ready")
}

// TestContractOfOtherSDKs checks the paths that older and mobile SDKs use.
func TestContractOfOtherSDKs(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	const older = "/www.googleapis.com/identitytoolkit/v3/relyingparty/"
	up := c.ok(c.send("POST", older+"signupNewUser", asApp, object{"email": c.email("ada"), "password": "secret-1"}))
	c.checkBody("signing up", up.body, `{"kind":"identitytoolkit#SignupNewUserResponse","localId":"*","email":"ada-UNIQUE@example.com","idToken":"*","refreshToken":"*","expiresIn":"3600"}`)
	in := c.ok(c.send("POST", older+"verifyPassword", asApp, object{"email": c.email("ada"), "password": "secret-1"}))
	check.Equal(t, in.text("localId"), up.text("localId"), "user id")
	c.ok(c.send("POST", older+"setAccountInfo", asApp, object{"idToken": in.text("idToken"), "displayName": "Ada"}))
	user := c.ok(c.send("POST", older+"getAccountInfo", asApp, object{"idToken": in.text("idToken")}))
	check.Equal(t, user.body["users"].([]any)[0].(object)["displayName"], any("Ada"), "name")
	c.checkBody("project", c.ok(c.send("GET", older+"getProjectConfig", asApp, nil)).body, `{"projectId":"12345","authorizedDomains":["localhost"]}`)
	c.checkBody("ways to sign in", c.app("createAuthUri", object{"identifier": c.email("ada"), "continueUri": "http://localhost"}).body,
		`{"kind":"identitytoolkit#CreateAuthUriResponse","registered":true,"allProviders":["password"],"sessionId":"*","signinMethods":["password"]}`)
	c.checkBody("ways of nobody", c.app("createAuthUri", object{"identifier": c.email("nobody"), "continueUri": "http://localhost"}).body,
		`{"kind":"identitytoolkit#CreateAuthUriResponse","registered":false,"allProviders":[],"sessionId":"*","signinMethods":[]}`)
	c.ok(c.send("POST", older+"deleteAccount", asApp, object{"idToken": in.text("idToken")}))
	checkRefused(t, c, map[string]refusal{
		"no address":  {accountsPath + ":createAuthUri", asApp, object{}, "MISSING_IDENTIFIER"},
		"no page":     {accountsPath + ":createAuthUri", asApp, object{"identifier": "a@example.com"}, "MISSING_CONTINUE_URI"},
		"bad address": {accountsPath + ":createAuthUri", asApp, object{"identifier": "a", "continueUri": "http://l"}, "INVALID_IDENTIFIER"},
		"bad page":    {accountsPath + ":createAuthUri", asApp, object{"identifier": "a@example.com", "continueUri": "l"}, "INVALID_CONTINUE_URI"},
	})
}
