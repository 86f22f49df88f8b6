package fcm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"carillon.example/shared/push"
)

// An AnswerClass says what happened to an item or to a proof. deliver makes the result of
// the target from it.
type AnswerClass int

// The classes. Only Invalid says that a token is invalid. Doubtful says so if the payload is
// proven. An answer of another class must not flag a token.
const (
	// Accepted: FCM accepted the message. It does not say whether it was delivered.
	Accepted AnswerClass = iota + 1
	// Invalid: UNREGISTERED, or INVALID_ARGUMENT with a field violation that names
	// the token.
	Invalid
	// Doubtful: INVALID_ARGUMENT that names no field. It is about the token only if
	// the payload is proven.
	Doubtful
	// Refused: FCM does not accept this message for this target.
	Refused
	// Mismatch: the token belongs to another sender.
	Mismatch
	// ThirdParty: the credentials of Apple or of a web push service are wrong.
	// Android is not affected.
	ThirdParty
	// Misconfigured: our own credentials were refused (401, 403), also after they
	// were refreshed once, or the answer does not come from FCM.
	Misconfigured
	// Waiting: FCM has not accepted the message, because of a quota, of an outage, or because
	// its time ended. It may be tried again from NotBefore on.
	Waiting
)

var classNames = [...]string{Accepted: "accepted", Invalid: "invalid", Doubtful: "doubtful", Refused: "refused",
	Mismatch: "mismatch", ThirdParty: "third party", Misconfigured: "misconfigured", Waiting: "waiting"}

func (o AnswerClass) String() string {
	if o < Accepted || o > Waiting {
		return fmt.Sprintf("AnswerClass(%d)", int(o))
	}
	return classNames[o]
}

// An Answer says what happened to an item.
type Answer struct {
	Class  AnswerClass
	Code   string // errorCode of FCM's answer, else its status if that is one of our codes
	Status string // status of FCM's answer, as it came
	Text   string // the text of FCM, or ours if FCM sent none
	HTTP   int    // status code of the last answer, 0 if there was none

	NotBefore time.Time // with Waiting: the earliest time for another try
	// MaybeSent, with Waiting: a request was written and FCM did not answer, so that the
	// device may get the message twice.
	MaybeSent bool
	Attempts  int    // how many attempts began
	Limited   int    // how many of them FCM answered with 429
	Name      string // with Accepted: projects/P/messages/ID; empty if the answer broke off

	// Provisional, with Refused from ProvePayload: FCM refused the size of a message that is
	// within the limit of tokens; the limit of topics may be lower.
	Provisional bool
}

// fcmFault is the content of an error answer. The order of its parts does not matter.
type fcmFault struct {
	http     int
	json     bool // the body is a JSON object
	status   string
	message  string
	codes    []string // errorCode of each FcmError
	fields   []string // of each field violation
	reasons  []string // of each ErrorInfo
	failures string   // words of each QuotaFailure
}

// Types of google.rpc.Status details, without "type.googleapis.com/".
const (
	typeFcmError     = "google.firebase.fcm.v1.FcmError"
	typeBadRequest   = "google.rpc.BadRequest"
	typeQuotaFailure = "google.rpc.QuotaFailure"
	typeErrorInfo    = "google.rpc.ErrorInfo"
)

// A detail is one entry of details. Its fields are decoded one by one, so that a field of a
// wrong type does not hide the others.
type detail map[string]json.RawMessage

// jsonText returns a JSON text, "" for any other value.
func jsonText(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Limits in bytes of FCM's texts and of its status; the longest known ones are
// shorter. A batch stores a status for each of its invalid tokens.
const (
	maxText   = 500
	maxStatus = 40
)

// parseFault reads the body of an error answer with that HTTP status. Parts that are missing
// or have another type are left empty; nothing is an error.
func parseFault(code int, body []byte) *fcmFault {
	f := &fcmFault{http: code}
	var top map[string]json.RawMessage
	if json.Unmarshal(body, &top) != nil || top == nil {
		return f
	}

	f.json = true
	var e map[string]json.RawMessage
	if json.Unmarshal(top["error"], &e) != nil {
		return f
	}

	f.status, f.message = push.Truncate(jsonText(e["status"]), maxStatus), push.Truncate(jsonText(e["message"]), maxText)
	var details []json.RawMessage
	if json.Unmarshal(e["details"], &details) != nil {
		return f
	}

	for _, raw := range details {
		var d detail
		if json.Unmarshal(raw, &d) == nil {
			f.addDetail(d)
		}
	}

	return f
}

// addDetail adds what a detail says. Types that are not known are skipped.
func (f *fcmFault) addDetail(d detail) {
	kind := jsonText(d["@type"])
	switch kind[strings.LastIndexByte(kind, '/')+1:] {
	case typeFcmError:
		if c := jsonText(d["errorCode"]); c != "" {
			f.codes = append(f.codes, c)
		}
	case typeBadRequest:
		for _, v := range jsonObjects(d["fieldViolations"]) {
			if at := jsonText(v["field"]); at != "" {
				f.fields = append(f.fields, at)
			}
		}
	case typeErrorInfo:
		if r := jsonText(d["reason"]); r != "" {
			f.reasons = append(f.reasons, r)
		}
	case typeQuotaFailure:
		for _, v := range jsonObjects(d["violations"]) {
			f.failures += jsonText(v["subject"]) + " " + jsonText(v["description"]) + "\n"
		}
	}
}

// jsonObjects reads the objects of a list and skips everything else.
func jsonObjects(raw json.RawMessage) (all []detail) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	for _, one := range list {
		var d detail
		if json.Unmarshal(one, &d) == nil && d != nil {
			all = append(all, d)
		}
	}
	return all
}

// describeFault returns FCM's text, or our own if FCM sent none.
func (f *fcmFault) describeFault(body []byte) string {
	switch {
	case f.message != "":
		return f.message
	case f.status != "":
		return f.status
	case len(bytes.TrimSpace(body)) == 0:
		return fmt.Sprintf("HTTP %d without a body", f.http)
	}
	return fmt.Sprintf("HTTP %d: %s", f.http, excerptOf(body))
}

// maxExcerpt is how many bytes are kept of a body that is not an error of FCM.
const maxExcerpt = 200

// excerptOf returns the beginning of a body as one line of valid UTF-8.
func excerptOf(body []byte) string {
	return push.Truncate(strings.ToValidUTF8(strings.Join(strings.Fields(string(body)), " "), ""), maxExcerpt)
}
