package personal

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"carillon.example/shared/push"
)

// hasTemplate reports whether a text contains the beginning of an output or a tag.
func hasTemplate(s string) bool { return strings.Contains(s, "{{") || strings.Contains(s, "{%") }

// mayHaveTemplate reports whether a JSON text may have a template. Braces may be escaped
// in JSON, so it also reports true for every escape that begins with \u00.
func mayHaveTemplate(json string) bool { return hasTemplate(json) || strings.Contains(json, `\u00`) }

// A purpose is what FCM and the app use a text of a message for.
type purpose int

const (
	nowhere purpose = iota // templates are not rendered there
	asText
	asLink
)

// uses lists the places in a message where templates are rendered. "*" matches one key,
// and "|" stands between the two spellings that FCM accepts for a name.
var uses = []struct {
	path string
	use  purpose
}{
	{"notification.title", asText},
	{"notification.body", asText},
	{"notification.image", asLink},
	{"data.*", asText},
	{"android.notification.title", asText},
	{"android.notification.body", asText},
	{"android.notification.image", asLink},
	{"android.data.*", asText},
	{"android_v2|androidV2.remote_notification|remoteNotification.notification.title", asText},
	{"android_v2|androidV2.remote_notification|remoteNotification.notification.body", asText},
	{"android_v2|androidV2.remote_notification|remoteNotification.notification.image", asLink},
	{"android_v2|androidV2.data.*", asText},
	{"webpush.notification.title", asText},
	{"webpush.notification.body", asText},
	{"webpush.notification.image", asLink},
	{"webpush.fcm_options.link", asLink},
	{"webpush.data.*", asText},
	{"apns.payload.aps.alert", asText},
	{"apns.payload.aps.alert.title", asText},
	{"apns.payload.aps.alert.subtitle", asText},
	{"apns.payload.aps.alert.body", asText},
	{"apns.fcm_options.image", asLink},
}

// useOf returns the purpose of the text at a path of the message.
func useOf(path []string) purpose {
	for _, u := range uses {
		want := strings.Split(u.path, ".")
		if slices.EqualFunc(want, path, matchesKey) {
			return u.use
		}
	}
	return nowhere
}

// matchesKey reports whether a part of a path in uses stands for a key of the message.
func matchesKey(part, key string) bool {
	return part == "*" || slices.Contains(strings.Split(part, "|"), key)
}

// A compiler collects the templates of a message and their faults.
type compiler struct {
	engine     liquidEngine
	faults     push.Faults
	faultCount int             // number of faults, including those that are not named
	names      map[string]bool // attributes used
	values     map[string]bool // values used; nil for a mailing, which has no values
	filters    int             // number of filters used in all templates
}

// addFault records a fault. After maxFaults it records only that there are more.
func (c *compiler) addFault(at, message string) {
	switch c.faultCount++; {
	case c.faultCount <= maxFaults:
		c.faults = append(c.faults, push.Fault{Location: at, Message: message})
	case c.faultCount == maxFaults+1:
		c.faults = append(c.faults, push.Fault{Location: "body.message", Message: "has more faults in templates than are named here"})
	}
}

// walkMessage splits the message into parts and slots, one slot for each string with a
// template. Every byte outside of the slots stays as it is.
func (c *compiler) walkMessage(t *Template) {
	w := walker{compiler: c, raw: t.message, dec: json.NewDecoder(bytes.NewReader(t.message)), t: t}
	if w.walkValue(nil) {
		t.parts = append(t.parts, t.message[w.kept:])
	} else { // not JSON: another check refuses it
		t.slots, t.parts = nil, nil
	}
}

// A walker reads a JSON text and compiles the templates in its strings.
type walker struct {
	*compiler
	raw  []byte
	dec  *json.Decoder
	t    *Template // gets the parts and slots
	kept int       // raw up to this offset is in the parts of the template
	list int       // number of lists around the position of the decoder
}

// walkValue reads one value. It returns false if the text is not JSON.
func (w *walker) walkValue(path []string) bool {
	before := w.dec.InputOffset()
	tok, err := w.dec.Token()
	if err != nil {
		return false
	}

	switch tok := tok.(type) {
	case string:
		w.addSlot(path, tok, int(before))
	case json.Delim:
		return w.walkMembers(path, tok)
	}
	return true
}

// walkMembers reads the members of an object, or the elements of an array, and the closing
// delimiter. It returns false if the text is not JSON.
func (w *walker) walkMembers(path []string, open json.Delim) bool {
	if open == '[' {
		w.list++
		defer func() { w.list-- }()
	}

	for i := 0; w.dec.More(); i++ {
		name := "[" + strconv.Itoa(i) + "]"
		if open == '{' {
			k, err := w.dec.Token()
			if err != nil {
				return false
			}
			name = k.(string) // the decoder accepts only strings as keys
			if hasTemplate(name) {
				w.addFault(locationOf(path), "has a template in a key; templates are not rendered in keys")
			}
		}
		if !w.walkValue(append(path, name)) { // the next member's name may overwrite this one
			return false
		}
	}

	_, err := w.dec.Token()
	return err == nil
}

// addSlot compiles a string that has a template. The string begins after the offset before
// and ends at the position of the decoder.
func (w *walker) addSlot(path []string, s string, before int) {
	if !hasTemplate(s) {
		return
	}

	u := useOf(path)
	if u == nowhere || w.list > 0 {
		w.addFault(locationOf(path), "has a template; templates are rendered only in titles, bodies, images, links and data")
		return
	}

	x := w.compiler.compileText(locationOf(path), s, u)
	from := before + bytes.IndexByte(w.raw[before:], '"')
	w.t.parts = append(w.t.parts, w.raw[w.kept:from])
	w.t.slots = append(w.t.slots, x)
	w.kept = int(w.dec.InputOffset())
}

// locationOf returns the location of a path as in push.Fault. Of a path with more than
// eight steps it names only the last eight.
func locationOf(path []string) string {
	at := "body.message"
	if len(path) > 8 {
		at, path = at+".…", path[len(path)-8:]
	}
	for _, p := range path {
		if !strings.HasPrefix(p, "[") {
			at += "."
		}
		at += push.Truncate(p, 60)
	}
	return at
}
