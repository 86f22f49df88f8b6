package customers

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"carillon.example/shared/push"
)

// as is the header of a request of that caller.
func as(name string) []string {
	claims := base64.RawURLEncoding.EncodeToString([]byte(`{"email":"` + name + `@shop.example","email_verified":true}`))
	return []string{"Authorization", "Bearer e30." + claims + ".SIGNATURE_REMOVED_BY_GOOGLE"}
}

// audited are the lines of the audit log, each from its caller on and without the
// request's id.
func audited(log string) (out []string) {
	for line := range strings.Lines(log) {
		if _, rest, ok := strings.Cut(line, "msg=audit "); ok {
			rest, _, _ = strings.Cut(rest, " requestId=")
			out = append(out, rest)
		}
	}
	return out
}

// TestTheAuditLogSaysWhoChangedWhat: settings, opt-outs, imports and erasures, each
// with its caller, what was before and what is after; and nothing where nothing
// changed. No line has a customer's id, an attribute or a segment.
func TestTheAuditLogSaysWhoChangedWhat(t *testing.T) {
	t.Parallel()
	w := newHarness(t)
	key := push.CustomerKey("anna")
	w.want(http.StatusOK, "PUT", "/v1/settings", `{"devices":"latest","window":{"from":"10:00","to":"21:00","days":["mon"],"timeZone":"Europe/Riga"}}`, as("olga")...)
	w.want(http.StatusOK, "PATCH", anna, `{"optedOut":true,"attributes":{"diagnosis":"secret"},"segments":["vip"]}`, as("crm")...)
	w.want(http.StatusOK, "PATCH", anna, `{"optedOut":true}`, as("crm")...)
	w.want(http.StatusOK, "PATCH", anna, `{"attributes":{"diagnosis":"other"}}`, as("crm")...)
	w.want(http.StatusOK, "PATCH", anna, `{"optedOut":false,"categories":{"promo":false}}`, as("app")...)
	w.want(http.StatusOK, "POST", "/v1/imports", "{\"id\":\"anna\",\"optedOut\":true}\n{\"id\":\"bob\"}\n{}\n", append(as("etl"), "Content-Type", ndjson)...)
	w.want(http.StatusNoContent, "DELETE", anna, "", as("dpo")...)
	want := []string{
		`caller=olga@shop.example operation=change-settings before="{Revision:0 Devices:all Muted:send WrongSender:flag Window:}" after="{Revision:1 Devices:latest Muted:send WrongSender:flag Window:10:00-21:00 mon Europe/Riga}"`,
		`caller=crm@shop.example operation=change-customer customer=` + key + ` before="&{OptedOut:false Categories:map[]}" after="&{OptedOut:true Categories:map[]}"`,
		`caller=app@shop.example operation=change-customer customer=` + key + ` before="&{OptedOut:true Categories:map[]}" after="&{OptedOut:false Categories:map[promo:false]}"`,
		`caller=etl@shop.example operation=import-customers after="{Imported:2 Failed:1 Decided:1}"`,
		`caller=dpo@shop.example operation=erase-customer customer=` + key,
	}
	got := audited(w.log.String())
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if strings.TrimSpace(got[i]) != want[i] {
			t.Errorf("line %d is\n%s\nwant\n%s", i, got[i], want[i])
		}
	}
	ids := regexp.MustCompile(`(requestId|customer)=\S+`) // random texts and hashes may have any three letters
	logged := ids.ReplaceAllString(w.log.String(), "")
	for _, secret := range []string{"anna", "diagnosis", "secret", "vip"} {
		if strings.Contains(logged, secret) {
			t.Errorf("%q stands in the log:\n%s", secret, w.log)
		}
	}
}
