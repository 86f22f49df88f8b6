// Package push defines the nouns of Carillon: mailings, customers, push tokens,
// batches and results, with the rules that need no server. All other packages use it.
// It imports only the standard library.
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

// A Kind says how a token is addressed in a request to FCM.
type Kind string

// Firebase Installation IDs are replacing registration tokens. Both work at the same
// time.
const (
	KindToken Kind = "token"
	KindFID   Kind = "fid"
)

// A Platform is the operating system of a device.
type Platform string

// The platforms that FCM reaches.
const (
	Android Platform = "android"
	IOS     Platform = "ios"
	Web     Platform = "web"
)

// DeviceSelection says which of a customer's valid tokens a mailing goes to.
type DeviceSelection string

// AllDevices is the default; LatestDevice is only the token that was added last.
const (
	AllDevices   DeviceSelection = "all"
	LatestDevice DeviceSelection = "latest"
)

// Keys and token ids are hashes of KeySize characters, the KeyDigits in the order of their
// values (base32hex).
const (
	KeyDigits = "0123456789abcdefghijklmnopqrstuv"
	KeySize   = 32
)

// KeyPrefixes is the number of prefixes of two digits that keys have. Keys are hashes, so each
// prefix has about as many customers.
const KeyPrefixes = len(KeyDigits) * len(KeyDigits)

// KeyPrefix returns the prefix with a number, from 0 to KeyPrefixes-1, in the order of the keys.
func KeyPrefix(n int) string {
	return string([]byte{KeyDigits[n/len(KeyDigits)], KeyDigits[n%len(KeyDigits)]})
}

// LastKeyWith returns the greatest key with a prefix.
func LastKeyWith(prefix string) string {
	return prefix + strings.Repeat(KeyDigits[len(KeyDigits)-1:], KeySize-len(prefix))
}

// keyEncoding encodes hashes as KeySize characters of lower-case base32hex. Their order is that
// of the hashes, so that a shard of an audience is a range of keys.
var keyEncoding = base32.HexEncoding.WithPadding(base32.NoPadding)

// hashText returns the first hashBytes bytes of the SHA-256 of a text, as base32hex.
func hashText(s string) string {
	sum := hashSum(s)
	return strings.ToLower(keyEncoding.EncodeToString(sum[:]))
}

// hashSum returns the bytes that hash writes as text.
func hashSum(s string) [hashBytes]byte {
	sum := sha256.Sum256([]byte(s))
	return [hashBytes]byte(sum[:hashBytes])
}

// Prefixes of what is hashed: a customer and a token of the same text have different
// hashes.
const (
	customerDomain = "customer\x00"
	tokenDomain    = "token\x00"
)

// CustomerKey returns the name of a customer's document: a hash of the id, so that
// every id gives a valid name, and writes are spread evenly over the keys.
func CustomerKey(id string) string { return hashText(customerDomain + id) }

// MailingID returns the id of the mailing of an Idempotency-Key. A key belongs to its
// caller: the same text from another caller gives another id. For an unknown caller
// the key alone counts, as before callers were known, so that a second try after an
// update finds the first.
func MailingID(caller Caller, key string) string {
	if caller == "" {
		return "m" + TokenID("idempotency\x00"+key)
	}
	return "m" + TokenID("idempotency\x00"+string(caller)+"\x00"+key)
}

// TokenID returns the id of a push token: a hash, which does not reveal the token.
func TokenID(token string) string { return hashText(tokenDomain + token) }

// A TokenFlag says why, when and by which mailing a token was flagged.
type TokenFlag struct {
	Code    string    `json:"code"`              // FCM's errorCode, as UNREGISTERED, INVALID_ARGUMENT or SENDER_ID_MISMATCH, or EXPIRED by age
	Status  string    `json:"status,omitempty"`  // FCM's status, as it came
	At      time.Time `json:"at"`                // when the answer was read
	Mailing string    `json:"mailing,omitempty"` // the mailing that found it
}

// A Token is a push token that a device of a customer registered.
type Token struct {
	ID            string
	Value         string // the token itself; it must not be logged whole
	Kind          Kind
	Platform      Platform
	App           string
	Device        string        // a stable id that the app keeps across reinstalls; "": none
	Notifications Notifications // whether the phone shows them
	AddedAt       time.Time     // registered here, or registered again after having been invalid
	SeenAt        time.Time     // last registration
	ReportedAt    time.Time     // when its phone last reported a message as received or opened, to a day; zero: never
	Imported      bool          // an import brought it, and no app has shown it since
	Expires       string        // the day on which it becomes invalid unless it is seen again, as in 2026-11-24; "": never
	Invalid       *TokenFlag    // nil while the token is valid
}

// YoungToken is how long after its registration a token is young. If the release of
// an app, or its SDK, creates tokens that FCM does not know, these are young ones.
const YoungToken = 7 * 24 * time.Hour

// IsYoung reports whether an app registered the token lately. A token of an import says
// nothing about an app.
func (t Token) IsYoung(now time.Time) bool { return !t.Imported && now.Sub(t.AddedAt) < YoungToken }

// LastActive returns when the phone was last active: when its app registered the token, or
// the phone reported something that shows activity.
func (t Token) LastActive() time.Time {
	if t.ReportedAt.After(t.SeenAt) {
		return t.ReportedAt
	}
	return t.SeenAt
}

// Valid reports whether the token has no flag.
func (t Token) Valid() bool { return t.Invalid == nil }
