package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"carillon.example/emulators/testcloud/check"
)

// TestContractSignUp checks what a new account gets: with an e-mail address and a
// password, and without both.
func TestContractSignUp(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	a := c.app("signUp", object{"email": "Ada-" + c.unique + "@Example.com", "password": "secret-1", "displayName": "Ada", "returnSecureToken": true})
	c.checkBody("with a password", a.body, `{"kind":"identitytoolkit#SignupNewUserResponse","localId":"*","displayName":"Ada",
		"email":"ada-UNIQUE@example.com","idToken":"*","refreshToken":"*","expiresIn":"3600"}`)
	c.checkBody("its claims", c.claims(a.text("idToken")), `{"name":"Ada","email":"ada-UNIQUE@example.com","email_verified":false,"auth_time":"*",
		"user_id":"*","firebase":{"identities":{"email":["ada-UNIQUE@example.com"]},"sign_in_provider":"password"},
		"iat":"*","exp":"*","aud":"demo-carillon","iss":"https://securetoken.google.com/demo-carillon","sub":"*"}`)

	a = c.app("signUp", object{"returnSecureToken": true})
	c.checkBody("anonymous", a.body, `{"kind":"identitytoolkit#SignupNewUserResponse","localId":"*","idToken":"*","refreshToken":"*","expiresIn":"3600"}`)
	claims := c.claims(a.text("idToken"))
	c.checkBody("its claims", claims, `{"provider_id":"anonymous","auth_time":"*","user_id":"*",
		"firebase":{"identities":{},"sign_in_provider":"anonymous"},
		"iat":"*","exp":"*","aud":"demo-carillon","iss":"https://securetoken.google.com/demo-carillon","sub":"*"}`)
	check.Equal(t, claims["sub"], any(a.text("localId")), "claim sub")
	check.Equal(t, len(a.text("localId")), 28, "length of the user id")
	life, _ := claims["exp"].(float64)
	begin, _ := claims["iat"].(float64)
	check.Equal(t, life-begin, 3600, "life of the ID token in seconds")
}

// TestContractAnonymousAccountsAreUpgraded checks that an anonymous account gets an e-mail
// address and keeps its user id.
func TestContractAnonymousAccountsAreUpgraded(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	for name, operation := range map[string]string{"by signing up": "signUp", "by an update": "update"} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			before := c.app("signUp", object{})
			a := c.app(operation, object{"idToken": before.text("idToken"), "email": c.email(operation), "password": "secret-1"})
			check.Equal(t, a.text("localId"), before.text("localId"), "user id")
			check.Equal(t, a.text("email"), strings.ToLower(c.email(operation)), "e-mail address")
			check.Equal(t, c.claims(a.text("idToken"))["firebase"].(map[string]any)["sign_in_provider"], any("password"), "way to sign in")
			in := c.app("signInWithPassword", object{"email": c.email(operation), "password": "secret-1"})
			check.Equal(t, in.text("localId"), before.text("localId"), "user id when it signs in")
		})
	}
}

// TestContractSignUpIsRefused checks the errors of accounts:signUp.
func TestContractSignUpIsRefused(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	c.signUp("taken")
	const path = accountsPath + ":signUp"
	checkRefused(t, c, map[string]refusal{
		"address taken":    {path, asApp, object{"email": strings.ToUpper(c.email("taken")), "password": "secret-1"}, "EMAIL_EXISTS"},
		"no password":      {path, asApp, object{"email": c.email("a")}, "MISSING_PASSWORD"},
		"no address":       {path, asApp, object{"password": "secret-1"}, "MISSING_EMAIL"},
		"empty address":    {path, asApp, object{"email": "", "password": "secret-1"}, "MISSING_EMAIL"},
		"bad address":      {path, asApp, object{"email": "a", "password": "secret-1"}, "INVALID_EMAIL"},
		"two at signs":     {path, asApp, object{"email": "a@b@c", "password": "secret-1"}, "INVALID_EMAIL"},
		"number":           {path, asApp, object{"email": 5, "password": "secret-1"}, "INVALID_EMAIL"},
		"short password":   {path, asApp, object{"email": c.email("a"), "password": "12345"}, "WEAK_PASSWORD : Password should be at least 6 characters"},
		"own user id":      {path, asApp, object{"localId": "x"}, "UNEXPECTED_PARAMETER : User ID"},
		"another project":  {path, asApp, object{"targetProjectId": "x"}, "INSUFFICIENT_PERMISSION : Only authenticated requests can specify target_project_id."},
		"a bad ID token":   {path, asApp, object{"idToken": "x", "email": c.email("b"), "password": "secret-1"}, "INVALID_ID_TOKEN"},
		"only an ID token": {path, asApp, object{"idToken": c.app("signUp", object{}).text("idToken")}, "MISSING_EMAIL"},
	})
}

