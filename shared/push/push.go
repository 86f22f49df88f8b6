// Package push is Carillon's vocabulary: mailings, customers, push tokens,
// batches and what became of them, with the rules that need no server to be
// decided. Every other package speaks in these nouns; this one knows only the
// standard library.
package push

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
)

// MaxCustomerID is the longest customer id in bytes. FCM gives a message 4,096
// bytes for all its keys and values, and every message carries the customer's
// id in data.customer_id.
const MaxCustomerID = 256

// MaxToken is the longest push token in bytes. FCM documents no limit; tokens
// seen are 140 to 200 bytes long.
const MaxToken = 1024

// A Kind tells how FCM is to address a token.
type Kind string

// Registration tokens are being replaced by Firebase Installation IDs; both
// work side by side.
const (
	KindToken Kind = "token"
	KindFID   Kind = "fid"
)

// A Platform is what a device runs.
type Platform string

// The platforms FCM reaches.
const (
	Android Platform = "android"
	IOS     Platform = "ios"
	Web     Platform = "web"
)

// DeviceSelection says which of a customer's valid tokens a mailing goes to.
type DeviceSelection string

// All is the default; Latest is only the token most recently added.
const (
	AllDevices   DeviceSelection = "all"
	LatestDevice DeviceSelection = "latest"
)

// keys are lower-case base32hex: 32 characters whose order is the order of the
// hash, so that a shard of the audience is a range of keys.
var keys = base32.HexEncoding.WithPadding(base32.NoPadding)

func hash(s string) string {
	sum := hashSum(s)
	return strings.ToLower(keys.EncodeToString(sum[:]))
}

// hashSum is what hash writes as text.
func hashSum(s string) [hashBytes]byte {
	sum := sha256.Sum256([]byte(s))
	return [hashBytes]byte(sum[:hashBytes])
}

// What is hashed begins with these, so that a customer and a token of the same text differ.
const (
	customerDomain = "customer\x00"
	tokenDomain    = "token\x00"
)

// CustomerKey is the name of a customer's document: a hash of the id, so that
// any id is a safe name and writes spread evenly over the key range.
func CustomerKey(id string) string { return hash(customerDomain + id) }

// MailingID names the mailing of a caller's Idempotency-Key, so that one key of one
// caller is one document. Another caller's key of the same text is another one.
// That of a caller who is not known keeps its bytes: a second try after a new
// version was deployed has to meet the first.
func MailingID(caller Caller, key string) string {
	if caller == "" {
		return "m" + TokenID("idempotency\x00"+key)
	}
	return "m" + TokenID("idempotency\x00"+string(caller)+"\x00"+key)
}

// TokenID names a push token without giving it away: a hash of the token.
func TokenID(token string) string { return hash(tokenDomain + token) }

// TokenFlag says why, when and by which mailing a token was marked invalid.
type TokenFlag struct {
	Code    string    `json:"code"`              // FCM's errorCode, as UNREGISTERED, INVALID_ARGUMENT or SENDER_ID_MISMATCH, or EXPIRED by age
	Status  string    `json:"status,omitempty"`  // FCM's status, as it came
	At      time.Time `json:"at"`                // when the answer was read
	Mailing string    `json:"mailing,omitempty"` // the mailing that found out
}

// A Token is a push token a customer's device registered.
type Token struct {
	ID            string
	Value         string // the token itself: never logged whole
	Kind          Kind
	Platform      Platform
	App           string
	Device        string        // a stable id that the app keeps across reinstalls; "": none
	Notifications Notifications // whether the phone shows them
	AddedAt       time.Time     // registered here, or registered again after having been invalid
	SeenAt        time.Time     // last registration
	Imported      bool          // an import brought it, and no app has shown it since
	Expires       string        // the day on which it stops being valid unless it is seen again, as in 2026-11-24; "": never
	Invalid       *TokenFlag    // nil while the token is valid
}

// YoungToken is how long after its registration a token is young. When an app's
// release, or its SDK, hands out tokens that FCM does not know, it is the young
// ones that FCM refuses.
const YoungToken = 7 * 24 * time.Hour

// Young reports whether an app registered the token lately. What an import
// brings says nothing of an app.
func (t Token) Young(now time.Time) bool { return !t.Imported && now.Sub(t.AddedAt) < YoungToken }

// Valid reports whether nothing says that the token is dead.
func (t Token) Valid() bool { return t.Invalid == nil }
