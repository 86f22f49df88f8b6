package push

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Recipient is what is kept of a target once its batch is settled. It is enough to find
// what was sent to a customer, but has neither the customer's id nor the token.
type Recipient struct {
	TokenID  string
	Kind     Kind
	Platform Platform
	App      string
	Result   Result
	Opened   time.Time // when its phone reported that the message was opened; zero: never
}

// A KeyedRecipient is a recipient with a part of its customer's key, to find the recipients
// of a given customer.
type KeyedRecipient struct {
	Recipient
	keyPrefix string // the first bytes of the customer's key; "": the customer was erased
}

// BelongsTo reports whether the recipient was a token of the customer with that key.
func (r *KeyedRecipient) BelongsTo(key string) bool {
	return r.keyPrefix != "" && r.keyPrefix == string(keyBytes(key)[:keyPrefix])
}

const (
	// recipientsV1 begins an encoded list of recipients.
	recipientsV1 = 1
	// keyPrefix is how many bytes of a customer's key a recipient has. Two of a
	// thousand customers share them once in about 40 trillion batches.
	keyPrefix = 8
	// hashBytes is how many bytes a key or a token id stands for.
	hashBytes = 20
	// recipientBytes is the size of an encoded recipient: the key's prefix, the token
	// id, a byte for kind and platform, and two for the app.
	recipientBytes = keyPrefix + hashBytes + 1 + 2
)

var errRecipients = errors.New("the list of recipients is damaged")

// keyBytes decodes a key or a token id to its bytes. For any other text it returns zeros.
func keyBytes(text string) []byte {
	b, err := keyEncoding.DecodeString(strings.ToUpper(text))
	if err != nil || len(b) != hashBytes {
		return make([]byte, hashBytes)
	}
	return b
}

// EncodeRecipients writes the recipients of a batch in the order of its targets, 31
// bytes each: a version byte, the list of apps, and the recipients. A target without
// a customer, as an erasure leaves it, is written as zeros.
func EncodeRecipients(targets []Target) []byte {
	var apps []string
	for _, t := range targets {
		if !slices.Contains(apps, t.App) {
			apps = append(apps, t.App)
		}
	}

	b := binary.AppendUvarint([]byte{recipientsV1}, uint64(len(apps)))
	for _, app := range apps {
		b = append(binary.AppendUvarint(b, uint64(len(app))), app...)
	}

	for _, t := range targets {
		if t.Customer == "" {
			b = append(b, make([]byte, recipientBytes)...)
			continue
		}
		key, token := hashSum(customerDomain+t.Customer), hashSum(tokenDomain+t.Token)
		b = append(b, key[:keyPrefix]...)
		b = append(b, token[:]...)
		b = append(b, codeOf(kindCodes, t.Kind)|codeOf(platformCodes, t.Platform)<<4)
		b = binary.BigEndian.AppendUint16(b, uint16(slices.Index(apps, t.App)))
	}

	return b
}

// FindRecipients reads the recipients of the customer with a key from what
// EncodeRecipients wrote. results are those of the batch, in the same order.
func FindRecipients(b []byte, results []Result, key string) ([]Recipient, error) {
	prefix := string(keyBytes(key)[:keyPrefix])
	list, err := decodeRecipients(b, results, func(r []byte) bool { return string(r[:keyPrefix]) == prefix })
	var out []Recipient
	for _, r := range list {
		out = append(out, r.Recipient)
	}
	return out, err
}

// DecodeRecipients reads all recipients from what EncodeRecipients wrote, in the order
// of the targets. One that was erased has no token id.
func DecodeRecipients(b []byte, results []Result) ([]KeyedRecipient, error) {
	return decodeRecipients(b, results, func([]byte) bool { return true })
}

// decodeRecipients reads the recipients that want picks by their bytes.
func decodeRecipients(b []byte, results []Result, want func(r []byte) bool) ([]KeyedRecipient, error) {
	apps, b, err := decodeApps(b)
	if err != nil {
		return nil, err
	}
	if len(b) != len(results)*recipientBytes {
		return nil, fmt.Errorf("%w: %d results and %d bytes of recipients", errRecipients, len(results), len(b))
	}

	var out []KeyedRecipient
	erased := string(make([]byte, recipientBytes))
	for i, result := range results {
		r := b[i*recipientBytes : (i+1)*recipientBytes]
		if !want(r) {
			continue
		}
		if string(r) == erased {
			out = append(out, KeyedRecipient{Recipient: Recipient{Result: result}})
			continue
		}

		head, app := r[keyPrefix+hashBytes], int(binary.BigEndian.Uint16(r[recipientBytes-2:]))
		kind, platform := int(head&7), int(head>>4)
		if app >= len(apps) || kind >= len(kindCodes) || platform >= len(platformCodes) {
			return nil, fmt.Errorf("%w: recipient %d", errRecipients, i)
		}

		out = append(out, KeyedRecipient{keyPrefix: string(r[:keyPrefix]), Recipient: Recipient{
			TokenID: strings.ToLower(keyEncoding.EncodeToString(r[keyPrefix : keyPrefix+hashBytes])),
			Kind:    kindCodes[kind], Platform: platformCodes[platform], App: apps[app], Result: result,
		}})
	}

	return out, nil
}

// EraseRecipients writes zeros, in place, over the recipients of the customer with a
// key in what EncodeRecipients wrote, and reports whether there were any.
func EraseRecipients(b []byte, key string) (found bool, err error) {
	_, rest, err := decodeApps(b)
	if err != nil {
		return false, err
	}
	if len(rest)%recipientBytes != 0 {
		return false, fmt.Errorf("%w: %d bytes of recipients", errRecipients, len(rest))
	}

	prefix := string(keyBytes(key)[:keyPrefix])
	for r := range slices.Chunk(rest, recipientBytes) {
		if string(r[:keyPrefix]) == prefix {
			clear(r)
			found = true
		}
	}

	return found, nil
}

// decodeApps reads the version and the list of apps, and returns the rest.
func decodeApps(b []byte) (apps []string, rest []byte, err error) {
	if len(b) == 0 || b[0] != recipientsV1 {
		return nil, nil, fmt.Errorf("%w: unknown version", errRecipients)
	}

	count, b, err := cutUvarint(b[1:])
	if err != nil {
		return nil, nil, err
	}

	for range count {
		var size uint64
		if size, b, err = cutUvarint(b); err != nil {
			return nil, nil, err
		}
		if size > uint64(len(b)) {
			return nil, nil, fmt.Errorf("%w: an app of %d bytes", errRecipients, size)
		}
		apps, b = append(apps, string(b[:size])), b[size:]
	}

	return apps, b, nil
}

// cutUvarint reads a number from the beginning of b, and returns the rest of b.
func cutUvarint(b []byte) (n uint64, rest []byte, err error) {
	n, k := binary.Uvarint(b)
	if k <= 0 {
		return 0, nil, fmt.Errorf("%w: it ends too early", errRecipients)
	}
	return n, b[k:], nil
}
