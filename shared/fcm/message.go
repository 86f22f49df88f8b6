package fcm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"carillon.example/shared/push"
)

// MaxSize is how many bytes of payload FCM accepts in a message to a token.
const MaxSize = 4096

// A Message is the message of a mailing without the customer's id and the target. It
// does not change, and many goroutines may use it at once.
type Message struct {
	// parts are the bytes of the message object between the places of the customer's
	// id. The last part ends before the closing brace of the object.
	parts   [][]byte
	size    int    // as Size, without the customer's id, in bytes
	mailing string // messages of one mailing take turns with those of others
}

// Extra is what Carillon adds to the data of every message beside the customer's id.
type Extra struct {
	MailingID string // data.mailing_id
	Link      string // data.link, left out when empty
	// Label is fcm_options.analytics_label, by which Firebase's reports count the
	// message. It is left out when empty, and where the message has one of its own.
	Label string
}

// Compile compiles an FCM v1 message object without a target. It keeps all fields unchanged,
// also those that it does not know, because FCM checks them. It adds mailing_id, customer_id
// and link to data, and to the data of android, android_v2 and webpush if they have one,
// because FCM uses that instead of the common data. Its errors are push.Faults.
func Compile(object json.RawMessage, o Extra) (*Message, error) {
	if !utf8.Valid(object) {
		return nil, singleFault("body.message", "is not UTF-8")
	}

	fields, err := readMembers(object)
	if err != nil {
		return nil, singleFault("body.message", "must be a JSON object: "+err.Error())
	}
	if faults := checkFields(fields, o); len(faults) > 0 {
		return nil, faults
	}

	b := builder{extra: o}
	b.writeObject(fields)
	return &Message{parts: append(b.parts, b.buf), size: payloadSize(fields, o), mailing: o.MailingID}, nil
}

// Size returns how many bytes of the message to that customer count against MaxSize.
// It is never less than what FCM counts; see payloadSize.
func (m *Message) Size(customer string) int { return m.size + len(customer) }

func singleFault(location, message string) push.Faults {
	return push.Faults{{Location: location, Message: message}}
}

func checkFields(fields []jsonMember, o Extra) (faults push.Faults) {
	seen := map[string]bool{}
	for _, f := range fields {
		at := "body.message." + f.key
		if slices.Contains(push.TargetFields, f.key) {
			faults = append(faults, push.Fault{Location: at, Message: "is set by Carillon: a mailing's message has no target"})
		}
		if f.key == "data" {
			faults = append(faults, checkData(at, f.raw, o)...)
		}
		if seen[f.key] {
			faults = append(faults, push.Fault{Location: at, Message: "is given twice"})
		}
		seen[f.key] = true
	}

	return faults
}

func checkData(at string, raw json.RawMessage, o Extra) (faults push.Faults) {
	if isNull(raw) {
		return nil
	}

	data, err := readMembers(raw)
	if err != nil {
		return singleFault(at, "must be a JSON object")
	}

	for _, d := range data {
		if o.setsKey(d.key) {
			faults = append(faults, push.Fault{Location: at + "." + d.key, Message: "is set by Carillon"})
		}
	}

	return faults
}

// setsKey reports whether Carillon sets that key of data.
func (o Extra) setsKey(key string) bool {
	return slices.Contains(push.ReservedData, key) && (key != "link" || o.Link != "")
}

// A jsonMember is one member of a JSON object, with its value unchanged.
type jsonMember struct {
	key string
	raw json.RawMessage
}

var errNoObject = errors.New("it does not begin with a brace")

// readMembers reads the members of a JSON object in order.
func readMembers(object json.RawMessage) ([]jsonMember, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('{') {
		return nil, errNoObject
	}

	var all []jsonMember
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		m := jsonMember{key: t.(string)}
		if err := d.Decode(&m.raw); err != nil {
			return nil, fmt.Errorf("%q: %w", m.key, err)
		}
		all = append(all, m)
	}

	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows it")
	}

	return all, nil
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// A builder writes a message object in parts.
type builder struct {
	extra Extra
	parts [][]byte
	buf   []byte
}

