package auth_test

import (
	"net/http"
	"strings"
	"testing"

	"carillon.example/emulators/testcloud/check"
)

// codes returns the codes of a kind that were made for an address.
func (c *contract) codes(kind, email string) (out []object) {
	c.Helper()
	list := c.ok(c.send("GET", "/emulator/v1/projects/"+appProject+"/oobCodes", asNobody, nil))
	for _, entry := range list.body["oobCodes"].([]any) {
		if made := entry.(object); made["requestType"] == kind && made["email"] == email {
			out = append(out, made)
		}
	}
	return out
}

// oneCode returns the only code of a kind that was made for an address.
func (c *contract) oneCode(kind, email string) string {
	c.Helper()
	all := c.codes(kind, email)
	check.MustEqual(c, len(all), 1, "codes %s for %s", kind, email)
	text, _ := all[0]["oobCode"].(string)
	check.Equal(c, len(text), 54, "length of the code")
	link, _ := all[0]["oobLink"].(string)
	check.Contains(c, link, c.url+"/emulator/action?", "link of the code")
	check.Contains(c, link, "oobCode="+text, "link of the code")
	return text
}

// TestContractPasswordReset checks the way to a new password with a code.
func TestContractPasswordReset(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	c.signUp("ada")
	sent := c.app("sendOobCode", object{"requestType": "PASSWORD_RESET", "email": strings.ToUpper(c.email("ada"))})
	c.checkBody("sending", sent.body, `{"kind":"identitytoolkit#GetOobConfirmationCodeResponse","email":"ada-UNIQUE@example.com"}`)
	code := c.oneCode("PASSWORD_RESET", c.email("ada"))
	const answer = `{"kind":"identitytoolkit#ResetPasswordResponse","requestType":"PASSWORD_RESET","email":"ada-UNIQUE@example.com"}`
	c.checkBody("what the code is for", c.app("resetPassword", object{"oobCode": code}).body, answer)
	checkRefused(t, c, map[string]refusal{
		"short password": {accountsPath + ":resetPassword", asApp, object{"oobCode": code, "newPassword": "x"}, "WEAK_PASSWORD : Password should be at least 6 characters"},
	})
	c.checkBody("reset", c.app("resetPassword", object{"oobCode": code, "newPassword": "secret-9"}).body, answer)
	in := c.app("signInWithPassword", object{"email": c.email("ada"), "password": "secret-9"})
	check.Equal(t, c.claims(in.text("idToken"))["email_verified"], any(true), "claim email_verified")
	checkRefused(t, c, map[string]refusal{
		"used code": {accountsPath + ":resetPassword", asApp, object{"oobCode": code, "newPassword": "secret-9"}, "INVALID_OOB_CODE"},
		"bad code":  {accountsPath + ":resetPassword", asApp, object{"oobCode": "x"}, "INVALID_OOB_CODE"},
		"no code":   {accountsPath + ":resetPassword", asApp, object{}, "MISSING_OOB_CODE"},
	})
}

// TestContractVerifyEmail checks that a code verifies the address of an account.
func TestContractVerifyEmail(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	up := c.signUp("ada")
	sent := c.app("sendOobCode", object{"requestType": "VERIFY_EMAIL", "idToken": up.text("idToken")})
	c.checkBody("sending", sent.body, `{"kind":"identitytoolkit#GetOobConfirmationCodeResponse","email":"ada-UNIQUE@example.com"}`)
	code := c.oneCode("VERIFY_EMAIL", c.email("ada"))
	checkRefused(t, c, map[string]refusal{
		"for a password": {accountsPath + ":resetPassword", asApp, object{"oobCode": code, "newPassword": "secret-9"}, "INVALID_OOB_CODE"},
	})
	c.checkBody("verifying", c.app("update", object{"oobCode": code}).body, `{"kind":"identitytoolkit#SetAccountInfoResponse","localId":"*","emailVerified":true,
		"email":"ada-UNIQUE@example.com","passwordHash":"*","providerUserInfo":[{"providerId":"password","email":"ada-UNIQUE@example.com",
		"federatedId":"ada-UNIQUE@example.com","rawId":"ada-UNIQUE@example.com"}]}`)
	checkRefused(t, c, map[string]refusal{"used code": {accountsPath + ":update", asApp, object{"oobCode": code}, "INVALID_OOB_CODE"}})
}