// TestContractSignInWithPassword checks the answer to a sign-in, and its errors.
func TestContractSignInWithPassword(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	up := c.signUp("ada")
	a := c.app("signInWithPassword", object{"email": strings.ToUpper(c.email("ada")), "password": "secret-1", "returnSecureToken": true})
	c.checkBody("answer", a.body, `{"kind":"identitytoolkit#VerifyPasswordResponse","registered":true,"localId":"*","email":"ada-UNIQUE@example.com",
		"idToken":"*","refreshToken":"*","expiresIn":"3600"}`)
	check.Equal(t, a.text("localId"), up.text("localId"), "user id")

	off := c.signUp("off")
	c.ok(c.send("POST", accountsPath+":update", asOwner, object{"localId": off.text("localId"), "disableUser": true}))
	anonymous := c.app("signUp", object{})
	c.app("update", object{"idToken": anonymous.text("idToken"), "email": c.email("bare")})
	const path = accountsPath + ":signInWithPassword"
	checkRefused(t, c, map[string]refusal{
		"wrong password":     {path, asApp, object{"email": c.email("ada"), "password": "secret-2"}, "INVALID_PASSWORD"},
		"account without it": {path, asApp, object{"email": c.email("bare"), "password": "secret-2"}, "INVALID_PASSWORD"},
		"unknown address":    {path, asApp, object{"email": c.email("nobody"), "password": "secret-1"}, "EMAIL_NOT_FOUND"},
		"no address":         {path, asApp, object{"password": "secret-1"}, "MISSING_EMAIL"},
		"empty address":      {path, asApp, object{"email": "", "password": "secret-1"}, "INVALID_EMAIL"},
		"bad address":        {path, asApp, object{"email": "a", "password": "secret-1"}, "INVALID_EMAIL"},
		"no password":        {path, asApp, object{"email": c.email("ada")}, "MISSING_PASSWORD"},
		"disabled":           {path, asApp, object{"email": c.email("off"), "password": "secret-1"}, "USER_DISABLED"},
	})
}

// customToken returns an unsigned JSON Web Token with the claims of a custom token.
func customToken(t *testing.T, claims object) string {
	t.Helper()
	var parts []string
	for _, part := range []object{{"alg": "none", "typ": "JWT"}, claims} {
		b, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(b))
	}
	return strings.Join(parts, ".") + "."
}

// TestContractSignInWithCustomToken checks the sign-in with a token that a server made.
func TestContractSignInWithCustomToken(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	const audience = "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit"
	id := "custom-" + c.unique
	a := c.app("signInWithCustomToken", object{"token": customToken(t, object{"aud": audience, "uid": id, "claims": object{"shop": "riga"}})})
	c.checkBody("new", a.body, `{"kind":"identitytoolkit#VerifyCustomTokenResponse","isNewUser":true,"idToken":"*","refreshToken":"*","expiresIn":"3600"}`)
	claims := c.claims(a.text("idToken"))
	check.Equal(t, claims["sub"], any(id), "claim sub")
	c.checkBody("claims", claims, `{"shop":"riga","auth_time":"*","user_id":"*","firebase":{"identities":{},"sign_in_provider":"custom"},
		"iat":"*","exp":"*","aud":"demo-carillon","iss":"https://securetoken.google.com/demo-carillon","sub":"*"}`)
	a = c.app("signInWithCustomToken", object{"token": `{"uid":"` + id + `"}`})
	c.checkBody("again, as JSON", a.body, `{"kind":"identitytoolkit#VerifyCustomTokenResponse","isNewUser":false,"idToken":"*","refreshToken":"*","expiresIn":"3600"}`)
	c.checkBody("account", c.app("lookup", object{"idToken": a.text("idToken")}).body["users"],
		`[{"localId":"*","customAuth":true,"lastLoginAt":"*","createdAt":"*","lastRefreshAt":"*"}]`)

	off := c.signUp("off-custom")
	c.ok(c.send("POST", accountsPath+":update", asOwner, object{"localId": off.text("localId"), "disableUser": true}))
	const path, invalid = accountsPath + ":signInWithCustomToken", "INVALID_CUSTOM_TOKEN : "
	const other = " Note: Firebase ID Tokens / third-party tokens cannot be used with signInWithCustomToken.))"
	checkRefused(t, c, map[string]refusal{
		"none":             {path, asApp, object{}, "MISSING_CUSTOM_TOKEN"},
		"no token":         {path, asApp, object{"token": "nonsense"}, invalid + "Invalid assertion format"},
		"half JSON":        {path, asApp, object{"token": "{x"}, invalid + "((Auth Emulator only accepts strict JSON or JWTs as fake custom tokens.))"},
		"an ID token":      {path, asApp, object{"token": a.text("idToken")}, invalid + "((Invalid aud (audience): demo-carillon" + other},
		"no audience":      {path, asApp, object{"token": customToken(t, object{"uid": "x"})}, invalid + "((Invalid aud (audience): undefined" + other},
		"no user id":       {path, asApp, object{"token": "{}"}, "MISSING_IDENTIFIER"},
		"a reserved claim": {path, asApp, object{"token": `{"uid":"x","claims":{"iss":1}}`}, "FORBIDDEN_CLAIM : iss"},
		"a list of claims": {path, asApp, object{"token": `{"uid":"x","claims":[]}`}, "INVALID_CLAIMS"},
		"disabled":         {path, asApp, object{"token": `{"uid":"` + off.text("localId") + `"}`}, "USER_DISABLED"},
	})
}

