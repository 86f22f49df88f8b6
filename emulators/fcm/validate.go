package fcm

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Limits of payloads and tokens. All but maxRequest are those of FCM's documentation.
const (
	// PayloadLimit is the largest payload to a token or an installation id, in bytes of
	// keys and values.
	PayloadLimit = 4096
	// TopicPayloadLimit is the documented limit for topics, in bytes; see
	// Settings.TopicLimit.
	TopicPayloadLimit = 2048
	// maxRequest limits the whole request in bytes, with the fields that do not count as
	// payload, so that the memory for stored messages is limited. FCM has no such limit.
	maxRequest     = 64 << 10
	maxTTL         = 28 * 24 * time.Hour
	minTokenLength = 8
)

var (
	topicName      = regexp.MustCompile(`^[a-zA-Z0-9\-_.~%]{1,900}$`)
	analyticsLabel = regexp.MustCompile(`^[a-zA-Z0-9\-_.~%]{1,50}$`)
)

// validate returns the error with which FCM refuses the message whatever its token is;
// nil means that FCM accepts the message.
func (m *decoded) validate(topicLimit int) *answer {
	switch {
	case len(m.faults) > 0:
		return badFields(m.faults)
	case m.target == "" || m.values[m.targetSlot()] == "":
		return answers["NO_TARGET"]
	case m.target == "topic" && !validTopic(m.topic()):
		return answers["BAD_TOPIC"]
	case m.target == "condition" && !validCondition(m.values[slotCondition]):
		return answers["BAD_CONDITION"]
	case m.sizes[slotAndroidPart] > 0 && m.sizes[slotAndroidV2Part] > 0:
		return newInvalidArgument("BOTH_ANDROID", "message.android_v2", "Only one of android and android_v2 can be set.")
	case m.reserved != "":
		return newInvalidArgument("RESERVED_KEY", m.reservedAt, "Invalid data payload key: "+m.reserved)
	case m.headerTTL != "" && !wholeSeconds(m.headerTTL) || m.headerTTL == "" && m.values[slotWebpushHeaders] != "":
		return answers["WEBPUSH_TTL"]
	case m.values[slotTTL] != "" && !validTTL(m.values[slotTTL]):
		return newInvalidArgument("BAD_TTL", "message.android.ttl", "Invalid TTL. It must be between 0 and 2419200 seconds.")
	}

	for i := 0; i < len(m.labels); i += 2 {
		if !analyticsLabel.MatchString(m.labels[i+1]) {
			return newInvalidArgument("BAD_LABEL", m.labels[i], "Invalid analytics label. It must match ^[a-zA-Z0-9-_.~%]{1,50}$")
		}
	}
	return m.validateSize(topicLimit)
}

func (m *decoded) validateSize(topicLimit int) *answer {
	limit := PayloadLimit
	if m.target == "topic" || m.target == "condition" {
		limit = topicLimit
	}

	switch {
	case m.payloadSize() <= limit && m.length <= maxRequest:
		return nil
	case limit == PayloadLimit:
		return answers["PAYLOAD_TOO_LARGE"]
	}

	a := *answers["PAYLOAD_TOO_LARGE"]
	a.body = tooLarge(limit)
	return &a
}

// payloadSize returns the payload of the platform that gets most, in bytes: the common
// part and the part of the platform. The data of Android and of the web replace the
// common data.
func (m *decoded) payloadSize() int {
	n := m.sizes[slotNotification] + m.sizes[slotTitle] + m.sizes[slotBody]
	data := m.sizes[slotData]

	instead := func(own int) int {
		if own > 0 {
			return own
		}
		return data
	}

	return n + max(
		instead(m.sizes[slotAndroidData])+m.sizes[slotAndroid],
		instead(m.sizes[slotWebpushData])+m.sizes[slotWebpush],
		data+m.sizes[slotAPNS])
}

func (m *decoded) targetSlot() slot {
	switch m.target {
	case "token":
		return slotToken
	case "fid":
		return slotFID
	case "topic":
		return slotTopic
	}
	return slotCondition
}

// address returns what rules are matched with: a token or installation id unchanged, a
// topic as /topics/NAME, a condition as it was written.
func (m *decoded) address() string {
	if m.target == "topic" {
		return "/topics/" + m.topic()
	}
	if m.target == "" {
		return ""
	}
	return m.values[m.targetSlot()]
}

func (m *decoded) topic() string { return strings.TrimPrefix(m.values[slotTopic], "/topics/") }

// toDevice reports whether the message goes to one device, and not to a topic or a
// condition.
func (m *decoded) toDevice() bool { return m.target == "token" || m.target == "fid" }

// validateToken refuses a token whose form is impossible. FCM knows the real tokens. The
// emulator accepts every plausible token, and names the rule that another token breaks.
func (m *decoded) validateToken() *answer {
	if !m.toDevice() {
		return nil
	}
	why := tokenFault(m.values[m.targetSlot()])
	if why == "" {
		return nil
	}

	a := *answers["INVALID_TOKEN"]
	if m.target == "fid" {
		a = *answers["UNREGISTERED"]
	}
	a.hint = "this emulator does not accept the token: " + why + `; with the rule {"token": "*", "outcome": "OK"} it accepts every token`
	return &a
}

// validTopic reports whether a name without /topics/ is the name of a topic.
func validTopic(name string) bool { return topicName.MatchString(name) }

func plausibleToken(token string) bool { return tokenFault(token) == "" }

// tokenFault says why a text cannot be a token of FCM; "" means that it can be one.
func tokenFault(token string) string {
	if len(token) < minTokenLength {
		return fmt.Sprintf("it has %d characters, and the minimum is %d", len(token), minTokenLength)
	}
	for i := range len(token) {
		c := token[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != ':' && c != '_' && c != '-' {
			return fmt.Sprintf("its byte %d is %q, and only A-Z a-z 0-9 : _ - are allowed", i+1, rune(c))
		}
	}
	return ""
}

func wholeSeconds(v string) bool {
	_, err := strconv.ParseUint(v, 10, 31)
	return err == nil
}

func validTTL(v string) bool {
	d, err := time.ParseDuration(v)
	return err == nil && d >= 0 && d <= maxTTL
}

func newInvalidArgument(name, field, message string) *answer {
	return &answer{outcome: name, code: 400, body: faultBody(400, "INVALID_ARGUMENT", message,
		badRequest{Violations: []violation{{Field: field, Description: message}}}, fcmError("INVALID_ARGUMENT"))}
}

// badFields returns the answer for fields that are unknown or have another type. It has
// no FcmError, because Google's front end finds these faults before the request reaches
// FCM.
func badFields(faults []violation) *answer {
	name := "PAYLOAD_FIELD"
	var texts []string
	for _, f := range faults {
		if strings.Contains(f.Description, "Unknown name") {
			name = "UNKNOWN_FIELD"
		} else if strings.Contains(f.Description, "(oneof)") {
			name = "TWO_TARGETS"
		}
		texts = append(texts, f.Description)
	}

	return &answer{outcome: name, code: 400, body: faultBody(400, "INVALID_ARGUMENT",
		strings.Join(texts, "\n"), badRequest{Violations: faults})}
}

func notJSON(body string, err error) *answer {
	message := "Invalid JSON payload received. Unexpected token."
	if e, ok := errors.AsType[*syntaxError](err); ok && e.at < len(body) {
		message += fmt.Sprintf("\n%s\n^", strings.ToValidUTF8(body[e.at:min(len(body), e.at+60)], "�"))
	}
	return &answer{outcome: "NOT_JSON", code: 400, body: faultBody(400, "INVALID_ARGUMENT", message)}
}