// TestContractChangeAndRecoverEmail checks that a code changes the address, and that its
// owner can take back a change that was made without one.
func TestContractChangeAndRecoverEmail(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	up := c.signUp("ada")
	c.app("sendOobCode", object{"requestType": "VERIFY_AND_CHANGE_EMAIL", "idToken": up.text("idToken"), "newEmail": c.email("Eva")})
	changed := c.app("update", object{"oobCode": c.oneCode("VERIFY_AND_CHANGE_EMAIL", c.email("ada"))})
	check.Equal(t, changed.text("newEmail"), c.email("eva"), "new address")
	check.Equal(t, len(c.codes("RECOVER_EMAIL", c.email("ada"))), 0, "codes to recover after a change with a code")

	in := c.app("signInWithPassword", object{"email": c.email("eva"), "password": "secret-1"})
	c.app("update", object{"idToken": in.text("idToken"), "email": c.email("mia")})
	recovered := c.app("update", object{"oobCode": c.oneCode("RECOVER_EMAIL", c.email("eva"))})
	check.Equal(t, recovered.text("email"), c.email("eva"), "recovered address")
	check.Equal(t, recovered.body["emailVerified"], any(true), "that it is verified")
	c.app("signInWithPassword", object{"email": c.email("eva"), "password": "secret-1"})
}

// TestContractCodesForServers checks that a server gets the code in the answer.
func TestContractCodesForServers(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	c.owner("accounts", object{"localId": "u1", "email": "u1@example.com", "password": "secret-1"})
	for kind, more := range map[string]object{"PASSWORD_RESET": {}, "VERIFY_EMAIL": {}, "VERIFY_AND_CHANGE_EMAIL": {"newEmail": "u2@example.com"}} {
		t.Run(kind, func(t *testing.T) {
			c := c.in(t)
			body := object{"requestType": kind, "email": "u1@example.com", "returnOobLink": true, "continueUrl": "http://localhost/a"}
			for name, value := range more {
				body[name] = value
			}
			a := c.owner("accounts:sendOobCode", body)
			check.Contains(t, a.text("oobLink"), "continueUrl=http%3A%2F%2Flocalhost%2Fa", "link")
			check.Contains(t, a.text("oobLink"), "oobCode="+a.text("oobCode"), "link")
			check.Equal(t, len(a.text("oobCode")), 54, "length of the code")
		})
	}
	path := c.admin("accounts:sendOobCode")
	checkRefused(t, c, map[string]refusal{
		"unknown address": {path, asOwner, object{"requestType": "VERIFY_EMAIL", "email": "none@example.com", "returnOobLink": true}, "USER_NOT_FOUND"},
		"no address":      {path, asOwner, object{"requestType": "VERIFY_EMAIL", "returnOobLink": true}, "MISSING_EMAIL"},
	})
}