// TestContractLookup checks what an app sees of its account.
func TestContractLookup(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	up := c.app("signUp", object{"email": c.email("ada"), "password": "secret-1", "displayName": "Ada"})
	c.checkBody("with a password", c.app("lookup", object{"idToken": up.text("idToken")}).body, `{"kind":"identitytoolkit#GetAccountInfoResponse","users":[{
		"localId":"*","lastLoginAt":"*","displayName":"Ada","emailVerified":false,"email":"ada-UNIQUE@example.com","salt":"*","passwordHash":"*",
		"passwordUpdatedAt":"*","validSince":"*","createdAt":"*","lastRefreshAt":"*","providerUserInfo":[{"providerId":"password",
		"email":"ada-UNIQUE@example.com","federatedId":"ada-UNIQUE@example.com","rawId":"ada-UNIQUE@example.com","displayName":"Ada"}]}]}`)
	anonymous := c.app("signUp", object{})
	c.checkBody("anonymous", c.app("lookup", object{"idToken": anonymous.text("idToken")}).body,
		`{"kind":"identitytoolkit#GetAccountInfoResponse","users":[{"localId":"*","lastLoginAt":"*","createdAt":"*","lastRefreshAt":"*"}]}`)

	const path = accountsPath + ":lookup"
	c.ok(c.send("POST", accountsPath+":update", asOwner, object{"localId": up.text("localId"), "disableUser": true}))
	c.app("delete", object{"idToken": anonymous.text("idToken")})
	checkRefused(t, c, map[string]refusal{
		"no ID token":    {path, asApp, object{}, "MISSING_ID_TOKEN"},
		"bad ID token":   {path, asApp, object{"idToken": "nonsense"}, "INVALID_ID_TOKEN"},
		"by its user id": {path, asApp, object{"localId": []string{up.text("localId")}}, "MISSING_ID_TOKEN"},
		"disabled":       {path, asApp, object{"idToken": up.text("idToken")}, "USER_DISABLED"},
		"deleted":        {path, asApp, object{"idToken": anonymous.text("idToken")}, "USER_NOT_FOUND"},
	})
}

