package fcm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"carillon.example/shared/push"
)

// An Outcome is what became of an item, or of the attempt to prove a message.
type Outcome int

// The outcomes. Only Invalid says that a token is dead, and Doubtful may if the
// payload is known to be good; no other one may ever flag anybody.
const (
	// Accepted: FCM took it. Whether it is delivered FCM does not say.
	Accepted Outcome = iota + 1
	// Invalid: UNREGISTERED, or INVALID_ARGUMENT with a field violation that
	// names the token.
	Invalid
	// Doubtful: INVALID_ARGUMENT that names no field. It speaks of the token
	// only if the payload was proven.
	Doubtful
	// Refused: FCM takes no message like this for this target.
	Refused
	// Mismatch: the token belongs to another sender.
	Mismatch
	// ThirdParty: Apple's or a web push service's credentials are at fault;
	// Android is not concerned.
	ThirdParty
	// Misconfigured: our own credentials were refused (401, 403), after they
	// were refreshed once; or what answers is no FCM.
	Misconfigured
	// Waiting: not sent for good yet, for a quota, an outage, or because its
	// time ended first; to be tried again from NotBefore on.
	Waiting
)

var outcomes = [...]string{Accepted: "accepted", Invalid: "invalid", Doubtful: "doubtful", Refused: "refused",
	Mismatch: "mismatch", ThirdParty: "third party", Misconfigured: "misconfigured", Waiting: "waiting"}

func (o Outcome) String() string {
	if o < Accepted || o > Waiting {
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
	return outcomes[o]
}

// An Answer says what became of an item.
type Answer struct {
	Outcome Outcome
	Code    string // errorCode of FCM's answer, else its status if that is a code of ours
	Status  string // of FCM's answer, as it came
	Text    string // FCM's words, or ours when there are none of FCM's
	HTTP    int    // status code of the last answer, 0 if there was none

	NotBefore time.Time // with Waiting: no attempt before it makes sense
	// Sent, with Waiting: an attempt reached the wire and FCM did not say what
	// became of it, so that the device may get the message twice.
	Sent     bool
	Attempts int    // how many attempts began
	Name     string // with Accepted: projects/P/messages/ID; empty if the answer broke off

	// Provisional, with Refused from Prove: a refusal for size of a message that
	// we know to be within the limit of tokens; the limit of topics may be lower.
	Provisional bool
}

// fcmFault is what an error answer says, whatever order and form it says it in.
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

// detail has the fields of all types of details that are read. A field of a
// wrong type does not hide the others: each is read on its own.
type detail map[string]json.RawMessage

func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Of FCM's words and of its status so much is kept, in bytes; the longest known
// are shorter. A batch stores a status for each of its invalid tokens.
const (
	maxWords  = 500
	maxStatus = 40
)

// parse reads an error body. What is missing or of another type is left empty.
func parse(code int, body []byte) *fcmFault {
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

	f.status, f.message = push.Truncate(text(e["status"]), maxStatus), push.Truncate(text(e["message"]), maxWords)
	var details []json.RawMessage
	if json.Unmarshal(e["details"], &details) != nil {
		return f
	}

	for _, raw := range details {
		var d detail
		if json.Unmarshal(raw, &d) == nil {
			f.detail(d)
		}
	}

	return f
}

func (f *fcmFault) detail(d detail) {
	kind := text(d["@type"])
	switch kind[strings.LastIndexByte(kind, '/')+1:] {
	case typeFcmError:
		if c := text(d["errorCode"]); c != "" {
			f.codes = append(f.codes, c)
		}
	case typeBadRequest:
		for _, v := range objects(d["fieldViolations"]) {
			if at := text(v["field"]); at != "" {
				f.fields = append(f.fields, at)
			}
		}
	case typeErrorInfo:
		if r := text(d["reason"]); r != "" {
			f.reasons = append(f.reasons, r)
		}
	case typeQuotaFailure:
		for _, v := range objects(d["violations"]) {
			f.failures += text(v["subject"]) + " " + text(v["description"]) + "\n"
		}
	}
}

// objects reads the objects of a list and passes over what is none.
func objects(raw json.RawMessage) (all []detail) {
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

// words is what the answer says in FCM's words, or what can be said without.
func (f *fcmFault) words(body []byte) string {
	switch {
	case f.message != "":
		return f.message
	case f.status != "":
		return f.status
	case len(bytes.TrimSpace(body)) == 0:
		return fmt.Sprintf("HTTP %d without a body", f.http)
	}
	return fmt.Sprintf("HTTP %d: %s", f.http, excerpt(body))
}

// maxExcerpt is how much of a body that is no error of FCM is repeated, bytes.
const maxExcerpt = 200

func excerpt(body []byte) string {
	return push.Truncate(strings.ToValidUTF8(strings.Join(strings.Fields(string(body)), " "), ""), maxExcerpt)
}
