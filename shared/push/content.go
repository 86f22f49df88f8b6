package push

import (
	"encoding/json"
	"slices"
	"strings"
)

// quiet are the fields of a notification that by themselves show nothing and make no
// sound, as the JSON of protobuf spells them.
var quiet = []string{
	"color", "icon", "tag", "channel_id", "channelId", "click_action", "clickAction", "sticky", "event_time", "eventTime",
	"local_only", "localOnly", "notification_priority", "notificationPriority", "visibility",
}

// fields are the fields of a message without its target.
var fields = []string{"notification", "data", "android", "apns", "webpush", "fcm_options", "fcmOptions"}

// HasContent reports whether a message shows or carries something. A message without
// content shows an empty notification, or wakes a phone for nothing. Parts of a wrong
// type and unknown fields count as content, because FCM names their faults.
func HasContent(message json.RawMessage) bool {
	var m, android, apns, webpush map[string]json.RawMessage
	if !object(message, &m) || !object(m["android"], &android) || !object(m["apns"], &apns) || !object(m["webpush"], &webpush) {
		return true
	}
	for field := range m {
		if !slices.Contains(fields, field) {
			return true
		}
	}

	return shows(m["notification"]) || shows(android["notification"]) ||
		carries(m["data"]) || carries(android["data"]) || carries(webpush["data"]) ||
		filled(apns["payload"]) || filled(webpush["notification"])
}

// object decodes a JSON object. An absent value and null are an empty one.
func object(raw json.RawMessage, into *map[string]json.RawMessage) bool {
	return len(raw) == 0 || json.Unmarshal(raw, into) == nil
}

// shows reports whether a notification has other than quiet fields.
func shows(raw json.RawMessage) bool {
	var n map[string]json.RawMessage
	if !object(raw, &n) {
		return true
	}
	for field, value := range n {
		if !slices.Contains(quiet, field) && filled(value) {
			return true
		}
	}
	return false
}

// carries reports whether data has a key.
func carries(raw json.RawMessage) bool {
	var data map[string]json.RawMessage
	return !object(raw, &data) || len(data) > 0
}

// filled reports whether a JSON value has a number, true, or a text that is not
// blank, at any depth.
func filled(raw json.RawMessage) bool {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return false
	}
	return filledValue(v)
}

func filledValue(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v) != ""
	case map[string]any:
		for _, x := range v {
			if filledValue(x) {
				return true
			}
		}
		return false
	case []any:
		return slices.ContainsFunc(v, filledValue)
	case bool:
		return v
	}

	return v != nil
}

// maxTitle is how much of a title lists show, in bytes.
const maxTitle = 300

// TitleOf returns the title of a message for lists, without rendering templates: that
// of the notification, else of the first platform that has one; "" if there is none.
func TitleOf(message json.RawMessage) string {
	var m struct {
		Notification struct{ Title any }
		Android      struct{ Notification struct{ Title any } }
		APNS         struct {
			Payload struct{ APS struct{ Alert any } }
		}
		Webpush struct{ Notification struct{ Title any } }
	}
	// A part that cannot be decoded has no title.
	_ = json.Unmarshal(message, &m)

	alert := m.APNS.Payload.APS.Alert
	if parts, ok := alert.(map[string]any); ok {
		alert = parts["title"]
	}
	for _, title := range []any{m.Notification.Title, m.Android.Notification.Title, alert, m.Webpush.Notification.Title} {
		if text, ok := title.(string); ok && strings.TrimSpace(text) != "" {
			return Truncate(text, maxTitle)
		}
	}
	return ""
}
