package fcm

import (
	"bytes"
	"encoding/json"
)

// payloadSize counts the payload of a message without the customer's id: names and
// values, in bytes of UTF-8, of data and notification and of the fields of the
// platform that has most. Data of a platform replaces the common data. FCM documents
// "keys and values" and a limit of 4,096 bytes, but not which nested ones. So
// everything below these fields is counted at all depths, and for apns the payload as
// the JSON that is delivered: the result is never less than what FCM counts. Other
// fields (fcm_options, headers, priorities) do not reach the device and do not count.
func payloadSize(fields []jsonMember, o Extra) int {
	added := len("mailing_id") + len(o.MailingID) + len("customer_id")
	if o.Link != "" {
		added += len("link") + len(o.Link)
	}

	var data, notification, most int
	for _, f := range fields {
		switch f.key {
		case "data":
			data = textLength(f.raw)
		case "notification":
			notification = textLength(f.raw)
		}
	}

	most = data
	for _, f := range fields {
		switch f.key {
		case "android", "android_v2", "androidV2", "webpush":
			most = max(most, platformSize(f.raw, data))
		case "apns":
			most = max(most, data+apnsSize(f.raw))
		}
	}

	return most + notification + added
}

// platformSize counts what a device of android, android_v2 or webpush gets beside the
// common notification.
func platformSize(raw json.RawMessage, data int) int {
	fields, err := readMembers(raw)
	if err != nil {
		return data + textLength(raw)
	}

	own := 0
	for _, f := range fields {
		switch {
		case replacesCommonData(f):
			data = textLength(f.raw)
		case f.key == "notification" || f.key == "data":
			own += textLength(f.raw)
		}
	}

	return data + own
}

func apnsSize(raw json.RawMessage) int {
	fields, err := readMembers(raw)
	if err != nil {
		return textLength(raw)
	}

	for _, f := range fields {
		if f.key == "payload" {
			var b bytes.Buffer
			if json.Compact(&b, f.raw) == nil {
				return max(b.Len(), textLength(f.raw))
			}
		}
	}

	return 0
}

// textLength adds up the lengths of all names and values in a JSON value.
func textLength(raw json.RawMessage) (n int) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	for {
		t, err := d.Token()
		if err != nil {
			return n
		}
		switch t := t.(type) {
		case string:
			n += len(t)
		case json.Number:
			n += len(t)
		case bool, nil:
			n += len("false")
		}
	}
}
