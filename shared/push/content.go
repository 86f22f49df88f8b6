package push

import (
	"encoding/json"
	"slices"
	"strings"
)

// quietFields are the fields of a notification that by themselves show nothing and make no
// sound, as the JSON of protobuf spells them.
var quietFields = []string{
	"color", "icon", "tag", "channel_id", "channelId", "click_action", "clickAction", "sticky", "event_time", "eventTime",
	"local_only", "localOnly", "notification_priority", "notificationPriority", "visibility",
}

// messageFields are the fields of a message without its target.
var messageFields = []string{"notification", "data", "android", "apns", "webpush", "fcm_options", "fcmOptions"}

// HasContent reports whether a message shows or carries something. A message without
// content shows an empty notification, or wakes a phone for nothing. Parts of a wrong
// type and unknown fields count as content, because FCM names their faults.
func HasContent(message json.RawMessage) bool {
	var m, android, apns, webpush map[string]json.RawMessage
	if !decodeObject(message, &m) || !decodeObject(m["android"], &android) || !decodeObject(m["apns"], &apns) || !decodeObject(m["webpush"], &webpush) {
		return true
	}

	for field := range m {
		if !slices.Contains(messageFields, field) {
			return true
		}
	}

	return showsNotification(m["notification"]) || showsNotification(android["notification"]) ||
		carriesData(m["data"]) || carriesData(android["data"]) || carriesData(webpush["data"]) ||
		hasVisibleJSON(apns["payload"]) || hasVisibleJSON(webpush["notification"])
}

// decodeObject decodes a JSON object. An absent value and null are an empty one.
func decodeObject(raw json.RawMessage, into *map[string]json.RawMessage) bool {
	return len(raw) == 0 || json.Unmarshal(raw, into) == nil
}

// showsNotification reports whether a notification has other than quiet fields.
func showsNotification(raw json.RawMessage) bool {
	var n map[string]json.RawMessage
	if !decodeObject(raw, &n) {
		return true
	}
	for field, value := range n {
		if !slices.Contains(quietFields, field) && hasVisibleJSON(value) {
			return true
		}
	}
	return false
}

// carriesData reports whether data has a key.
func carriesData(raw json.RawMessage) bool {
	var data map[string]json.RawMessage
	return !decodeObject(raw, &data) || len(data) > 0
}

// hasVisibleJSON reports whether a JSON value has a number, true, or a text that is not
// blank, at any depth.
func hasVisibleJSON(raw json.RawMessage) bool {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return false
	}
	return hasVisibleValue(v)
}

func hasVisibleValue(v any) bool {
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v) != ""
	case map[string]any:
		for _, x := range v {
			if hasVisibleValue(x) {
				return true
			}
		}
		return false
	case []any:
		return slices.ContainsFunc(v, hasVisibleValue)
	case bool:
		return v
	}

	return v != nil
}

// shownTitle is how much of a title lists show, in bytes.
const shownTitle = 300

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
			return Truncate(text, shownTitle)
		}
	}

	return ""
}
