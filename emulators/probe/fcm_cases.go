package probe

import (
	"encoding/json"
	"maps"
	"strings"
)

// object is a JSON object.
type object = map[string]any

// An fcmCase is one request to FCM.
type fcmCase struct {
	name      string
	note      string // why a difference would be no surprise
	message   any    // nil: the request has no message
	top       object // further fields of the request
	project   string // "": that of the run
	anonymous bool   // without credentials
	entry     bool   // FCM accepts it if it lets us in
}

// body returns the request. It has validate_only, whatever else it has.
func (c fcmCase) body() []byte {
	request := object{}
	maps.Copy(request, c.top)
	if c.message != nil {
		request["message"] = c.message
	}
	request["validate_only"] = true

	body, err := json.Marshal(request)
	if err != nil {
		panic("probe: " + err.Error()) // cannot happen: the cases are texts, numbers and objects
	}
	return body
}

// with returns a message with one field more.
func (n names) with(target, field string, value any) object {
	return object{target: n.target(target), field: value}
}

// target returns the invented value of a kind of target.
func (n names) target(kind string) string {
	switch kind {
	case "token":
		return n.token
	case "fid":
		return n.fid
	}
	return n.topic
}

// data returns a message to the topic with one entry of data.
func (n names) data(key string, value any) object {
	return n.with("topic", "data", object{key: value})
}

// android returns a message to the topic with one field for Android.
func (n names) android(field string, value any) object {
	return n.with("topic", "android", object{field: value})
}

// fcmCases returns all requests. The first one shows whether FCM lets us in.
func fcmCases(n names) []fcmCase {
	cases := []fcmCase{{name: "notification to a topic", entry: true, message: n.with("topic", "notification", object{"title": "Probe", "body": "Not delivered"})}}
	for _, more := range [][]fcmCase{n.goodCases(), n.targetCases(), n.sizeCases(), n.dataCases(), n.fieldCases(), n.callerCases()} {
		cases = append(cases, more...)
	}
	return cases
}

// goodCases are requests that FCM should accept.
func (n names) goodCases() []fcmCase {
	return []fcmCase{
		{name: "fields in snake_case", message: object{"topic": n.topic, "fcm_options": object{"analytics_label": "probe"},
			"android": object{"collapse_key": "probe", "direct_boot_ok": true, "notification": object{"click_action": "OPEN"}}}},
		{name: "fields in camelCase", message: object{"topic": n.topic, "fcmOptions": object{"analyticsLabel": "probe"},
			"android": object{"collapseKey": "probe", "directBootOk": true, "notification": object{"clickAction": "OPEN"}}}},
		{name: "every platform", message: object{"topic": n.topic, "data": object{"key": "value"},
			"android": object{"priority": "HIGH", "ttl": "3600s"},
			"apns":    object{"headers": object{"apns-priority": "5"}, "payload": object{"aps": object{"badge": 1}}},
			"webpush": object{"headers": object{"TTL": "60"}, "notification": object{"title": "Probe"}}}},
		{name: "condition of two topics", message: object{"condition": "'" + n.topic + "' in topics && '" + n.topic + "-b' in topics"}},
		{name: "null for a map", message: n.with("topic", "data", nil)},
		{name: "colour that is none", message: n.android("notification", object{"color": "red"})},
		{name: "link that is no link", message: n.with("topic", "webpush", object{"fcm_options": object{"link": "nowhere"}})},
	}
}

// targetCases are requests whose target is wrong or unknown.
func (n names) targetCases() []fcmCase {
	const unknown = "the emulator accepts every token of a possible form, because only FCM knows the real ones"
	const unregistered = "the emulator accepts every installation id of a possible form, unless fidsMustRegister is set"
	return []fcmCase{
		{name: "token of eleven letters", message: object{"token": "not a token"}},
		{name: "token whose end is missing", note: unknown, message: object{"token": n.token[:len(n.token)-20]}},
		{name: "unknown token", note: unknown, message: object{"token": n.token}},
		{name: "unknown installation id", note: unregistered, message: object{"fid": n.fid}},
		{name: "malformed installation id", message: object{"fid": "not an id"}},
		{name: "installation id as token", note: unregistered, message: object{"token": n.fid}},
		{name: "token as installation id", note: unknown, message: object{"fid": n.token}},
		{name: "empty token", message: object{"token": ""}},
		{name: "no target", message: object{"data": object{"key": "value"}}},
		{name: "two targets", message: object{"token": n.token, "topic": n.topic}},
		{name: "token and installation id", message: object{"token": n.token, "fid": n.fid}},
		{name: "topic with a blank", message: object{"topic": "not a topic"}},
		{name: "condition with a fault", message: object{"condition": "'" + n.topic + "' in"}},
		{name: "condition of six topics", message: object{"condition": strings.Repeat("'"+n.topic+"' in topics || ", 5) + "'" + n.topic + "' in topics"}},
	}
}