// TestContractCodesAreRefused checks the errors of accounts:sendOobCode.
func TestContractCodesAreRefused(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	token := c.signUp("ada").text("idToken")
	anonymous := c.app("signUp", object{}).text("idToken")
	const path = accountsPath + ":sendOobCode"
	const badPage = "INVALID_CONTINUE_URI : ((expected an absolute URI with valid scheme and host))"
	checkRefused(t, c, map[string]refusal{
		"no kind":             {path, asApp, object{}, "MISSING_REQ_TYPE"},
		"unspecified":         {path, asApp, object{"requestType": "OOB_REQ_TYPE_UNSPECIFIED"}, "MISSING_REQ_TYPE"},
		"a link for an app":   {path, asApp, object{"requestType": "PASSWORD_RESET", "email": c.email("ada"), "returnOobLink": true}, "INSUFFICIENT_PERMISSION"},
		"bad page":            {path, asApp, object{"requestType": "PASSWORD_RESET", "email": c.email("ada"), "continueUrl": "x"}, badPage},
		"no address":          {path, asApp, object{"requestType": "PASSWORD_RESET"}, "MISSING_EMAIL"},
		"unknown address":     {path, asApp, object{"requestType": "PASSWORD_RESET", "email": c.email("nobody")}, "EMAIL_NOT_FOUND"},
		"verify nobody":       {path, asApp, object{"requestType": "VERIFY_EMAIL"}, "INVALID_ID_TOKEN"},
		"verify no address":   {path, asApp, object{"requestType": "VERIFY_EMAIL", "idToken": anonymous}, "MISSING_EMAIL"},
		"change to none":      {path, asApp, object{"requestType": "VERIFY_AND_CHANGE_EMAIL", "idToken": token}, "MISSING_NEW_EMAIL"},
		"change of nobody":    {path, asApp, object{"requestType": "VERIFY_AND_CHANGE_EMAIL", "newEmail": c.email("x")}, "MISSING_ID_TOKEN"},
		"change to one taken": {path, asApp, object{"requestType": "VERIFY_AND_CHANGE_EMAIL", "idToken": token, "newEmail": c.email("ada")}, "EMAIL_EXISTS"},
	})
	a := c.send("POST", path, asApp, object{"requestType": "OTHER"})
	const message = "Invalid JSON payload received. /requestType must be equal to one of the allowed values"
	check.Equal(t, a.body["error"].(object)["message"], any(message), "message for an unknown kind")
}

// TestContractPrivacyOfAddresses checks that a project can hide which addresses have an
// account. It changes a project of its own.
func TestContractPrivacyOfAddresses(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	c.ok(c.send("PATCH", c.emulator("config"), asNobody, object{"emailPrivacyConfig": object{"enableImprovedEmailPrivacy": true}}))
	a := c.owner("accounts:sendOobCode", object{"requestType": "PASSWORD_RESET", "email": "none@example.com"})
	c.checkBody("reset for nobody", a.body, `{"kind":"identitytoolkit#GetOobConfirmationCodeResponse","email":"none@example.com"}`)
	for name, operation := range map[string]string{"wrong password": "ada", "no account": "nobody"} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			c.send("POST", c.admin("accounts"), asOwner, object{"email": c.email("ada"), "password": "secret-1"})
			a := c.send("POST", accountsPath+":signInWithPassword", asOwner, object{"targetProjectId": c.project, "email": c.email(operation), "password": "secret-2"})
			check.Equal(t, a, badRequest("INVALID_LOGIN_CREDENTIALS"), "answer")
		})
	}
}

// TestContractLinks checks that the link of a code does what the code is for, and leads on
// to the page of the app. The texts for people differ.
func TestContractLinks(t *testing.T) {
	t.Parallel()
	c := newContract(t)
	open := func(link string) (code int, to string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Transport{}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode, res.Header.Get("Location")
	}
	up := c.signUp("ada")
	c.app("sendOobCode", object{"requestType": "VERIFY_EMAIL", "idToken": up.text("idToken"), "continueUrl": "http://localhost:1/c"})
	link, _ := c.codes("VERIFY_EMAIL", c.email("ada"))[0]["oobLink"].(string)
	code, to := open(link)
	check.Equal(t, code, 303, "status of the link that verifies")
	check.Equal(t, to, "http://localhost:1/c", "page to which it leads")
	code, _ = open(link)
	check.Equal(t, code, 400, "status of a link that was used")

	c.app("sendOobCode", object{"requestType": "PASSWORD_RESET", "email": c.email("ada")})
	link, _ = c.codes("PASSWORD_RESET", c.email("ada"))[0]["oobLink"].(string)
	code, _ = open(link)
	check.Equal(t, code, 400, "status of the link without a password")
	code, _ = open(link + "&newPassword=x")
	check.Equal(t, code, 400, "status of the link with a short password")
	code, _ = open(link + "&newPassword=secret-9")
	check.Equal(t, code, 200, "status of the link with a password")
	c.app("signInWithPassword", object{"email": c.email("ada"), "password": "secret-9"})
	code, _ = open(c.url + "/emulator/action?mode=verifyEmail&apiKey=any&oobCode=x")
	check.Equal(t, code, 400, "status of a link with an unknown code")
}