// TestContractUpdate checks what an app may change in its account.
func TestContractUpdate(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	token := c.signUp("ada").text("idToken")
	named := c.app("update", object{"idToken": token, "displayName": "Ada L", "photoUrl": "http://p/a.png"})
	const providers = `"providerUserInfo":[{"providerId":"password","email":"ada-UNIQUE@example.com","federatedId":"ada-UNIQUE@example.com",
		"rawId":"ada-UNIQUE@example.com","displayName":"Ada L","photoUrl":"http://p/a.png"}]`
	const same = `"kind":"identitytoolkit#SetAccountInfoResponse","localId":"*","emailVerified":false,"displayName":"Ada L","photoUrl":"http://p/a.png","passwordHash":"*"`
	c.checkBody("name", named.body, `{`+same+`,`+providers+`,"email":"ada-UNIQUE@example.com"}`)
	password := c.app("update", object{"idToken": token, "password": "secret-2", "returnSecureToken": true})
	c.checkBody("password", password.body, `{`+same+`,`+providers+`,"email":"ada-UNIQUE@example.com","idToken":"*","refreshToken":"*","expiresIn":"3600"}`)
	check.Equal(t, c.claims(password.text("idToken"))["picture"], any("http://p/a.png"), "claim picture")
	c.app("signInWithPassword", object{"email": c.email("ada"), "password": "secret-2"})

	email := c.app("update", object{"idToken": password.text("idToken"), "email": "Eva-" + c.unique + "@example.com"})
	c.checkBody("address", email.body, strings.ReplaceAll(`{`+same+`,`+providers+`,"email":"ada-UNIQUE@example.com","newEmail":"ada-UNIQUE@example.com",
		"idToken":"*","refreshToken":"*","expiresIn":"3600"}`, "ada-", "eva-"))
	user := c.app("lookup", object{"idToken": email.text("idToken")}).body["users"].([]any)[0].(map[string]any)
	check.Equal(t, user["initialEmail"], any(c.email("ada")), "first address")
	c.signUp("ada") // the address is free again

	removed := c.app("update", object{"idToken": email.text("idToken"), "deleteProvider": []string{"password"}, "deleteAttribute": []string{"DISPLAY_NAME", "PHOTO_URL"}})
	c.checkBody("without a password", removed.body, `{"kind":"identitytoolkit#SetAccountInfoResponse","localId":"*","providerUserInfo":[]}`)
}

// TestContractUpdateIsRefused checks what an app may not change.
func TestContractUpdateIsRefused(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	token := c.signUp("ada").text("idToken")
	c.signUp("taken")
	const path = accountsPath + ":update"
	checkRefused(t, c, map[string]refusal{
		"no ID token":    {path, asApp, object{}, "INVALID_REQ_TYPE : Unsupported request parameters."},
		"bad ID token":   {path, asApp, object{"idToken": "x"}, "INVALID_ID_TOKEN"},
		"custom claims":  {path, asApp, object{"idToken": token, "customAttributes": "{}"}, "INSUFFICIENT_PERMISSION"},
		"disabling":      {path, asApp, object{"idToken": token, "disableUser": true}, "OPERATION_NOT_ALLOWED"},
		"a bad code":     {path, asApp, object{"oobCode": "x"}, "INVALID_OOB_CODE"},
		"address taken":  {path, asApp, object{"idToken": token, "email": c.email("taken")}, "EMAIL_EXISTS"},
		"bad address":    {path, asApp, object{"idToken": token, "email": "a"}, "INVALID_EMAIL"},
		"short password": {path, asApp, object{"idToken": token, "password": "12345"}, "WEAK_PASSWORD : Password should be at least 6 characters"},
	})
}

// TestContractANewPasswordEndsSessions checks that ID tokens of before the change are
// invalid. The times of tokens are whole seconds.
func TestContractANewPasswordEndsSessions(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	up := c.signUp("ada")
	changed := answer{}
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		changed = c.app("update", object{"idToken": up.text("idToken"), "password": "secret-2"})
		if c.claims(changed.text("idToken"))["iat"] != c.claims(up.text("idToken"))["iat"] {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("the ID tokens of five seconds have one time")
		}
	}
	checkRefused(t, c, map[string]refusal{
		"the old one": {accountsPath + ":lookup", asApp, object{"idToken": up.text("idToken")}, "TOKEN_EXPIRED"},
	})
	c.app("lookup", object{"idToken": changed.text("idToken")})
}

// TestContractDelete checks that an app deletes its own account.
func TestContractDelete(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	up := c.signUp("ada")
	c.checkBody("answer", c.app("delete", object{"idToken": up.text("idToken")}).body, `{"kind":"identitytoolkit#DeleteAccountResponse"}`)
	const path = accountsPath + ":delete"
	checkRefused(t, c, map[string]refusal{
		"again":          {path, asApp, object{"idToken": up.text("idToken")}, "USER_NOT_FOUND"},
		"no ID token":    {path, asApp, object{}, "MISSING_ID_TOKEN"},
		"by its user id": {path, asApp, object{"localId": up.text("localId")}, "MISSING_ID_TOKEN"},
		"new tokens":     {tokenPath, asApp, form("grant_type=refresh_token&refresh_token=" + up.text("refreshToken")), "INVALID_REFRESH_TOKEN"},
	})
	c.signUp("ada") // the address is free again
}