// writeObject writes everything but the closing brace.
func (b *builder) writeObject(fields []jsonMember) {
	b.buf = append(b.buf, '{')
	hasData, hasOptions := false, false
	for i, f := range fields {
		if i > 0 {
			b.buf = append(b.buf, ',')
		}
		b.writeKey(f.key)
		switch f.key {
		case "data":
			hasData = true
			b.writeData(f.raw)
		case "android", "android_v2", "androidV2", "webpush":
			b.writePlatform(f.raw)
		case "fcm_options", "fcmOptions":
			hasOptions = true
			b.writeOptions(f.raw)
		default:
			b.buf = append(b.buf, f.raw...)
		}
	}

	if b.extra.Label != "" && !hasOptions {
		if len(fields) > 0 {
			b.buf = append(b.buf, ',')
		}
		b.writeKey("fcm_options")
		b.writeOptions(json.RawMessage("{}"))
		fields = append(fields, jsonMember{key: "fcm_options"})
	}
	if !hasData {
		if len(fields) > 0 {
			b.buf = append(b.buf, ',')
		}
		b.writeKey("data")
		b.writeData(json.RawMessage("{}"))
	}
}

// writeOptions writes fcm_options with the label. A value that is not an object stays
// unchanged, because FCM checks it.
func (b *builder) writeOptions(raw json.RawMessage) {
	if isNull(raw) && b.extra.Label != "" {
		raw = json.RawMessage("{}")
	}

	fields, err := readMembers(raw)
	has := slices.ContainsFunc(fields, func(f jsonMember) bool { return f.key == "analytics_label" || f.key == "analyticsLabel" })
	if err != nil || has || b.extra.Label == "" {
		b.buf = append(b.buf, raw...)
		return
	}

	b.buf = append(b.buf, '{')
	for _, f := range fields {
		b.writeKey(f.key)
		b.buf = append(append(b.buf, f.raw...), ',')
	}

	b.writeKey("analytics_label")
	b.buf = append(appendQuoted(b.buf, b.extra.Label), '}')
}

func (b *builder) writeKey(k string) { b.buf = append(appendQuoted(b.buf, k), ':') }

// writePlatform writes the fields of a platform. FCM delivers a data object of a platform
// instead of that of the message, so it gets the same additions.
func (b *builder) writePlatform(raw json.RawMessage) {
	fields, err := readMembers(raw)
	if err != nil || !slices.ContainsFunc(fields, replacesCommonData) {
		b.buf = append(b.buf, raw...)
		return
	}

	b.buf = append(b.buf, '{')
	for i, f := range fields {
		if i > 0 {
			b.buf = append(b.buf, ',')
		}
		b.writeKey(f.key)
		if replacesCommonData(f) {
			b.writeData(f.raw)
		} else {
			b.buf = append(b.buf, f.raw...)
		}
	}

	b.buf = append(b.buf, '}')
}

// replacesCommonData reports whether f is data of a platform that FCM delivers
// instead of the data of the message.
func replacesCommonData(f jsonMember) bool {
	if f.key != "data" {
		return false
	}
	_, err := readMembers(f.raw)
	return err == nil
}

// writeData writes a data object with what Carillon adds.
func (b *builder) writeData(raw json.RawMessage) {
	b.buf = append(b.buf, '{')
	data, _ := readMembers(raw) // nothing for null
	for _, d := range data {
		if b.extra.setsKey(d.key) {
			continue // in the data of a platform; that of the message was checked
		}
		b.writeKey(d.key)
		b.buf = append(append(b.buf, d.raw...), ',')
	}

	b.writeKey("mailing_id")
	b.buf = append(appendQuoted(b.buf, b.extra.MailingID), ',')
	if b.extra.Link != "" {
		b.writeKey("link")
		b.buf = append(appendQuoted(b.buf, b.extra.Link), ',')
	}

	b.writeKey("customer_id")
	b.parts = append(b.parts, append(b.buf, '"'))
	b.buf = []byte{'"', '}'}
}

// Object returns the message object for a customer as FCM gets it, without its target.
func (m *Message) Object(customer string) json.RawMessage {
	return append(m.appendObject(nil, customer), '}')
}

// appendObject appends the message object up to its closing brace.
func (m *Message) appendObject(dst []byte, customer string) []byte {
	for i, p := range m.parts {
		if i > 0 {
			dst = appendEscaped(dst, customer)
		}
		dst = append(dst, p...)
	}
	return dst
}

// appendBody appends the body of a request. field names the kind of target.
func (m *Message) appendBody(dst []byte, validateOnly bool, customer, field, target string) []byte {
	if validateOnly {
		dst = append(dst, `{"validate_only":true,"message":`...)
	} else {
		dst = append(dst, `{"message":`...)
	}
	dst = m.appendObject(dst, customer)
	dst = append(append(append(dst, `,"`...), field...), `":"`...)
	return append(appendEscaped(dst, target), `"}}`...)
}