// sizeCases are requests at and beyond the limits of the payload. Those to a token show
// whether the payload or the token is refused first.
func (n names) sizeCases() []fcmCase {
	large := strings.Repeat("x", 5000)
	const topics = "documents say 2,048 bytes for topics, captured answers 4,096; the emulator has topicLimit"
	return []fcmCase{
		{name: "data of 2,049 bytes to a topic", note: topics, message: n.data("key", strings.Repeat("x", 2046))},
		{name: "data of 4,097 bytes to a topic", note: topics, message: n.data("key", strings.Repeat("x", 4094))},
		{name: "data of 4,096 bytes to a token", message: n.with("token", "data", object{"key": strings.Repeat("x", 4093)}),
			note: "the token is unknown: FCM may refuse it, and the emulator accepts it"},
		{name: "data of 4,097 bytes to a token", message: n.with("token", "data", object{"key": strings.Repeat("x", 4094)})},
		{name: "large notification", message: n.with("token", "notification", object{"title": "Probe", "body": large})},
		{name: "large apns payload", message: n.with("token", "apns", object{"payload": object{"aps": object{"alert": large}}})},
		{name: "large webpush data", message: n.with("token", "webpush", object{"data": object{"key": large}})},
		{name: "large android data", message: n.with("token", "android", object{"data": object{"key": large}})},
	}
}

// dataCases are requests with keys and values of data that FCM reserves or refuses.
func (n names) dataCases() []fcmCase {
	const pages = "two pages of the documentation disagree about keys that begin with gcm"
	return []fcmCase{
		{name: "data key from", message: n.data("from", "x")},
		{name: "data key message_type", message: n.data("message_type", "x")},
		{name: "data key google.x", message: n.data("google.x", "x")},
		{name: "data key google_x", message: n.data("google_x", "x"), note: pages},
		{name: "data key gcm.x", message: n.data("gcm.x", "x"), note: pages},
		{name: "data key gcm.notification.x", message: n.data("gcm.notification.x", "x")},
		{name: "data key gcm_x", message: n.data("gcm_x", "x"), note: pages},
		{name: "reserved data key and a bad token", message: object{"token": "not a token", "data": object{"from": "x"}}},
		{name: "number in data", message: n.data("key", 12)},
		{name: "flag in data", message: n.data("key", true)},
		{name: "object in data", message: n.data("key", object{"inner": "x"})},
		{name: "null in data", message: n.data("key", nil)},
	}
}

// fieldCases are requests with a field that is unknown or has a wrong value.
func (n names) fieldCases() []fcmCase {
	return []fcmCase{
		{name: "unknown field of the request", message: object{"topic": n.topic}, top: object{"probe": 1}},
		{name: "unknown field of the message", message: n.with("topic", "probe", 1)},
		{name: "unknown field of android", message: n.android("probe", 1)},
		{name: "list for the notification", message: n.with("topic", "notification", []any{})},
		{name: "android and android_v2", message: object{"topic": n.topic, "android": object{"ttl": "3s"}, "android_v2": object{"ttl": "3s"}}},
		{name: "ttl without s", message: n.android("ttl", "3600")},
		{name: "ttl below 0", message: n.android("ttl", "-1s")},
		{name: "ttl over 28 days", message: n.android("ttl", "2419201s")},
		{name: "web push ttl below 0", message: n.with("topic", "webpush", object{"headers": object{"TTL": "-1"}})},
		{name: "unknown priority", message: n.android("priority", "urgent")},
		{name: "priority in small letters", message: n.android("priority", "high")},
		{name: "analytics label with a blank", message: n.with("topic", "fcm_options", object{"analytics_label": "not a label"})},
		{name: "empty message", message: object{}},
		{name: "no message"},
	}
}

// callerCases are requests of a caller who may not send.
func (n names) callerCases() []fcmCase {
	message := object{"topic": n.topic}
	return []fcmCase{
		{name: "project that does not exist", project: n.otherProject, message: message, note: "the emulator has every project"},
		{name: "no credentials", anonymous: true, message: message},
	}
}