// TestContractRefresh checks that a refresh token gives new tokens, for the same sign-in.
func TestContractRefresh(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	id := "custom-" + c.unique
	in := c.app("signInWithCustomToken", object{"token": `{"uid":"` + id + `","claims":{"shop":"riga"}}`})
	refreshToken := in.text("refreshToken")
	for name, body := range map[string]any{
		"form":       form("grant_type=refresh_token&refresh_token=" + refreshToken),
		"snake_case": object{"grant_type": "refresh_token", "refresh_token": refreshToken},
		"camelCase":  object{"grantType": "refresh_token", "refreshToken": refreshToken},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			a := c.ok(c.send("POST", tokenPath, asApp, body))
			c.checkBody("answer", a.body, `{"id_token":"*","access_token":"*","refresh_token":"*","expires_in":"3600","token_type":"Bearer","user_id":"*","project_id":"12345"}`)
			check.Equal(t, a.text("user_id"), id, "user id")
			claims := c.claims(a.text("id_token"))
			check.Equal(t, claims["shop"], any("riga"), "claim of the custom token")
			check.Equal(t, claims["firebase"].(map[string]any)["sign_in_provider"], any("custom"), "way to sign in")
		})
	}

	off := c.signUp("off")
	c.ok(c.send("POST", accountsPath+":update", asOwner, object{"localId": off.text("localId"), "disableUser": true}))
	checkRefused(t, c, map[string]refusal{
		"no grant":    {tokenPath, asApp, object{"refreshToken": refreshToken}, "MISSING_GRANT_TYPE"},
		"other grant": {tokenPath, asApp, form("grant_type=password&refresh_token=" + refreshToken), "INVALID_GRANT_TYPE"},
		"no token":    {tokenPath, asApp, form("grant_type=refresh_token"), "MISSING_REFRESH_TOKEN"},
		"bad token":   {tokenPath, asApp, form("grant_type=refresh_token&refresh_token=nonsense"), "INVALID_REFRESH_TOKEN"},
		"disabled":    {tokenPath, asApp, form("grant_type=refresh_token&refresh_token=" + off.text("refreshToken")), "USER_DISABLED"},
	})
}

// TestContractTenants checks that a tenant has accounts of its own.
func TestContractTenants(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	tenant := "tenant-" + c.unique
	up := c.app("signUp", object{"tenantId": tenant, "email": c.email("ada"), "password": "secret-1"})
	c.checkBody("claim firebase", c.claims(up.text("idToken"))["firebase"], `{"identities":{"email":["ada-UNIQUE@example.com"]},"sign_in_provider":"password","tenant":"tenant-UNIQUE"}`)
	user := c.app("lookup", object{"idToken": up.text("idToken")}).body["users"].([]any)[0].(map[string]any)
	check.Equal(t, user["tenantId"], any(tenant), "tenant of the account")
	again := c.ok(c.send("POST", tokenPath, asApp, form("grant_type=refresh_token&refresh_token="+up.text("refreshToken"))))
	check.Equal(t, c.claims(again.text("id_token"))["firebase"].(map[string]any)["tenant"], any(tenant), "tenant after a refresh")

	body := object{"localId": []string{up.text("localId")}}
	const projects = "/identitytoolkit.googleapis.com/v1/projects/" + appProject
	inTenant := c.ok(c.send("POST", projects+"/tenants/"+tenant+"/accounts:lookup", asOwner, body))
	check.Equal(t, len(inTenant.body["users"].([]any)), 1, "accounts in the tenant")
	c.checkBody("in the project", c.ok(c.send("POST", projects+"/accounts:lookup", asOwner, body)).body, `{"kind":"identitytoolkit#GetAccountInfoResponse"}`)
	checkRefused(t, c, map[string]refusal{
		"another tenant":         {accountsPath + ":lookup", asApp, object{"idToken": up.text("idToken"), "tenantId": "other"}, "TENANT_ID_MISMATCH"},
		"signing in without one": {accountsPath + ":signInWithPassword", asApp, object{"email": c.email("ada"), "password": "secret-1"}, "EMAIL_NOT_FOUND"},
	})
}
