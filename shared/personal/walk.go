package personal

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"carillon.example/shared/push"
)

func hasTemplate(s string) bool { return strings.Contains(s, "{{") || strings.Contains(s, "{%") }

// mayHaveTemplate also finds escaped braces. It may report true for a text without a
// template.
func mayHaveTemplate(json string) bool { return hasTemplate(json) || strings.Contains(json, `\u00`) }

// A purpose is the purpose of a text in a message.
type purpose int

const (
	nowhere purpose = iota // templates are not rendered there
	asText
	asLink
)

// uses lists the places in a message where templates are rendered; "*" is any one key.
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

func useOf(path []string) purpose {
	for _, u := range uses {
		want := strings.Split(u.path, ".")
		if slices.EqualFunc(want, path, func(a, b string) bool { return a == "*" || a == b }) {
			return u.use
		}
	}
	return nowhere
}

// A compiler collects the templates of a message and their faults.
type compiler struct {
	engine  liquidEngine
	faults  push.Faults
	found   int             // number of faults, including those that are not named
	names   map[string]bool // attributes used
	values  map[string]bool // values used; nil: there are none, only in messages to one customer
	filters int             // used in all templates
}

func (c *compiler) addFault(at, message string) {
	switch c.found++; {
	case c.found <= maxFaults:
		c.faults = append(c.faults, push.Fault{Location: at, Message: message})
	case c.found == maxFaults+1:
		c.faults = append(c.faults, push.Fault{Location: "body.message", Message: "has more faults in templates than are named here"})
	}
}

// walkMessage finds every template in the strings of the message. Every other byte stays as it
// is.
func (c *compiler) walkMessage(t *Template) {
	w := walker{compiler: c, raw: t.message, dec: json.NewDecoder(bytes.NewReader(t.message)), t: t}
	if w.walkValue(nil) {
		t.parts = append(t.parts, t.message[w.kept:])
	} else { // not JSON: another check refuses it
		t.slots, t.parts = nil, nil
	}
}

// A walker goes through a JSON text, string by string.
type walker struct {
	*compiler
	raw  []byte
	dec  *json.Decoder
	t    *Template
	kept int // raw up to this offset is in the parts of the template
	list int // number of lists around the position of the decoder
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
			if name = k.(string); hasTemplate(name) { // the decoder accepts only strings as keys
				w.addFault(locationOf(path), "has a template in a key; they are not rendered there")
			}
		}
		if !w.walkValue(append(path, name)) { // the next member's name may overwrite this one
			return false
		}
	}
	_, err := w.dec.Token()
	return err == nil
}

// addSlot compiles the string that begins after the offset before and ends at the position of
// the decoder, if it has a template.
func (w *walker) addSlot(path []string, s string, before int) {
	if !hasTemplate(s) {
		return
	}
	u := useOf(path)
	if u == nowhere || w.list > 0 {
		w.addFault(locationOf(path), "has a template; they are rendered in titles, bodies, images, links and data only")
		return
	}
	x := w.compiler.compileText(locationOf(path), s, u)
	from := before + bytes.IndexByte(w.raw[before:], '"')
	w.t.parts = append(w.t.parts, w.raw[w.kept:from])
	w.t.slots = append(w.t.slots, x)
	w.kept = int(w.dec.InputOffset())
}

// locationOf returns the location of a path as in push.Fault; of a long path only the end.
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
